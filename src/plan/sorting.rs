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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COUNT: usize = 7;

    /// For each pair whether the second can be reached from the first, by trying every way.
    fn reach(waits: &[Neighbours]) -> [[bool; COUNT]; COUNT] {
        let mut reach = [[false; COUNT]; COUNT];
        for (from, others) in waits.iter().enumerate() {
            for to in others {
                reach[from][*to] = true;
            }
        }
        for through in 0..COUNT {
            for from in 0..COUNT {
                for to in 0..COUNT {
                    reach[from][to] |= reach[from][through] && reach[through][to];
                }
            }
        }
        reach
    }

    /// Sorts them, and tells which came, in that order, and which were left.
    fn sorted(waits: &[Neighbours]) -> (Vec<usize>, Vec<usize>) {
        let mut sorting = Sorting::of(waits.len());
        let mut came = Vec::new();
        while let Some((place, own)) = sorting.next(|place| waits[place].clone()) {
            assert_eq!(own, waits[place]);
            came.push(place);
        }
        assert!(sorting.next(|place| waits[place].clone()).is_none());
        (came, sorting.left().into_iter().map(|(place, _)| place).collect())
    }

    proptest! {
        #[test]
        fn each_comes_after_what_it_waits_for_and_circles_are_left(
            pairs in prop::collection::vec((0..COUNT, 0..COUNT), 0..12),
        ) {
            let mut waits = vec![Neighbours::new(); COUNT];
            for (from, to) in pairs {
                waits[from].push(to);
            }
            let (came, left) = sorted(&waits);
            let reach = reach(&waits);
            let in_circle = |place: usize| reach[place][place];
            let leads = |place: &usize| (0..COUNT).any(|other| reach[*place][other] && in_circle(other));
            prop_assert_eq!(&left, &(0..COUNT).filter(leads).collect::<Vec<_>>());
            prop_assert_eq!(came.len() + left.len(), COUNT);
            for (turn, place) in came.iter().enumerate() {
                prop_assert!(waits[*place].iter().all(|other| came[..turn].contains(other)), "{}", place);
            }
        }
    }

    #[test]
    fn what_need_not_wait_keeps_its_order() {
        let waits = [&[2][..], &[], &[], &[0, 1]].map(Neighbours::from_slice);
        assert_eq!(sorted(&waits), (vec![2, 0, 1, 3], vec![]));
    }
}
