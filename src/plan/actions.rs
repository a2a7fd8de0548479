//! What the steps of a plan do, beside the steps: a plan may have a hundred thousand, and to see what one does it need
//! not be looked at, nor all of them for what none does.

use std::ops::Index;

use super::Action;

/// The actions of some steps, by their places.
#[derive(Debug, Clone, Default)]
pub struct Actions {
    all: Vec<Action>,
    occurs: [bool; Action::ALL.len()],
}

impl Actions {
    /// Adds that of the next step.
    pub fn push(&mut self, action: Action) {
        self.all.push(action);
        self.occurs[action as usize] = true;
    }

    /// Whether one of these occurs.
    pub fn any(&self, of: &[Action]) -> bool {
        of.iter().any(|action| self.occurs[*action as usize])
    }
}

impl Index<usize> for Actions {
    type Output = Action;

    fn index(&self, step: usize) -> &Action {
        &self.all[step]
    }
}
