//! Things sorted so that each comes after all that it waits for.

use super::mappings::Neighbours;

/// How far the search has come with one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Search {
    /// Not there yet.
    Ahead,
    /// Somewhere among what it waits for.
    Inside,
    /// Through with it.
    Done,
    /// Through with it: it waits in a circle, or for one that does.
    Circle,
}

/// Sorts things that are known by their places, one at a time: what each waits for is asked just before it comes.
pub struct Sorting {
    search: Vec<Search>,
    /// All before this place were begun.
    begun: usize,
    /// Where the search is: what is to be looked at, the next one last.
    path: Vec<usize>,
    /// What those wait for that the search is inside of.
    waits: Vec<Neighbours>,
    /// Those that wait in a circle or for one that does, with what they wait for.
    left: Vec<(usize, Neighbours)>,
}

impl Sorting {
    /// Of so many things.
    pub fn of(count: usize) -> Self {
        let search = vec![Search::Ahead; count];
        Self { search, begun: 0, path: Vec::new(), waits: Vec::new(), left: Vec::new() }
    }

    /// The next one, with what it waits for: in order, but that each comes after what it waits for. None when there are
    /// only circles left.
    pub fn next(&mut self, waits_for: impl Fn(usize) -> Neighbours) -> Option<(usize, Neighbours)> {
        loop {
            let Some(place) = self.path.last().copied() else {
                if self.begun == self.search.len() {
                    return None;
                }
                self.path.push(self.begun);
                self.begun += 1;
                continue;
            };
            match self.search[place] {
                Search::Ahead => {
                    self.search[place] = Search::Inside;
                    let waits = waits_for(place);
                    let ahead = waits.iter().rev().filter(|other| self.search[**other] == Search::Ahead);
                    self.path.extend(ahead);
                    self.waits.push(waits);
                }
                Search::Inside => {
                    self.path.pop();
                    let waits = self.waits.pop().unwrap_or_default();
                    if !waits.iter().any(|other| self.circles(*other)) {
                        self.search[place] = Search::Done;
                        return Some((place, waits));
                    }
                    self.search[place] = Search::Circle;
                    self.left.push((place, waits));
                }
                Search::Done | Search::Circle => {
                    self.path.pop();
                }
            }
        }
    }

    fn circles(&self, other: usize) -> bool {
        matches!(self.search[other], Search::Inside | Search::Circle)
    }

    /// Those that no turn came to, by place: they wait in a circle, or for one that does.
    pub fn left(mut self) -> Vec<(usize, Neighbours)> {
        self.left.sort_by_key(|(place, _)| *place);
        self.left
    }
}
