//! A target of a type that dmctl does not know: its words, compared one by one.

use super::{
    Change, DeviceAccess, DeviceUse, Differences, Effect, ErasedTarget, ParamsError, Printer, Style, Target,
    Traits, Words,
};
use crate::device::{Device, Form};

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
    Text(String),
    /// What looks like a device is resolved like one.
    Device(Device),
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
                    return Err(words.wrong(format!("`{}` is not a key of a mapping", text.escape_debug())));
                }
                Err(_) => Word::Text(text.to_string()),
            });
        }
        Ok(Self { kind: kind.to_string(), words: parsed })
    }

    fn devices(&self) -> impl Iterator<Item = &Device> {
        self.words.iter().filter_map(|word| if let Word::Device(device) = word { Some(device) } else { None })
    }
}

impl Target for Generic {
    fn lower_devices(&self, _: u64) -> Vec<DeviceUse<'_>> {
        // Whether and where it writes is unknown; it needs the device.
        self.devices().map(|device| DeviceUse::whole(device, DeviceAccess::Read)).collect()
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        self.words
            .iter_mut()
            .filter_map(|word| if let Word::Device(device) = word { Some(device) } else { None })
            .collect()
    }
}

impl ErasedTarget for Generic {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn traits(&self) -> Traits {
        // The meaning of an unknown target's words is unknown: treat them as if they held a key.
        Traits { secret: true, ..Traits::PLAIN }
    }

    fn params(&self, style: Style) -> String {
        let mut out = Printer::new(style);
        for word in &self.words {
            match word {
                Word::Text(text) => out.word(text),
                Word::Device(device) => out.device(device),
            };
        }
        out.finish()
    }

    fn compare(&self, live: &dyn Target) -> Option<Differences> {
        if live.kind() != self.kind {
            return None;
        }
        let mut differences = Differences::default();
        let (wanted, live) = (self.params(Style::Kernel), live.params(Style::Kernel));
        if wanted != live {
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

    fn for_reload(&self, _: &dyn Target) -> Box<dyn Target> {
        self.boxed()
    }

    fn fields(&self) -> toml::Table {
        let params = self.words.iter().map(|word| match word {
            Word::Text(text) => toml::Value::String(text.clone()),
            Word::Device(Device { form: Form::Number(number), .. }) => {
                toml::Value::String(number.to_string())
            }
            Word::Device(device) => toml::Value::String(device.to_string()),
        });
        let mut fields = toml::Table::new();
        fields.insert("params".to_string(), toml::Value::Array(params.collect()));
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
