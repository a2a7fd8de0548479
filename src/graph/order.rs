//! From the bottom up: each device after those it stands on.

use std::collections::{BTreeMap, BTreeSet};

/// Sorts what was sorted by something else before, which stays the order where this leaves a choice. `below` gives
/// what stands below by the same ids as `id`; what is not among the items doesn't count. The kernel can have a
/// circle, though nothing can be read through it: that is entered at its first member.
pub(crate) fn bottom_up<T, I: Ord + Clone>(
    mut left: Vec<T>,
    id: impl Fn(&T) -> I,
    below: impl Fn(&T) -> BTreeSet<I>,
) -> Vec<T> {
    let known: BTreeSet<I> = left.iter().map(&id).collect();
    let mut waits: BTreeMap<I, usize> = BTreeMap::new();
    let mut above: BTreeMap<I, Vec<I>> = BTreeMap::new();
    for item in &left {
        let lowers: Vec<I> = below(item).into_iter().filter(|lower| known.contains(lower)).collect();
        waits.insert(id(item), lowers.len());
        for lower in lowers {
            above.entry(lower).or_default().push(id(item));
        }
    }
    let mut sorted = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let free = |item: &T| waits.get(&id(item)).is_none_or(|count| *count == 0);
        let (mut ready, mut waiting): (Vec<T>, Vec<T>) = left.into_iter().partition(free);
        if ready.is_empty() {
            ready.push(waiting.remove(0));
        }
        for upper in ready.iter().filter_map(|item| above.get(&id(item))).flatten() {
            if let Some(count) = waits.get_mut(upper) {
                *count = count.saturating_sub(1);
            }
        }
        sorted.extend(ready);
        left = waiting;
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_comes_before() {
        let sorted = |pairs: &[(u8, &[u8])]| -> Vec<u8> {
            let below = |item: &(u8, &[u8])| item.1.iter().copied().collect();
            bottom_up(pairs.to_vec(), |item| item.0, below).into_iter().map(|item| item.0).collect()
        };
        assert_eq!(sorted(&[(1, &[2]), (2, &[3, 9]), (3, &[]), (4, &[])]), [3, 4, 2, 1]);
        assert_eq!(sorted(&[(1, &[2]), (2, &[1]), (3, &[2])]), [1, 2, 3]);
        assert_eq!(sorted(&[(1, &[1])]), [1]);
    }
}
