//! One difference between two tables, as data. What a person reads is made of it by `Display`.

use std::fmt;

use smol_str::SmolStr;

use crate::access::Access;
use crate::device::Written;
use crate::identity::Key;
use crate::targets::{self, Effect, Order};
use crate::units::Sectors;

/// One difference between the table that a mapping should have and the one it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A field of a row that both tables have.
    Field {
        /// The first sector of the row.
        start: u64,
        /// The field, and both its values.
        field: targets::Difference,
    },
    /// The type of a row that begins at the same sector in both tables.
    Type {
        /// The first sector of the row.
        start: u64,
        /// The type that the kernel has.
        live: SmolStr,
        /// The type that is wanted.
        wanted: SmolStr,
    },
    /// A row that begins at a sector where the live table has none.
    RowBegins {
        start: u64,
        /// The type of the row.
        kind: SmolStr,
    },
    /// How many rows there are, where nothing else differs.
    RowCount {
        /// How many the kernel has.
        live: usize,
        /// How many are wanted.
        wanted: usize,
    },
    /// The access that is wanted, and is not the live one.
    Access(Access),
    /// The logical block size that the device gets, where it is larger than the one it has.
    BlockSize {
        /// The size that it has, in bytes.
        live: u64,
        /// The size that it gets, in bytes.
        wanted: u64,
    },
    /// An order that the live device has not carried out.
    Order {
        /// The first sector of the row.
        start: u64,
        /// The order.
        order: Order,
    },
    /// A lower device that is replaced by another one.
    LowerDevice(Key),
    /// A lower device that has grown, or grows, beyond what the live table uses of it.
    LowerGrew {
        /// The lower device.
        device: Written,
        /// The size that the live table uses, in sectors.
        used: u64,
        /// The size, in sectors.
        size: u64,
    },
}

impl Difference {
    /// Returns the difference of the lengths, in sectors, of two rows that begin at sector `start`.
    pub(crate) fn length(start: u64, live: u64, wanted: u64) -> Option<Self> {
        let mut differences = targets::Differences::default();
        differences.field("length", &Sectors(wanted), &Sectors(live), Effect::Tune);
        differences.fields.pop().map(|field| Self::Field { start, field })
    }

    /// Tells whether the rows themselves differ, and not only a value of one.
    pub(crate) fn reshapes(&self) -> bool {
        match self {
            Self::Type { .. } | Self::RowBegins { .. } | Self::RowCount { .. } | Self::LowerDevice(_) => true,
            Self::Field { .. }
            | Self::Access(_)
            | Self::BlockSize { .. }
            | Self::LowerGrew { .. }
            | Self::Order { .. } => false,
        }
    }

    /// Tells whether this access is wanted in place of another.
    pub(crate) fn is_access(&self, access: Access) -> bool {
        *self == Self::Access(access)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field { field, .. } => field.fmt(f),
            Self::Type { start, live, wanted } => write!(f, "{live} -> {wanted} at sector {start}"),
            Self::RowBegins { start, kind } => write!(f, "a {kind} row begins at sector {start}"),
            Self::RowCount { live, wanted } => write!(f, "{live} targets -> {wanted}"),
            Self::Access(Access::ReadOnly) => f.write_str("becomes read-only"),
            Self::Access(Access::Writable) => f.write_str("becomes writable"),
            Self::BlockSize { live, wanted } => write!(f, "logical block size {live} -> {wanted}"),
            Self::LowerGrew { device, used, size } => {
                let [used, size] = Sectors(*used).human_beside(Sectors(*size));
                write!(f, "it uses {used} of {}, which has {size}, until its table is loaded again", **device)
            }
            Self::Order { order, .. } => order.fmt(f),
            Self::LowerDevice(key) => write!(f, "it depends on @{key}, which is recreated"),
        }
    }
}
