//! Where systemd runs at that moment of the boot.

/// The place that systemd runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The initramfs, which has the stacks with the boot option `x-initrd.attach` and no others.
    Initrd,
    System,
}
