//! Sends a message to a target.

use thiserror::Error;

use super::find::{stable_id, state_of};
use super::{Foreign, OpError, waits};
use crate::device::Device;
use crate::identity::{Name, printable};
use crate::kernel::{ChangeKernel, DeviceState, Id, KernelError, ReadKernel, Slot};
use crate::policy::Class;
use crate::secret::Secret;
use crate::table::{self, RawRow};
use crate::targets::{self, LiveRow, MessageForm, MessageRisk, MessageText, Status, read_state};

/// What is sent, and to which target.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    /// A sector of the target's row.
    pub sector: u64,
    /// The words.
    pub text: Secret,
    /// The risk classes that are allowed beside those that always are.
    pub allow: &'a [Class],
    /// Whether a device of another subsystem is sent it.
    pub foreign: Foreign,
}

/// Why a message was not sent, or what came of it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// It has no words, or more than a line.
    #[error("a message is one line of words")]
    NotALine,
    /// Without a live table there is no target.
    #[error("`{0}` has no live table, so that no target can take a message")]
    NoTable(Name),
    /// The sector is behind the end of the device.
    #[error("sector {sector} is outside of `{name}`, which has {sectors}")]
    Outside {
        /// The name of the device.
        name: Name,
        /// The sector that was given.
        sector: u64,
        /// The size of the device.
        sectors: u64,
    },
    /// The target takes no messages.
    #[error("a `{}` target takes no messages", printable(.kind))]
    TakesNone {
        /// The target type.
        kind: String,
    },
    /// The target does not know the word.
    #[error("`{}` is not a message of a `{kind}` target, which takes: {}", printable(.word), listed(.forms))]
    NotAMessage {
        /// The first word.
        word: String,
        /// The target type.
        kind: String,
        /// The messages that it takes.
        forms: &'static [MessageForm],
    },
    /// The message does harm.
    #[error("`{word}` is not sent to a `{kind}` target: {why}")]
    Never {
        /// The first word.
        word: String,
        /// The target type.
        kind: String,
        /// Why not, as a clause.
        why: &'static str,
    },
    /// The risk of the message is not allowed.
    #[error("`{word}` {does}: it is of class `{class}`")]
    NotAllowed {
        /// The first word.
        word: String,
        /// What the kernel does then, as a clause.
        does: &'static str,
        /// The class.
        class: Class,
    },
    /// The target would not answer before the device is resumed, and the device could not be resumed any more.
    #[error("`{name}` is suspended: a `{kind}` target would not answer before it is resumed")]
    Suspended {
        /// The name of the device.
        name: Name,
        /// The target type.
        kind: String,
    },
    /// The volume that would be copied is in use.
    #[error(
        "volume {volume} is in use as `{device}`: a snapshot of it is not of one moment while `{device}` is not suspended"
    )]
    VolumeInUse {
        /// The volume.
        volume: u32,
        /// The device that has it.
        device: Name,
    },
    /// The kernel refused it.
    #[error("{cause}")]
    Refused {
        /// The answer of the kernel.
        cause: KernelError,
    },
    /// The device was not found, is another subsystem's, or can't be read.
    #[error(transparent)]
    Op(#[from] OpError),
}

impl From<KernelError> for MessageError {
    fn from(error: KernelError) -> Self {
        Self::Op(error.into())
    }
}

/// Sends a message to a target of a device, and returns the answer, where it gives one. What loses data, or moves sectors, is sent
/// only where its class is allowed; to a target of a type that dmctl does not know, only with `loss`. A word that begins with `@` is for
/// Device Mapper itself.
///
/// ```
/// # use dmctl::{identity::Name, kernel::ChangeKernel, ops::{self, Foreign, MessageError, Order}, secret::Secret};
/// /// Makes a block of a `dust` device bad.
/// fn wear(kernel: &dyn ChangeKernel, name: &Name, block: u64) -> Result<Option<String>, MessageError> {
///     let text = Secret::new(format!("addbadblock {block}"));
///     ops::message(kernel, name, &Order { sector: 0, text, allow: &[], foreign: Foreign::Refuse })
/// }
/// ```
///
/// # Errors
///
/// The variants of [`MessageError`]; only after [`MessageError::Refused`] was the kernel asked.
pub fn message(
    kernel: &dyn ChangeKernel,
    name: &Name,
    order: &Order<'_>,
) -> Result<Option<String>, MessageError> {
    let device = state_of(kernel, name)?;
    order.foreign.check(name, device.info.uuid.as_ref())?;
    let text = order.text.reveal();
    let Some(first) = text.split_whitespace().next().filter(|_| !text.contains(char::is_control)) else {
        return Err(MessageError::NotALine);
    };
    let shown = if first.starts_with('@') { text.to_string() } else { judge(kernel, &device, first, order)? };
    let at = |row: &&table::RawRow| (row.start..row.end()).contains(&order.sector);
    if let Some(row) = device.table.iter().find(at) {
        waits::refuse_message(kernel, &device, row)?;
    }
    let answer = kernel.message(&stable_id(&device.info), order.sector, text);
    let answer = answer.map_err(|cause| MessageError::Refused { cause })?;
    tracing::info!("sent `{shown}` to `{name}`");
    Ok(answer)
}

