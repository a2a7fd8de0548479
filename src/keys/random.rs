//! Keys that are drawn whenever their device is made: for swap and scratch.

use std::io;

use zeroize::Zeroizing;

use super::{KeySlot, KeySource};
use crate::secret::Secret;

/// Draws the random keys of a target from the random source of the kernel (getrandom(2)), which waits until the source
/// has been seeded. A key that was drawn before is drawn again.
///
/// # Errors
///
/// The answer of the system; such a target must not be loaded.
pub(crate) fn draw(slots: Vec<KeySlot<'_>>) -> io::Result<()> {
    for KeySlot { key, .. } in slots {
        if let KeySource::Random { bytes } = key.source {
            let mut drawn = Zeroizing::new(vec![0; usize::try_from(bytes).map_err(io::Error::other)?]);
            getrandom::fill(&mut drawn).map_err(|error| io::Error::other(error.to_string()))?;
            key.read = Some(Secret::hex(&drawn));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Key, KeySizes, SlotForm};

    #[test]
    fn each_draw_is_another_and_other_keys_stay() {
        let mut random = Key::from(KeySource::Random { bytes: 64 });
        let mut fixed = Key::parse("c0ffee11").unwrap();
        let mut drawn = Vec::new();
        for _ in 0..2 {
            let slot = |key| KeySlot { field: "key", key, sizes: KeySizes::Any, form: SlotForm::Source };
            draw(vec![slot(&mut random), slot(&mut fixed)]).unwrap();
            drawn.push(random.material().unwrap().clone());
        }
        assert!(drawn[0] != drawn[1] && drawn[0].len() == 128);
        assert_eq!(fixed, Key::parse("c0ffee11").unwrap());
        assert!(!format!("{random:?}").contains(drawn[1].reveal()));
    }
}
