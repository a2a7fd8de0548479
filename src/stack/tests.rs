use proptest::prelude::*;

use super::*;

position! {
    /// A node of a test.
    struct Node;
}

const COUNT: usize = 7;

/// Builds stacks of [`COUNT`] nodes from pairs of an upper and a lower one.
fn stacks(uses: &[(usize, usize)]) -> Stacks<Node> {
    let mut stacks = Stacks::with_capacity(COUNT);
    for _ in 0..COUNT {
        stacks.push(Positions::new());
    }
    for (upper, lower) in uses {
        stacks.join(Node::new(*upper), Node::new(*lower));
    }
    stacks
}

fn numbers(nodes: &[Node]) -> Vec<usize> {
    nodes.iter().map(|node| node.index()).collect()
}

/// Returns for each pair whether the first uses the second, directly or not, found by trying every way.
fn reach(uses: &[(usize, usize)]) -> [[bool; COUNT]; COUNT] {
    let mut reach = [[false; COUNT]; COUNT];
    for (upper, lower) in uses {
        reach[*upper][*lower] = true;
    }
    for through in 0..COUNT {
        for upper in 0..COUNT {
            for lower in 0..COUNT {
                reach[upper][lower] |= reach[upper][through] && reach[through][lower];
            }
        }
    }
    reach
}

/// Walks lower first; returns the nodes that came, in that order, and those that were left.
fn lower_first(stacks: &Stacks<Node>) -> (Vec<usize>, Vec<usize>) {
    let mut walk = LowerFirst::new(stacks.len());
    let mut came = Vec::new();
    let below = |node| Positions::from_slice(stacks.below(node));
    while let Some((node, lowers)) = walk.next(below) {
        assert_eq!(*lowers, *stacks.below(node));
        came.push(node.index());
    }
    assert!(walk.next(below).is_none());
    (came, walk.left().iter().map(|(node, _)| node.index()).collect())
}

/// Returns the order of [`Stacks::bottom_up`], found the slow way: nodes that use none of the remaining ones come next.
fn level_by_level(uses: &[(usize, usize)]) -> Vec<usize> {
    let (mut left, mut sorted): (Vec<usize>, Vec<usize>) = ((0..COUNT).collect(), Vec::new());
    while !left.is_empty() {
        let waits = |node: &usize| uses.iter().any(|(upper, lower)| upper == node && left.contains(lower));
        let (mut level, mut rest): (Vec<usize>, Vec<usize>) = left.iter().partition(|node| !waits(node));
        if level.is_empty() {
            level.push(rest.remove(0));
        }
        sorted.extend(level);
        left = rest;
    }
    sorted
}

fn uses() -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((0..COUNT, 0..COUNT), 0..14)
}

proptest! {
    #[test]
    fn below_above_and_paths_are_what_every_way_tells(uses in uses()) {
        let (stacks, reach) = (stacks(&uses), reach(&uses));
        for (upper, row) in stacks.positions().zip(reach) {
            for (lower, reached) in stacks.positions().zip(row) {
                let count = |nodes: &[Node], node| nodes.iter().filter(|other| **other == node).count();
                prop_assert_eq!(count(stacks.below(upper), lower), count(stacks.above(lower), upper));
                prop_assert_eq!(stacks.is_above(upper, lower), reached);
                let Some(path) = stacks.path(upper, lower) else { continue };
                prop_assert_eq!((path[0], path[path.len() - 1]), (upper, lower));
                prop_assert!(path.windows(2).all(|pair| stacks.below(pair[0]).contains(&pair[1])));
            }
        }
    }

    #[test]
    fn bottom_up_is_level_by_level_and_levels_are_the_longest_ways(uses in uses()) {
        let (stacks, reach) = (stacks(&uses), reach(&uses));
        let sorted = numbers(&stacks.bottom_up());
        prop_assert_eq!(&sorted, &level_by_level(&uses));
        let levels = stacks.levels().into_vec();
        let place = |node: &usize| sorted.iter().position(|other| other == node);
        for (upper, lower) in uses.iter().filter(|(upper, lower)| place(lower) < place(upper)) {
            prop_assert!(levels[*upper] > levels[*lower]);
        }
        for (node, level) in levels.iter().enumerate().filter(|(_, level)| **level > 0) {
            let mut below = uses.iter().filter(|(upper, _)| *upper == node).map(|(_, lower)| levels[*lower]);
            prop_assert!(below.any(|lower| lower + 1 == *level));
        }
        if (0..COUNT).all(|node| !reach[node][node]) {
            prop_assert!(sorted.is_sorted_by_key(|node| (levels[*node], *node)));
        }
    }

    #[test]
    fn each_comes_after_all_below_it_and_circles_are_left(uses in uses()) {
        let (stacks, reach) = (stacks(&uses), reach(&uses));
        let (came, left) = lower_first(&stacks);
        let inside = |node: &usize| reach[*node][*node];
        let circular = |node: &usize| (0..COUNT).any(|other| reach[*node][other] && inside(&other));
        prop_assert_eq!(&left, &(0..COUNT).filter(circular).collect::<Vec<_>>());
        prop_assert_eq!(came.len() + left.len(), COUNT);
        for (turn, node) in came.iter().enumerate() {
            let below = numbers(stacks.below(Node::new(*node)));
            prop_assert!(below.iter().all(|lower| came[..turn].contains(lower)), "{}", node);
        }
        let found = stacks.circular();
        prop_assert_eq!(numbers(&found.inside), (0..COUNT).filter(inside).collect::<Vec<_>>());
        let above = numbers(&found.above);
        prop_assert_eq!(
            above.iter().copied().collect::<std::collections::BTreeSet<_>>(),
            left.into_iter().filter(|node| !inside(node)).collect()
        );
        for (turn, node) in above.iter().enumerate() {
            prop_assert!(above[turn + 1..].iter().all(|later| !reach[*node][*later]));
        }
    }

    #[test]
    fn circles_lead_back_and_there_is_one_where_a_node_uses_itself(uses in uses()) {
        let (stacks, reach) = (stacks(&uses), reach(&uses));
        let circles: Vec<Vec<Edge<Node>>> = stacks.circles().collect();
        prop_assert_eq!(circles.is_empty(), (0..COUNT).all(|node| !reach[node][node]));
        for circle in &circles {
            let next = circle.iter().cycle().skip(1);
            prop_assert!(circle.iter().zip(next).all(|(edge, next)| edge.lower == next.upper));
            prop_assert!(circle.iter().all(|edge| stacks.below(edge.upper)[edge.nth] == edge.lower));
            let nodes: std::collections::BTreeSet<Node> = circle.iter().map(|edge| edge.upper).collect();
            prop_assert_eq!(nodes.len(), circle.len());
        }
        // Without the use that closes each circle the stacks have none.
        let mut cut = uses;
        for Edge { upper, lower, .. } in circles.iter().filter_map(|circle| circle.last()) {
            let place = cut.iter().position(|pair| *pair == (upper.index(), lower.index()));
            place.map(|place| cut.remove(place));
        }
        prop_assert!(super::tests::stacks(&cut).circles().next().is_none());
    }

    #[test]
    fn parts_have_nothing_to_do_with_each_other(uses in uses()) {
        let both: Vec<_> = uses.iter().flat_map(|(one, two)| [(*one, *two), (*two, *one)]).collect();
        let reach = reach(&both);
        let parts: Vec<Vec<usize>> = stacks(&uses).parts().iter().map(|part| numbers(part)).collect();
        let of = |first: usize| (0..COUNT).filter(|node| *node == first || reach[first][*node]).collect();
        let firsts = (0..COUNT).filter(|node| (0..*node).all(|before| !reach[*node][before]));
        prop_assert_eq!(parts, firsts.map(of).collect::<Vec<Vec<usize>>>());
    }
}

