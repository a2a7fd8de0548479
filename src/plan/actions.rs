//! Which actions occur in a plan: a plan may have a hundred thousand steps, and need not be searched for what it has
//! none of.

use super::Action;

/// The actions that occur among some steps.
#[derive(Debug, Clone, Copy, Default)]
pub struct Actions([bool; Action::ALL.len()]);

impl Actions {
    /// Notes that this one occurs.
    pub fn add(&mut self, action: Action) {
        self.0[action as usize] = true;
    }

    /// Whether one of these occurs.
    pub fn any(self, of: &[Action]) -> bool {
        of.iter().any(|action| self.0[*action as usize])
    }
}
