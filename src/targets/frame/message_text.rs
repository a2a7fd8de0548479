//! The text of a message to a target: the words that are sent, which may hold a key, and those that are shown.

use std::fmt;

use smol_str::SmolStr;

use super::Target;
use crate::secret::Secret;

/// The text of a message. Its `Display` and its `Debug` show no key; the text that is sent is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageText {
    sent: Secret,
    /// The text with keys replaced; `None` when it does not hold one.
    redacted: Option<SmolStr>,
}

impl MessageText {
    /// Takes the text of a message to `target`, which knows the words that are keys.
    pub(crate) fn new(text: Secret, target: &dyn Target) -> Self {
        let shown = target.redact_message(text.reveal());
        let redacted = (shown != text.reveal()).then(|| shown.into());
        Self { sent: text, redacted }
    }

    /// Takes a text without a key, which dmctl wrote.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { sent: Secret::new(text.into()), redacted: None }
    }

    /// Returns the text itself. Call this only to send it, or to look at its words.
    pub fn reveal(&self) -> &str {
        self.sent.reveal()
    }

    /// Returns the text with keys replaced.
    pub fn shown(&self) -> &str {
        self.redacted.as_deref().unwrap_or(self.sent.reveal())
    }

    /// Whether it holds a key.
    pub fn holds_key(&self) -> bool {
        self.redacted.is_some()
    }
}

impl fmt::Display for MessageText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl fmt::Debug for MessageText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets;

    const KEY: &str = "00112233445566778899aabbccddeeff";

    fn shown(row: (&str, &str), message: &str) -> (String, bool) {
        let target = targets::parse(row.0, row.1).unwrap();
        let text = MessageText::new(Secret::new(message.to_string()), target.as_ref());
        assert_eq!(text.reveal(), message);
        assert_eq!(format!("{text:?}"), format!("{:?}", text.shown()));
        (text.to_string(), text.holds_key())
    }

    #[test]
    fn a_message_to_crypt_shows_its_orders_alone() {
        let crypt = ("crypt", "aes-cbc-plain 00112233445566778899aabbccddeeff 0 8:0 0");
        for (message, expected) in [
            (format!("key set {KEY}"), "key set <secret>"),
            (format!("KEY  Set\t{KEY}"), "KEY  Set\t<secret>"),
            ("key set beef".to_string(), "key set <secret>"),
            (format!("key set {}", KEY.replace("22", "\\22")), "key set <secret>"),
            (format!("key set {KEY} {KEY}"), "key set <secret> <secret>"),
            (format!("keyset {KEY}"), "<secret> <secret>"),
            (format!("key set x:32:{KEY}"), "key set <secret>"),
            (format!("key set :16:logon:{KEY}"), "key set :16:logon:<secret>"),
        ] {
            assert_eq!(shown(crypt, &message), (expected.to_string(), true));
        }
        for message in ["key wipe", "key set :32:logon:dmctl:data", "@stats_create - /100"] {
            assert_eq!(shown(crypt, message), (message.to_string(), false));
        }
    }

    #[test]
    fn a_message_to_any_other_target_hides_long_hex() {
        for row in [("zero", ""), ("not-known", "1 2 3"), ("linear", "8:0 0")] {
            for (message, expected) in [
                (format!("load {KEY}"), "load <secret>"),
                (format!("load:{KEY}:x"), "load:<secret>:x"),
                (format!("load {}", KEY.replace("22", "\\2\\2")), "load <secret>"),
                (format!("@stats_create - /1 {KEY}"), "@stats_create - /1 <secret>"),
                ("key set 00112233445566778899".to_string(), "key set <secret>"),
                ("Key  S\\et beef key".to_string(), "Key  S\\et <secret> key"),
            ] {
                assert_eq!(shown(row, &message), (expected.to_string(), true));
            }
            for message in [
                "addbadblock 60",
                "key set :32:logon:x",
                "key wipe",
                "set_region_mappings 0:1 R2,10",
                &format!("load {}", &KEY[1..]),
            ] {
                assert_eq!(shown(row, message), (message.to_string(), false));
            }
        }
    }
}