#[test]
fn what_need_not_wait_keeps_its_order() {
    let stacks = stacks(&[(0, 2), (3, 0), (3, 1)]);
    assert_eq!(lower_first(&stacks), (vec![2, 0, 1, 3, 4, 5, 6], vec![]));
    assert_eq!(numbers(&stacks.bottom_up()), [1, 2, 4, 5, 6, 0, 3]);
}

#[test]
fn a_circle_is_entered_at_its_first_node() {
    assert_eq!(numbers(&stacks(&[(1, 2), (2, 1), (0, 2)]).bottom_up()), [3, 4, 5, 6, 0, 1, 2]);
    assert_eq!(numbers(&stacks(&[(0, 0)]).bottom_up()), [1, 2, 3, 4, 5, 6, 0]);
}

#[test]
fn a_node_between_two_circles_is_in_none() {
    let found = stacks(&[(0, 1), (1, 0), (2, 1), (3, 2), (3, 3), (4, 3)]).circular();
    assert_eq!((numbers(&found.inside), numbers(&found.above)), (vec![0, 1, 3], vec![2, 4]));
}

#[test]
fn the_first_way_down_is_told() {
    let path =
        |uses: &[(usize, usize)]| stacks(uses).path(Node::new(0), Node::new(3)).map(|path| numbers(&path));
    assert_eq!(path(&[(0, 1), (0, 3), (1, 2), (2, 3)]), Some(vec![0, 1, 2, 3]));
    assert_eq!(path(&[(0, 1), (1, 0), (3, 0)]), None);
}

#[test]
fn names_find_their_positions_and_others_do_not_count() {
    let nodes = [("top", vec!["low", "other"]), ("low", vec![]), ("top", vec!["top"])];
    let stacks: NamedStacks<&str, Node> = nodes.into_iter().collect();
    let top = stacks.position(&"top").unwrap();
    assert_eq!((stacks.len(), stacks.below(top).len()), (2, 1));
    assert_eq!(*stacks.name(stacks.below(top)[0]), "low");
    assert_eq!(stacks.position(&"other"), None);
}

#[test]
fn all_that_can_be_reached_comes_once_and_nearest_first() {
    let below = |node: u8| if node > 1 { vec![node - 1, node / 2] } else { vec![5] };
    let (mut reach, mut found) = (Reach::from_iter([5, 5]), Vec::new());
    while let Some(node) = reach.next() {
        found.push(node);
        reach.extend(below(node));
    }
    assert_eq!(found, [5, 4, 2, 3, 1]);
}

/// A walk that is quadratic or recursive would not end on a chain of this length.
#[test]
fn a_chain_may_be_long() {
    const LONG: usize = 100_000;
    let chain = |last: Option<usize>| -> Stacks<Node> {
        let below = |node: usize| if node + 1 < LONG { Some(node + 1) } else { last };
        (0..LONG).map(|node| below(node).map(Node::new).into_iter().collect()).collect()
    };
    let (open, closed) = (chain(None), chain(Some(0)));
    let (top, bottom) = (Node::new(0), Node::new(LONG - 1));
    assert_eq!((open.bottom_up()[0], open.levels()[top]), (bottom, LONG - 1));
    assert_eq!((open.parts().len(), open.circles().count()), (1, 0));
    assert!(open.is_above(top, bottom) && !open.is_above(bottom, top));
    assert_eq!(lower_first(&open).0.len(), LONG);
    assert_eq!((lower_first(&closed).1.len(), closed.bottom_up().len()), (LONG, LONG));
    assert_eq!(closed.circles().map(|circle| circle.len()).collect::<Vec<_>>(), [LONG]);
    assert_eq!(closed.circular().inside.len(), LONG);
}
