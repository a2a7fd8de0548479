//! A target type as the registry lists it.

use schemars::{Schema, SchemaGenerator};

use super::{Doc, ParamsError, Target, TargetKind, Traits, Words};

/// A known target type, as the registry lists it.
pub struct Kind {
    /// The name in a table and in `type = `.
    pub name: &'static str,
    /// How the kernel treats tables with it.
    pub traits: Traits,
    /// The module that has it, where that is not `dm-` and the name.
    pub(crate) module: Option<&'static str>,
    /// What the manual says.
    pub doc: Doc,
    /// The schema of its fields.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// See `TargetKind::redact`.
    pub redact: fn(&str) -> String,
    from_words: fn(&mut Words<'_>) -> Result<Box<dyn Target>, ParamsError>,
    from_toml: fn(toml::de::Deserializer<'_>) -> Result<Box<dyn Target>, toml::de::Error>,
}

impl Kind {
    /// The entry of `T`.
    pub(crate) const fn of<T: TargetKind>() -> Self {
        fn from_words<T: TargetKind>(words: &mut Words<'_>) -> Result<Box<dyn Target>, ParamsError> {
            T::parse(words).map(|typed| Box::new(typed) as Box<dyn Target>)
        }
        fn from_toml<T: TargetKind>(
            fields: toml::de::Deserializer<'_>,
        ) -> Result<Box<dyn Target>, toml::de::Error> {
            T::deserialize(fields).map(|typed| Box::new(typed) as Box<dyn Target>)
        }
        Self {
            name: T::NAME,
            traits: T::TRAITS,
            module: T::MODULE,
            doc: T::DOC,
            schema: T::json_schema,
            redact: T::redact,
            from_words: from_words::<T>,
            from_toml: from_toml::<T>,
        }
    }

    /// Reads the parameters of a row, all of them.
    pub fn parse(&self, params: &str) -> Result<Box<dyn Target>, ParamsError> {
        let mut words = Words::new(params)?;
        let typed = (self.from_words)(&mut words)?;
        words.finish()?;
        Ok(typed)
    }

    /// Reads the fields of a target from a map file; `type`, `start`, `length` and `messages` are taken out
    /// before. An error carries the place in the file.
    pub fn deserialize(
        &self,
        fields: toml::de::Deserializer<'_>,
    ) -> Result<Box<dyn Target>, toml::de::Error> {
        (self.from_toml)(fields)
    }
}
