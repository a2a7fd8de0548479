//! A target as the rest of dmctl sees it: what its type says, whatever the type.

use std::any::Any;

use super::{
    Differences, Effect, Handover, Lower, Metadata, Prepare, Printer, Problems, Style, TargetKind, Traits,
};
use crate::device::Device;
use crate::keys::KeySlot;
use crate::units::Sectors;

/// A target as the rest of dmctl sees it, whatever its type.
pub trait Target: Send + Sync + Any {
    /// The name of its type.
    fn kind(&self) -> &str;
    /// How the kernel treats tables with it.
    fn traits(&self) -> Traits;
    /// Its parameters, printed in `style`.
    fn params(&self, style: Style) -> String;
    /// See [`TargetKind::lower_devices`].
    fn lower_devices(&self, length: u64) -> Vec<Lower<'_>>;
    /// See [`TargetKind::devices_mut`].
    fn devices_mut(&mut self) -> Vec<&mut Device>;
    /// See [`TargetKind::keys_mut`].
    fn keys_mut(&mut self) -> Vec<KeySlot<'_>> {
        Vec::new()
    }
    /// See [`TargetKind::settle`].
    fn settle(&mut self, length: u64) {
        let _ = length;
    }
    /// See [`TargetKind::check`].
    fn check(&self, length: Option<u64>, problems: &mut Problems);
    /// See [`TargetKind::compare`]. None when the two are of different types.
    fn compare(&self, live: &dyn Target) -> Option<Differences>;
    /// See [`TargetKind::compare_suspended`]. None when the two are of different types.
    fn compare_suspended(&self, live: &dyn Target) -> Option<Differences> {
        self.compare(live)
    }
    /// See [`TargetKind::resized`].
    fn resized(&self, length: u64, live_length: u64, differences: &mut Differences) {
        differences.field("length", &Sectors(length), &Sectors(live_length), Effect::Tune);
    }
    /// See [`TargetKind::straight`].
    fn straight(&self) -> Option<(&Device, u64)>;
    /// See [`TargetKind::rest`].
    fn rest(&self, size_of: &dyn Fn(&Device) -> Option<u64>) -> Option<Result<u64, String>>;
    /// See [`TargetKind::first_length`].
    fn first_length(&self) -> Option<u64> {
        None
    }
    /// See [`TargetKind::length_on_disk`].
    fn length_on_disk(&self, head: &[u8]) -> Option<u64> {
        let _ = head;
        None
    }
    /// See [`TargetKind::metadata`].
    fn metadata(&self) -> Vec<Metadata<'_>>;
    /// See [`TargetKind::handover`].
    fn handover(&self) -> Option<Handover<'_>> {
        None
    }
    /// See [`TargetKind::loses`].
    fn loses(&self) -> Option<&'static str>;
    /// See [`TargetKind::forgets`].
    fn forgets(&self) -> Option<&'static str> {
        None
    }
    /// See [`TargetKind::unshown`].
    fn unshown(&self) -> Option<&'static str> {
        None
    }
    /// See [`TargetKind::prepare`].
    fn prepare(&self) -> Option<Prepare<'_>> {
        None
    }
    /// See [`TargetKind::volume`].
    fn volume(&self) -> Option<(&Device, u32)> {
        None
    }
    /// See [`TargetKind::again`].
    fn again(&self) -> Box<dyn Target> {
        self.boxed()
    }
    /// See [`TargetKind::over`]. The same when the two are of different types.
    fn over(&self, live: &dyn Target) -> Box<dyn Target> {
        let _ = live;
        self.boxed()
    }
    /// Its fields as a map file writes them.
    fn fields(&self) -> toml::Table;
    /// A copy.
    fn boxed(&self) -> Box<dyn Target>;
}

impl<T: TargetKind> Target for T {
    fn kind(&self) -> &str {
        T::NAME
    }

    fn traits(&self) -> Traits {
        T::TRAITS
    }

    fn params(&self, style: Style) -> String {
        let mut out = Printer::new(style);
        self.print(&mut out);
        out.finish()
    }

    fn lower_devices(&self, length: u64) -> Vec<Lower<'_>> {
        TargetKind::lower_devices(self, length)
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        TargetKind::devices_mut(self)
    }

    fn keys_mut(&mut self) -> Vec<KeySlot<'_>> {
        TargetKind::keys_mut(self)
    }

    fn settle(&mut self, length: u64) {
        TargetKind::settle(self, length);
    }

    fn check(&self, length: Option<u64>, problems: &mut Problems) {
        TargetKind::check(self, length, problems);
    }

    fn compare(&self, live: &dyn Target) -> Option<Differences> {
        let live = (live as &dyn Any).downcast_ref::<T>()?;
        let mut differences = Differences::default();
        TargetKind::compare(self, live, &mut differences);
        Some(differences)
    }

    fn compare_suspended(&self, live: &dyn Target) -> Option<Differences> {
        let live = (live as &dyn Any).downcast_ref::<T>()?;
        let mut differences = Differences::default();
        TargetKind::compare_suspended(self, live, &mut differences);
        Some(differences)
    }

    fn resized(&self, length: u64, live_length: u64, differences: &mut Differences) {
        TargetKind::resized(self, length, live_length, differences);
    }

    fn straight(&self) -> Option<(&Device, u64)> {
        TargetKind::straight(self)
    }

    fn rest(&self, size_of: &dyn Fn(&Device) -> Option<u64>) -> Option<Result<u64, String>> {
        TargetKind::rest(self, size_of)
    }

    fn first_length(&self) -> Option<u64> {
        TargetKind::first_length(self)
    }

    fn length_on_disk(&self, head: &[u8]) -> Option<u64> {
        TargetKind::length_on_disk(self, head)
    }

    fn metadata(&self) -> Vec<Metadata<'_>> {
        TargetKind::metadata(self)
    }

    fn handover(&self) -> Option<Handover<'_>> {
        TargetKind::handover(self)
    }

    fn loses(&self) -> Option<&'static str> {
        TargetKind::loses(self)
    }

    fn forgets(&self) -> Option<&'static str> {
        TargetKind::forgets(self)
    }

    fn unshown(&self) -> Option<&'static str> {
        TargetKind::unshown(self)
    }

    fn prepare(&self) -> Option<Prepare<'_>> {
        TargetKind::prepare(self)
    }

    fn volume(&self) -> Option<(&Device, u32)> {
        TargetKind::volume(self)
    }

    fn again(&self) -> Box<dyn Target> {
        Box::new(TargetKind::again(self))
    }

    fn over(&self, live: &dyn Target) -> Box<dyn Target> {
        match (live as &dyn Any).downcast_ref::<T>() {
            Some(live) => Box::new(TargetKind::over(self, live)),
            None => self.boxed(),
        }
    }

    fn fields(&self) -> toml::Table {
        toml::Table::try_from(self).unwrap_or_default()
    }

    fn boxed(&self) -> Box<dyn Target> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Target> {
    fn clone(&self) -> Self {
        self.as_ref().boxed()
    }
}
