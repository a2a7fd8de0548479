//! A mistake in a map or a table: what is wrong, and what would be right, kept apart.
//!
//! A person reads both in one sentence, or each at its place in a diagnostic. serde hands on nothing but text, so a
//! mistake goes through it in a form of its own ([`to_serde`], [`Mistake::from_serde`]).

use std::borrow::Cow;
use std::fmt;

use serde::de;

/// What is wrong, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub message: Cow<'static, str>,
    /// The text to write in its place, as an order: `write a path`.
    pub advice: Option<Cow<'static, str>>,
    /// The text that was probably meant.
    pub nearest: Option<String>,
}

impl Mistake {
    /// Makes a mistake without advice.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), advice: None, nearest: None }
    }

    /// Adds the advice: the text to write in its place.
    pub fn advice(self, advice: impl Into<Cow<'static, str>>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }

    /// Adds the text that was probably meant.
    pub fn nearest(self, nearest: Option<&str>) -> Self {
        Self { nearest: nearest.map(ToString::to_string), ..self }
    }

    /// Puts the subject in front of the mistake: `the origin: ...`.
    pub fn about(self, subject: &str) -> Self {
        Self { message: format!("{subject}: {}", self.message).into(), ..self }
    }

    /// Reads a mistake that [`to_serde`] wrote; `None` when `text` is a message of serde's own.
    pub fn from_serde(text: &str) -> Option<Self> {
        let mut parts = text.split(BORDER).map(ToString::to_string);
        let (message, advice, nearest) = (parts.next()?, parts.next()?, parts.next()?);
        let filled = |part: String| Some(part).filter(|part| !part.is_empty());
        Some(Self {
            message: message.into(),
            advice: filled(advice).map(Cow::Owned),
            nearest: filled(nearest),
        })
    }
}

/// The border between two parts on their way through serde: a character that a message never holds.
const BORDER: char = '\u{1e}';

/// Hands a mistake to serde, as an error.
pub(crate) fn to_serde<E: de::Error>(mistake: impl Into<Mistake>) -> E {
    let Mistake { message, advice, nearest } = mistake.into();
    let parts = [message, advice.unwrap_or_default(), nearest.unwrap_or_default().into()];
    E::custom(parts.map(|part| part.replace(BORDER, " ")).join(&BORDER.to_string()))
}

/// Writes what is wrong, behind a colon the advice, behind a semicolon what was probably meant.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(advice) = &self.advice {
            write!(f, ": {advice}")?;
        }
        self.nearest.iter().try_for_each(|nearest| write!(f, "; did you mean `{nearest}`?"))
    }
}

impl From<&'static str> for Mistake {
    fn from(message: &'static str) -> Self {
        Self::new(message)
    }
}

impl From<String> for Mistake {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

#[cfg(test)]
mod tests {
    use serde::de::value::Error;

    use super::*;

    #[test]
    fn serde_hands_on_every_part() {
        let mistake = Mistake::new("`1G` is not a size").advice("write a unit").nearest(Some("1GiB"));
        assert_eq!(mistake.to_string(), "`1G` is not a size: write a unit; did you mean `1GiB`?");
        for mistake in [mistake, Mistake::new("it is empty"), Mistake::new("no").advice("use another")] {
            let error: Error = to_serde(mistake.clone());
            assert_eq!(Mistake::from_serde(&error.to_string()), Some(mistake));
        }
        assert_eq!(Mistake::from_serde("missing field `device`"), None);
        let error: Error = to_serde(format!("`a{BORDER}b` is not a size"));
        assert_eq!(Mistake::from_serde(&error.to_string()).unwrap().message, "`a b` is not a size");
    }
}