/// Judges a message to a target, and returns the words that may be shown of it.
fn judge(
    kernel: &dyn ReadKernel,
    device: &DeviceState,
    first: &str,
    order: &Order<'_>,
) -> Result<String, MessageError> {
    let name = &device.info.name;
    if device.table.is_empty() {
        return Err(MessageError::NoTable(name.clone()));
    }
    let Some(row) = device.table.iter().find(|row| (row.start..row.end()).contains(&order.sector)) else {
        let sectors = table::sectors(&device.table);
        return Err(MessageError::Outside { name: name.clone(), sector: order.sector, sectors });
    };
    let (target, kind) = (targets::parse(&row.kind, row.params()).ok(), row.kind.to_string());
    let known = targets::find(&row.kind).map(|kind| kind.traits);
    let Some(traits) = target.as_ref().map(|target| target.traits()).or(known) else {
        return Err(MessageError::TakesNone { kind });
    };
    let word = || printable(first).into_owned();
    if traits.messages.is_empty() {
        return Err(MessageError::TakesNone { kind });
    }
    let Some(form) = traits.message(first) else {
        return Err(MessageError::NotAMessage { word: first.to_string(), kind, forms: traits.messages });
    };
    match form.risk {
        MessageRisk::Never(why) => return Err(MessageError::Never { word: word(), kind, why }),
        MessageRisk::Class(class) if !class.allowed_unasked() && !order.allow.contains(&class) => {
            return Err(MessageError::NotAllowed { word: word(), does: form.does, class });
        }
        MessageRisk::Class(_) => {}
    }
    let loses = form.fails_path && !order.allow.contains(&Class::Loss);
    if loses && leaves_no_path(kernel, device, row, order)? {
        let does = "leaves no path: I/O fails, and what waits is lost";
        return Err(MessageError::NotAllowed { word: word(), does, class: Class::Loss });
    }
    if traits.status == Status::HangsSuspended && device.info.suspended {
        return Err(MessageError::Suspended { name: name.clone(), kind });
    }
    if form.copies_volume {
        let origin = order.text.reveal().split_whitespace().nth(2).and_then(|word| word.parse().ok());
        refuse_writer(kernel, device, origin)?;
    }
    let shown = target.map(|target| MessageText::new(order.text.clone(), target.as_ref()).to_string());
    Ok(shown.unwrap_or_else(|| first.to_string()))
}

/// Refuses to copy a volume of this pool that a device has, and that may be written meanwhile: the kernel does not look
/// (`drivers/md/dm-thin.c`, `process_create_snap_mesg`).
fn refuse_writer(
    kernel: &dyn ReadKernel,
    pool: &DeviceState,
    volume: Option<u32>,
) -> Result<(), MessageError> {
    let Some(volume) = volume else { return Ok(()) };
    for entry in kernel.list()? {
        let id = Id::stable(&entry.name, entry.uuid.as_ref());
        let Some(device) = kernel.device(&id, Slot::Live)?.filter(|device| !device.info.suspended) else {
            continue;
        };
        let has = device.table.iter().filter_map(|row| targets::parse(&row.kind, row.params()).ok()).any(
            |target| {
                target
                    .volume()
                    .is_some_and(|(lower, id)| id == volume && lower.number == Some(pool.info.number))
            },
        );
        if has {
            return Err(MessageError::VolumeInUse { volume, device: entry.name });
        }
    }
    Ok(())
}

/// Whether no path serves I/O once this one does not. What can't be told counts as none.
fn leaves_no_path(
    kernel: &dyn ReadKernel,
    device: &DeviceState,
    row: &RawRow,
    order: &Order<'_>,
) -> Result<bool, MessageError> {
    let status = kernel.status(&stable_id(&device.info))?;
    let said = status.iter().flat_map(|status| &status.rows).find(|said| said.start == row.start);
    let target = targets::parse(&row.kind, row.params()).ok();
    let live = LiveRow { length: row.length, suspended: device.info.suspended };
    let reading =
        said.zip(target).and_then(|(said, target)| read_state(target.as_ref(), &said.text, live).ok());
    let working = reading.as_ref().map(|reading| reading.state.working_paths()).unwrap_or_default();
    let written = order.text.reveal().split_whitespace().nth(1).and_then(|word| Device::parse(word).ok());
    let Some(failed) = written else { return Ok(working.len() <= 1) };
    let failed = kernel.resolve(&failed)?.map(|number| number.to_string());
    let is_failed = |path: &&str| failed.as_deref().is_none_or(|failed| failed == *path);
    Ok(working.len() <= 1 && working.iter().all(is_failed))
}

/// Lists the words of messages.
fn listed(forms: &[MessageForm]) -> String {
    forms.iter().map(|form| form.word).collect::<Vec<_>>().join(", ")
}
