//! A target as the rest of dmctl sees it: what its type says, whatever the type.

use std::any::Any;

use super::{
    Differences, Effect, Handover, Lower, Metadata, Prepare, Printer, Problems, Style, TargetType, Traits,
};
use crate::device::Device;
use crate::keys::KeySlot;

/// A target as the rest of dmctl sees it, whatever its type.
pub trait Typed: Send + Sync + Any {
    /// The name of its type.
    fn kind(&self) -> &str;
    /// How the kernel treats tables with it.
    fn traits(&self) -> Traits;
    /// Its parameters, printed in `style`.
    fn params(&self, style: Style) -> String;
    /// See [`TargetType::lowers`].
    fn lowers(&self, length: u64) -> Vec<Lower<'_>>;
    /// See [`TargetType::devices_mut`].
    fn devices_mut(&mut self) -> Vec<&mut Device>;
    /// See [`TargetType::keys_mut`].
    fn keys_mut(&mut self) -> Vec<KeySlot<'_>> {
        Vec::new()
    }
    /// See [`TargetType::settle`].
    fn settle(&mut self, length: u64) {
        let _ = length;
    }
    /// See [`TargetType::check`].
    fn check(&self, length: Option<u64>, problems: &mut Problems);
    /// See [`TargetType::compare`]. None when the two are of different types.
    fn compare(&self, live: &dyn Typed) -> Option<Differences>;
    /// See [`TargetType::compare_suspended`]. None when the two are of different types.
    fn compare_suspended(&self, live: &dyn Typed) -> Option<Differences> {
        self.compare(live)
    }
    /// See [`TargetType::resized`].
    fn resized(&self, length: u64, live_length: u64, differences: &mut Differences) {
        differences.field("length", &length, &live_length, Effect::Tune);
    }
    /// See [`TargetType::straight`].
    fn straight(&self) -> Option<(&Device, u64)>;
    /// See [`TargetType::rest`].
    fn rest(&self, size_of: &dyn Fn(&Device) -> Option<u64>) -> Option<Result<u64, String>>;
    /// See [`TargetType::first_length`].
    fn first_length(&self) -> Option<u64> {
        None
    }
    /// See [`TargetType::length_on_disk`].
    fn length_on_disk(&self, head: &[u8]) -> Option<u64> {
        let _ = head;
        None
    }
    /// See [`TargetType::metadata`].
    fn metadata(&self) -> Vec<Metadata<'_>>;
    /// See [`TargetType::handover`].
    fn handover(&self) -> Option<Handover<'_>> {
        None
    }
    /// See [`TargetType::loses`].
    fn loses(&self) -> Option<&'static str>;
    /// See [`TargetType::forgets`].
    fn forgets(&self) -> Option<&'static str> {
        None
    }
    /// See [`TargetType::unshown`].
    fn unshown(&self) -> Option<&'static str> {
        None
    }
    /// See [`TargetType::prepare`].
    fn prepare(&self) -> Option<Prepare<'_>> {
        None
    }
    /// See [`TargetType::volume`].
    fn volume(&self) -> Option<(&Device, u32)> {
        None
    }
    /// See [`TargetType::again`].
    fn again(&self) -> Box<dyn Typed> {
        self.boxed()
    }
    /// See [`TargetType::over`]. The same when the two are of different types.
    fn over(&self, live: &dyn Typed) -> Box<dyn Typed> {
        let _ = live;
        self.boxed()
    }
    /// Its fields as a map file writes them.
    fn fields(&self) -> toml::Table;
    /// A copy.
    fn boxed(&self) -> Box<dyn Typed>;
}

impl<T: TargetType> Typed for T {
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

    fn lowers(&self, length: u64) -> Vec<Lower<'_>> {
        TargetType::lowers(self, length)
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        TargetType::devices_mut(self)
    }

    fn keys_mut(&mut self) -> Vec<KeySlot<'_>> {
        TargetType::keys_mut(self)
    }

    fn settle(&mut self, length: u64) {
        TargetType::settle(self, length);
    }

    fn check(&self, length: Option<u64>, problems: &mut Problems) {
        TargetType::check(self, length, problems);
    }

    fn compare(&self, live: &dyn Typed) -> Option<Differences> {
        let live = (live as &dyn Any).downcast_ref::<T>()?;
        let mut differences = Differences::default();
        TargetType::compare(self, live, &mut differences);
        Some(differences)
    }

    fn compare_suspended(&self, live: &dyn Typed) -> Option<Differences> {
        let live = (live as &dyn Any).downcast_ref::<T>()?;
        let mut differences = Differences::default();
        TargetType::compare_suspended(self, live, &mut differences);
        Some(differences)
    }

    fn resized(&self, length: u64, live_length: u64, differences: &mut Differences) {
        TargetType::resized(self, length, live_length, differences);
    }

    fn straight(&self) -> Option<(&Device, u64)> {
        TargetType::straight(self)
    }

    fn rest(&self, size_of: &dyn Fn(&Device) -> Option<u64>) -> Option<Result<u64, String>> {
        TargetType::rest(self, size_of)
    }

    fn first_length(&self) -> Option<u64> {
        TargetType::first_length(self)
    }

    fn length_on_disk(&self, head: &[u8]) -> Option<u64> {
        TargetType::length_on_disk(self, head)
    }

    fn metadata(&self) -> Vec<Metadata<'_>> {
        TargetType::metadata(self)
    }

    fn handover(&self) -> Option<Handover<'_>> {
        TargetType::handover(self)
    }

    fn loses(&self) -> Option<&'static str> {
        TargetType::loses(self)
    }

    fn forgets(&self) -> Option<&'static str> {
        TargetType::forgets(self)
    }

    fn unshown(&self) -> Option<&'static str> {
        TargetType::unshown(self)
    }

    fn prepare(&self) -> Option<Prepare<'_>> {
        TargetType::prepare(self)
    }

    fn volume(&self) -> Option<(&Device, u32)> {
        TargetType::volume(self)
    }

    fn again(&self) -> Box<dyn Typed> {
        Box::new(TargetType::again(self))
    }

    fn over(&self, live: &dyn Typed) -> Box<dyn Typed> {
        match (live as &dyn Any).downcast_ref::<T>() {
            Some(live) => Box::new(TargetType::over(self, live)),
            None => self.boxed(),
        }
    }

    fn fields(&self) -> toml::Table {
        toml::Table::try_from(self).unwrap_or_default()
    }

    fn boxed(&self) -> Box<dyn Typed> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Typed> {
    fn clone(&self) -> Self {
        self.as_ref().boxed()
    }
}
