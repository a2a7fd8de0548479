//! The part of a target whose signatures name its own type, for callers that do not know that type.

use std::any::Any;

use super::{Differences, Printer, Style, Target, TargetKind, Traits};

/// What [`TargetKind`] gives a [`Target`], with the type erased. Implemented once for every target type.
pub trait ErasedTarget {
    /// Returns the name of the type.
    fn kind(&self) -> &str;
    /// Returns how the kernel treats tables with it.
    fn traits(&self) -> Traits;
    /// Prints the parameters in `style`.
    fn params(&self, style: Style) -> String;
    /// See [`TargetKind::compare`]. `None` when the two are of different types.
    fn compare(&self, live: &dyn Target) -> Option<Differences>;
    /// See [`TargetKind::compare_suspended`]. `None` when the two are of different types.
    fn compare_suspended(&self, live: &dyn Target) -> Option<Differences>;
    /// See [`TargetKind::for_export`].
    fn for_export(&self) -> Box<dyn Target>;
    /// See [`TargetKind::for_reload`]. A copy when the two are of different types.
    fn for_reload(&self, live: &dyn Target) -> Box<dyn Target>;
    /// Returns the fields as a map file writes them.
    fn fields(&self) -> toml::Table;
    /// Copies the target.
    fn boxed(&self) -> Box<dyn Target>;
}

impl<T: TargetKind> ErasedTarget for T {
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

    fn compare(&self, live: &dyn Target) -> Option<Differences> {
        let mut differences = Differences::default();
        TargetKind::compare(self, of_type(live)?, &mut differences);
        Some(differences)
    }

    fn compare_suspended(&self, live: &dyn Target) -> Option<Differences> {
        let mut differences = Differences::default();
        TargetKind::compare_suspended(self, of_type(live)?, &mut differences);
        Some(differences)
    }

    fn for_export(&self) -> Box<dyn Target> {
        Box::new(TargetKind::for_export(self))
    }

    fn for_reload(&self, live: &dyn Target) -> Box<dyn Target> {
        match of_type(live) {
            Some(live) => Box::new(TargetKind::for_reload(self, live)),
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

/// Returns the target behind `dyn Target` when it is a `T`.
fn of_type<T: TargetKind>(target: &dyn Target) -> Option<&T> {
    (target as &dyn Any).downcast_ref()
}

impl Clone for Box<dyn Target> {
    fn clone(&self) -> Self {
        self.as_ref().boxed()
    }
}
