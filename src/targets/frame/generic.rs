//! A target of a type that dmctl does not know: its words, compared one by one.
//!
//! What a word means is unknown. A long run of hexadecimal digits may be a key, so it is kept and hidden like one.

use std::any::Any;
use std::ops::Range;

use super::incomparable::UnknownKey;
use super::state::{LiveRow, State};
use super::{
    ANY_WORD, Change, DeviceAccess, DeviceUse, DeviceUses, Differences, Effect, ErasedTarget, Incomparable,
    MessageForm, ParamsError, Printer, Status, Style, Target, Traits, Words,
};
use crate::device::{Device, Form};
use crate::keys::{Key, KeySizes, KeySlot, KeySource, SlotForm};
use crate::policy::Class;
use crate::redact;
use crate::secret::{REDACTED, Secret};

/// A row of an unknown type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Generic {
    kind: String,
    words: Vec<Word>,
}

/// A word of such a row.
#[derive(Debug, Clone, PartialEq)]
enum Word {
    /// Kept as it is.
    Text(Vec<Part>),
    /// What looks like a device is resolved like one.
    Device(Device),
}

/// A part of a word.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    /// Shown as it is.
    Plain(String),
    /// What may be a key, or what an export left in its place.
    Key(Key),
}

impl Word {
    /// Splits a word at what may be a key.
    fn parse(word: &str) -> Self {
        let hex = |range: Range<usize>| {
            let key = KeySource::Hex(Secret::new(word[range.clone()].to_string()));
            (range, key)
        };
        let placeholder = |(start, found): (usize, &str)| (start..start + found.len(), KeySource::Withheld);
        let mut keys: Vec<(Range<usize>, KeySource)> = redact::long_hex(word).into_iter().map(hex).collect();
        keys.extend(word.match_indices(REDACTED).map(placeholder));
        keys.sort_by_key(|(range, _)| range.start);
        let (mut parts, mut from) = (Vec::new(), 0);
        let plain = |range: Range<usize>| Some(word.get(range)?).filter(|text| !text.is_empty());
        for (range, key) in keys {
            parts.extend(plain(from..range.start).map(|text| Part::Plain(text.to_string())));
            parts.push(Part::Key(key.into()));
            from = range.end;
        }
        parts.extend(plain(from..word.len()).map(|text| Part::Plain(text.to_string())));
        Self::Text(parts)
    }

    fn print(&self, out: &mut Printer) {
        match self {
            Self::Device(device) => out.device(device),
            Self::Text(parts) => out.joined(|out| {
                for part in parts {
                    match part {
                        Part::Plain(text) => out.word(text),
                        Part::Key(key) => super::keyed::print_hex(out, key),
                    };
                }
            }),
        };
    }

    /// Tells whether two words are the same; `None` where a placeholder stands for a key that is wanted. A
    /// placeholder for a live key passes for any.
    fn same(&self, live: &Self) -> Option<bool> {
        let (Self::Text(wanted), Self::Text(live)) = (self, live) else {
            let (Self::Device(wanted), Self::Device(live)) = (self, live) else { return Some(false) };
            return Some(match (wanted.number, live.number) {
                (Some(wanted), Some(live)) => wanted == live,
                _ => wanted.form == live.form,
            });
        };
        if wanted.len() != live.len() {
            return Some(false);
        }
        let mut same = true;
        for pair in wanted.iter().zip(live) {
            same &= match pair {
                (Part::Key(wanted), _) if wanted.source == KeySource::Withheld => return None,
                (Part::Key(_), Part::Key(live)) if live.source == KeySource::Withheld => true,
                (wanted, live) => wanted == live,
            };
        }
        Some(same)
    }
}

impl Generic {
    pub(crate) fn parse(kind: &str, params: &str) -> Result<Self, ParamsError> {
        let mut words = Words::new(params)?;
        let mut parsed = Vec::with_capacity(words.left());
        while words.left() > 0 {
            let text = words.next("a word")?;
            parsed.push(match Device::parse(text) {
                Ok(device) => Word::Device(device),
                Err(_) if text.starts_with('@') => {
                    let text = redact::redact_hex(text);
                    return Err(words.wrong(format!("`{}` is not a key of a mapping", text.escape_debug())));
                }
                Err(_) => Word::parse(text),
            });
        }
        Ok(Self { kind: kind.to_string(), words: parsed })
    }

    fn devices(&self) -> impl Iterator<Item = &Device> {
        self.words.iter().filter_map(|word| if let Word::Device(device) = word { Some(device) } else { None })
    }

