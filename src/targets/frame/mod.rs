//! What all targets share: the contract that each implements, and the tools to implement it with.
//!
//! [`contract`] has the traits. [`words`] reads a row, [`printer`] prints one, and [`options`] does both for
//! the optional words of a row, and compares and checks them, a line of [`option_row`] each. [`problems`] collects what the kernel would
//! refuse, [`difference`] how a wanted target differs from a live one, with the values of [`value`].
//! [`generic`] takes the place of a target that dmctl does not know.

pub(crate) mod argument;
mod below;
pub(crate) mod choice;
mod contract;
mod contradiction;
mod device_use;
mod difference;
pub(crate) mod failed;
pub(crate) mod generic;
mod incomparable;
pub(crate) mod keyed;
mod kind;
mod leaving;
mod message_form;
mod message_text;
mod message_words;
mod metadata;
mod need;
mod no_room;
mod operand;
mod option_row;
mod options;
mod order;
mod own_io;
mod printer;
mod problems;
mod reading;
mod remaining_length;
mod repair;
pub(crate) mod sector_size;
pub(crate) mod signature;
pub(crate) mod state;
mod traits;
mod unfinished_first;
mod value;
mod volume_list;
mod words;

pub use below::{Below, Place};
pub use contract::Target;
pub(crate) use contract::{ErasedTarget, TargetKind, of_type};
pub use contradiction::{Contradiction, OnDisk};
pub(crate) use contradiction::{le16, le32, le64};
pub use device_use::{
    Blocks, DeviceAccess, DeviceUse, DeviceUses, Handover, Hazards, KeptTags, NeededBelow, NeededQueue,
    NeededTags, OriginUse, Prepare, QueueKind, SizeTaken,
};
pub use difference::{Change, Difference, Differences, Effect};
pub use incomparable::{IgnoredValue, Incomparable};
pub use kind::Kind;
pub use leaving::{After, Leaving};
pub use message_form::{ANY_WORD, MessageForm, MessageRisk};
pub use message_text::MessageText;
pub(crate) use message_words::{redact_unknown, redact_words};
pub(crate) use metadata::{Found, Metadata, begins_with};
pub use need::{Need, Shortage};
pub use no_room::{Block, NoRoom};
pub(crate) use operand::{Given, Operand, Syntax};
pub(crate) use option_row::{Alternative, Choice, OptionRow, alternatives, option, part};
pub(crate) use options::Options;
pub use order::Order;
pub use own_io::OwnIo;
pub(crate) use printer::Printer;
pub use printer::Style;
pub use problems::{Problem, Problems};
pub use reading::{Reading, Unreadable, read_state};
pub use remaining_length::RemainingLength;
pub(crate) use remaining_length::{SizeOf, in_whole_blocks};
pub use repair::Repair;
pub use traits::{Doc, Mode, Status, Traits};
pub use unfinished_first::UnfinishedFirst;
pub(crate) use value::FieldValue;
pub use value::{Unit, Value};
pub use volume_list::VolumeList;
pub use words::ParamsError;
pub(crate) use words::Words;
