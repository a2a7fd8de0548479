//! Which steps each mapping has.

use std::ops::Range;

/// Which steps each mapping has: they stand together, in the order of the mappings; steps of none come last.
pub struct Own {
    /// For each mapping, by its place, the first step that is not of a mapping before; and one more for the end.
    starts: Vec<usize>,
}

impl Own {
    /// None yet, with room for that many mappings.
    pub fn with_capacity(mappings: usize) -> Self {
        Self { starts: Vec::with_capacity(mappings + 1) }
    }

    /// The steps of the mapping at `place`, and of no more of those before it, begin with `step`. The place behind the
    /// last mapping ends it.
    pub fn begin(&mut self, place: usize, step: usize) {
        self.starts.resize(place + 1, step);
    }

    /// The steps of the mapping at `place`.
    pub fn of(&self, place: usize) -> Range<usize> {
        self.starts[place]..self.starts[place + 1]
    }

    /// The steps of each mapping.
    pub fn all(&self) -> impl Iterator<Item = Range<usize>> {
        self.starts.windows(2).map(|pair| pair[0]..pair[1])
    }

    /// The place of its mapping and itself, for each step of a mapping.
    pub fn each(&self) -> impl Iterator<Item = (usize, usize)> {
        self.all().enumerate().flat_map(|(place, steps)| steps.map(move |step| (place, step)))
    }
}