    /// Replaces what may be a key in the parameters of a row of an unknown type.
    pub(crate) fn redact(params: &str) -> String {
        match Self::parse("", params) {
            Ok(row) => row.print(Style::Redacted),
            // A row that can't be read has no devices whose paths must stay whole.
            Err(_) => redact::redact_hex(params),
        }
    }

    fn print(&self, style: Style) -> String {
        let mut out = Printer::new(style);
        self.words.iter().for_each(|word| word.print(&mut out));
        out.finish()
    }
}

impl Target for Generic {
    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        Err(words.wrong("dmctl does not know this target type"))
    }

    fn lower_devices(&self, _: u64) -> DeviceUses<'_> {
        // Whether and where it writes is not known, so it counts as a writer of the whole device.
        self.devices().map(|device| DeviceUse::whole(device, DeviceAccess::Write)).collect()
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        self.words
            .iter_mut()
            .filter_map(|word| if let Word::Device(device) = word { Some(device) } else { None })
            .collect()
    }

    fn keys_mut(&mut self) -> Vec<KeySlot<'_>> {
        let parts = self.words.iter_mut().flat_map(|word| match word {
            Word::Text(parts) => parts.as_mut_slice(),
            Word::Device(_) => &mut [],
        });
        parts
            .filter_map(|part| if let Part::Key(key) = part { Some(key) } else { None })
            .map(|key| KeySlot { field: "params", key, sizes: KeySizes::Any, form: SlotForm::Word })
            .collect()
    }
}

/// Of a type that dmctl does not know it can't be told what a message does.
const UNKNOWN: &[MessageForm] =
    &[MessageForm::of(ANY_WORD, "", "does what dmctl does not know", Class::Loss)];

impl ErasedTarget for Generic {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn traits(&self) -> Traits {
        // The meaning of an unknown target's words is unknown: treat them as if they held a key. So is whether it takes messages.
        Traits { secret: true, messages: UNKNOWN, status: Status::Always, ..Traits::PLAIN }
    }

    fn params(&self, style: Style) -> String {
        self.print(style)
    }

    fn compare(&self, live: &dyn Target) -> Option<Differences> {
        let live = (live as &dyn Any).downcast_ref::<Self>().filter(|live| live.kind == self.kind)?;
        let mut differences = Differences::default();
        let mut same = self.words.len() == live.words.len();
        for (wanted, live) in self.words.iter().zip(&live.words) {
            let Some(equal) = wanted.same(live) else {
                let key = UnknownKey::Placeholder;
                differences.unknown(Incomparable::Key { field: "params".to_string(), key });
                return Some(differences);
            };
            same &= equal;
        }
        if !same {
            differences.push("params", Effect::Remap, Change::Parameters);
        }
        Some(differences)
    }

    fn compare_suspended(&self, live: &dyn Target) -> Option<Differences> {
        self.compare(live)
    }

    fn for_export(&self) -> Box<dyn Target> {
        self.boxed()
    }

    fn for_rollback(&self) -> Box<dyn Target> {
        self.boxed()
    }

    fn for_reload(&self, _: &dyn Target, _: Option<&dyn State>) -> Box<dyn Target> {
        self.boxed()
    }

    fn fields(&self) -> toml::Table {
        let params = self.words.iter().map(|word| match word {
            Word::Device(Device { form: Form::Number(number), .. }) => number.to_string(),
            Word::Device(device) => device.to_string(),
            Word::Text(_) => {
                let mut out = Printer::new(Style::Redacted);
                word.print(&mut out);
                out.finish()
            }
        });
        let mut fields = toml::Table::new();
        fields.insert("params".to_string(), toml::Value::Array(params.map(toml::Value::String).collect()));
        fields
    }

    fn boxed(&self) -> Box<dyn Target> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_in_unknown_rows_are_found() {
        let mut row = Generic::parse("future", "/dev/sda 8 @key 253:1 word").unwrap();
        let devices: Vec<String> = row.devices_mut().into_iter().map(|d| d.to_string()).collect();
        assert_eq!(devices, ["/dev/sda", "@key", "253:1"]);
        assert!(Generic::parse("future", "@a/b").is_err());
    }

    #[test]
    fn unknown_rows_compare_word_by_word() {
        let one = Generic::parse("future", "253:1  8").unwrap();
        let two = Generic::parse("future", "253:1 8 ").unwrap();
        assert!(one.compare(&two).unwrap().is_equal());
        let three = Generic::parse("future", "253:1 9").unwrap();
        assert!(!one.compare(&three).unwrap().is_equal());
        assert!(one.compare(&Generic::parse("other", "253:1 8").unwrap()).is_none());
    }
}
