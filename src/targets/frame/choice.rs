//! Words of the kernel of which one must be chosen.

/// Declares an enum whose variants are words: written to a map in lower case, read from a row whatever
/// their case, printed as the kernel prints them.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub(crate) enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// Every choice, in the order of the kernel's documentation.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in a row and in a map.
            pub(crate) const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            /// The choice that this word stands for, if it is one.
            pub(crate) fn find(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|choice| choice.word().eq_ignore_ascii_case(word))
            }

            /// Every word, for an error.
            pub(crate) fn words() -> String {
                Self::ALL.iter().map(|choice| choice.word()).collect::<Vec<_>>().join(", ")
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl $crate::targets::FieldValue for $name {}

        impl $crate::targets::frame::Operand for $name {
            fn read(
                given: &mut $crate::targets::frame::Given<'_, '_>,
            ) -> Result<Self, $crate::targets::ParamsError> {
                let word = given.text()?;
                let wrong = || given.wrong(format!("{} must be one of {}", given.name, Self::words()));
                Self::find(word).ok_or_else(wrong)
            }
        }
    };
}

pub(crate) use choice;
