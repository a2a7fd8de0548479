//! Selects a part of a map by `--stack`.

use std::collections::BTreeSet;

use crate::config::{Loaded, Map};
use crate::identity::Key;
use anyhow::anyhow;

use super::complete;
use super::exit::Exit;
use super::failure::Failure;

/// The stacks that are selected.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Selection {
    /// Only the stack that this mapping is part of: it, its lower and its upper devices. Nothing is
    /// pruned then
    #[arg(long = "stack", value_name = "KEY,..", value_delimiter = ',', value_parser = Key::new, add = complete::keys())]
    keys: Vec<Key>,
}

impl Selection {
    /// Keeps the selected stacks of a map.
    pub(crate) fn narrow(&self, loaded: &mut Loaded) -> Result<(), Failure> {
        match &mut loaded.map {
            Some(map) if !self.keys.is_empty() => self.keep(map),
            _ => Ok(()),
        }
    }

    fn keep(&self, map: &mut Map) -> Result<(), Failure> {
        let stacks = map.stacks();
        let mut keys = BTreeSet::new();
        for key in &self.keys {
            match stacks.iter().find(|stack| stack.keys.contains(key)) {
                Some(stack) => keys.extend(stack.keys.iter().cloned()),
                None if map.mappings.contains_key(key) => keys.extend([key.clone()]),
                None => {
                    return Err(Failure::new(Exit::Error, anyhow!("the map has no mapping `{key}`"))
                        .hint("`dmctl stacks` names the stacks of a map"));
                }
            }
        }
        map.keep(&keys);
        map.rest.get_or_insert_default().selected.clone_from(&self.keys);
        Ok(())
    }
}
