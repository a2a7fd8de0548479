//! Which device uses which, as it is drawn.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

use std::collections::BTreeSet;

use dmctl::config;
use dmctl::graph::{self, Graph, Kind, Node, State};
use dmctl::identity::DevNum;
use dmctl::kernel::simulated::{self, Disk, Simulated};
use dmctl::render::ColorMode;
use dmctl::render::graph as drawn;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A kernel with a disk of 1 GiB at 8:0 and 8:16, and these mappings: name, uuid, and the lower devices.
fn kernel(mappings: &[(&str, &str, &[&str])]) -> Simulated {
    let disk = |number: &str, path: &str| json!({ "number": number, "sectors": 1 << 21, "paths": [path] });
    let mapping = |(minor, (name, uuid, lowers)): (usize, &(&str, &str, &[&str]))| {
        let rows = lowers.iter().enumerate().map(|(row, lower)| {
            json!({ "start": row * 2048, "length": 2048, "type": "linear", "params": format!("{lower} 0") })
        });
        json!({ "name": name, "uuid": uuid, "number": format!("254:{minor}"), "live": rows.collect::<Vec<Value>>() })
    };
    let state = json!({
        "format_version": 1,
        "block_devices": [disk("8:0", "/dev/disk/by-id/one"), disk("8:16", "/dev/vdb")],
        "mappings": mappings.iter().enumerate().map(mapping).collect::<Vec<Value>>(),
    });
    Simulated::new(&simulated::State::parse(&state.to_string(), "state").unwrap()).unwrap()
}

fn tree(kernel: &Simulated) -> String {
    drawn::text(&graph::read(kernel).unwrap(), ColorMode::Plain)
}

#[test]
fn a_tree_grows_from_the_disks() {
    let kernel = kernel(&[
        ("both", "DMCTL-lab-both", &["8:0", "8:16"]),
        ("one", "DMCTL-lab-one", &["254:0"]),
        ("two", "LVM-two", &["254:0"]),
        ("empty", "x", &[]),
    ]);
    let expected = "\
/dev/disk/by-id/one  8:0    1.0 GiB
└─both               254:0  2.0 MiB  linear  [lab: both]
  ├─one              254:1  1.0 MiB  linear  [lab: one]
  └─two              254:2  1.0 MiB  linear  [LVM]
/dev/vdb             8:16   1.0 GiB
└─both               254:0  2.0 MiB  linear  (above)  [lab: both]
empty                254:3      0 B          empty
";
    assert_eq!(tree(&kernel), expected);
}

#[test]
fn what_another_driver_has_above_a_mapping_is_drawn_by_its_name() {
    let (array, looped) = (DevNum::new(9, 0), DevNum::new(7, 20));
    let mut state = kernel(&[("data", "one", &["8:0"])]).state();
    state.mappings[0].holders = vec![array];
    state.mappings[0].open_count = 1;
    // The array has no path, and so not a name either.
    state.block_devices.push(Disk { holders: vec![looped], ..Disk::new(array, 4096) });
    let paths = vec!["/dev/loop20".to_string()];
    state.block_devices.push(Disk { paths, mounts: vec!["/srv".to_string()], ..Disk::new(looped, 4096) });
    let tree = tree(&Simulated::new(&state).unwrap());
    for line in ["└─data ", "  └─9:0 ", "    └─/dev/loop20 "] {
        assert!(tree.lines().any(|other| other.starts_with(line)), "{line:?} is not in\n{tree}");
    }
}

#[test]
fn a_circle_is_drawn_and_ends() {
    let kernel = kernel(&[("a", "a", &["254:1"]), ("b", "b", &["254:0"])]);
    let drawn = tree(&kernel);
    assert_eq!(drawn.lines().count(), 3, "{drawn}");
    assert_eq!(drawn.matches("in a circle").count(), 3, "{drawn}");
    assert!(drawn::svg(&graph::read(&kernel).unwrap()).contains(">b</text>"));
}

#[test]
fn a_map_marks_what_is_missing_drifted_and_to_be_done() {
    let kernel = kernel(&[("old", "DMCTL-lab-old", &["8:0"]), ("left", "DMCTL-lab-left", &["8:16"])]);
    let map = config::parse_str(
        "map.toml",
        "format = 1\nowner = 'lab'\n\
         [mappings.old]\ntargets = [{ type = 'linear', length = '2MiB', device = '8:0' }]\n\
         [mappings.new]\ntargets = [{ type = 'linear', length = '1MiB', device = '@old', offset = '1MiB' }]\n\
         [mappings.gone]\nstate = 'absent'\n",
    );
    let graph = graph::with_map(&kernel, &map.map.unwrap()).unwrap();
    let expected = "\
/dev/disk/by-id/one  8:0    1.0 GiB
└─old                254:0  1.0 MiB  linear  drifted  -> reload  [lab: old]
  └─new              -      1.0 MiB  linear  missing  -> create  [lab: new]
/dev/vdb             8:16   1.0 GiB
└─left               254:1  1.0 MiB  linear  leftover  [lab: left]
";
    assert_eq!(drawn::text(&graph, ColorMode::Plain), expected);
    let document = serde_json::to_value(&graph).unwrap();
    let nodes = document["nodes"].as_array().unwrap();
    let new = nodes.iter().find(|node| node["id"] == "@new").unwrap();
    assert_eq!(
        (&new["below"], &new["state"], &new["pending"]),
        (&json!(["254:0"]), &json!("missing"), &json!(["create"]))
    );
}

#[test]
fn a_lower_device_that_is_not_found_is_drawn_with_the_reason() {
    let kernel = kernel(&[("old", "DMCTL-lab-old", &["8:0"])]);
    let map = config::parse_str(
        "map.toml",
        "format = 1\nowner = 'lab'\n\
         [mappings.old]\ntargets = [{ type = 'linear', length = '1MiB', device = '/dev/disk/by-id/gone' }]\n\
         [mappings.new]\ntargets = [{ type = 'linear', length = '1MiB', device = 'LABEL=my data' }]\n\
         [mappings.more]\ntargets = [{ type = 'linear', length = '1MiB', device = 'LABEL=my data', offset = '1MiB' }]\n",
    );
    let graph = graph::with_map(&kernel, &map.map.unwrap()).unwrap();
    let expected = "\
/dev/disk/by-id/gone  -            ?          does not exist
└─old                 254:0  1.0 MiB  linear  unknown  [lab: old]
/dev/disk/by-id/one   8:0    1.0 GiB
└─old                 254:0  1.0 MiB  linear  unknown  [lab: old]
LABEL=my\\x20data      -            ?          does not exist
├─more                -            ?  linear  missing  drifted  -> conflict  [lab: more]
└─new                 -            ?  linear  missing  drifted  -> conflict  [lab: new]
";
    assert_eq!(drawn::text(&graph, ColorMode::Plain), expected);
    let document = serde_json::to_value(&graph).unwrap();
    let nodes = document["nodes"].as_array().unwrap();
    let label = nodes.iter().find(|node| node["id"] == "LABEL=my\\x20data").unwrap();
    assert_eq!((&label["state"], &label["absence"]), (&json!("missing"), &json!("does not exist")));
}

#[test]
fn names_stay_names() {
    let hostile = "a\"]<script>;&\\n\u{1b}[31m\u{202e}'é";
    let graph = graph::read(&kernel(&[(hostile, "\"<&", &["8:0"])])).unwrap();
    let all = [
        drawn::text(&graph, ColorMode::Plain),
        drawn::dot(&graph),
        drawn::mermaid(&graph),
        drawn::svg(&graph),
    ];
    for text in &all {
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
    }
    let [_, dot, mermaid, svg] = all;
    assert!(dot.contains("a\\\"]<script>;&\\\\n\\\\u{1b}"), "{dot}");
    assert!(mermaid.contains("a#34;#93;#60;script#62;#59;#38;#92;n"), "{mermaid}");
    assert!(svg.contains("a&quot;]&lt;script&gt;;&amp;\\n\\u{1b}") && !svg.contains("<script"), "{svg}");
}

/// Devices, each standing on some of those before it.
fn any_graph() -> impl Strategy<Value = Graph> {
    let node = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    prop::collection::vec(node, 1..60).prop_map(|nodes| {
        let below = |place: usize, below: &[prop::sample::Index]| {
            let lower: BTreeSet<usize> =
                below.iter().filter(|_| place > 0).map(|at| at.index(place.max(1))).collect();
            lower.into_iter().map(|lower| format!("254:{lower}")).collect()
        };
        let nodes = nodes.iter().enumerate().map(|(place, lowers)| Node {
            in_circle: false,
            absence: None,
            health: None,
            fares: String::new(),
            id: format!("254:{place}"),
            name: format!("name{place}."),
            kind: Kind::Mapping,
            uuid: None,
            whose: None,
            sectors: Some(8),
            state: State::Active,
            read_only: false,
            targets: vec!["linear".to_string()],
            users: Vec::new(),
            below: below(place, lowers),
            status: None,
            pending: Vec::new(),
        });
        Graph { nodes: nodes.collect(), ..Graph::default() }
    })
}

/// The boxes of a drawing: x, y, width, height.
fn boxes(svg: &str) -> Vec<[f64; 4]> {
    let attribute = |tag: &str, name: &str| -> f64 {
        let (_, rest) = tag.split_once(&format!(" {name}=\"")).unwrap();
        rest.split('"').next().unwrap().parse().unwrap()
    };
    let tags = svg.split("<rect ").skip(1).map(|rest| format!(" {}", rest.split('>').next().unwrap()));
    tags.map(|tag| ["x", "y", "width", "height"].map(|name| attribute(&tag, name))).collect()
}

proptest! {
    #[test]
    fn every_device_has_a_place_of_its_own(graph in any_graph()) {
        let svg = drawn::svg(&graph);
        let boxes = boxes(&svg);
        prop_assert_eq!(boxes.len(), graph.nodes.len());
        for (index, [x, y, width, height]) in boxes.iter().enumerate() {
            for [other_x, other_y, other_width, other_height] in &boxes[index + 1..] {
                let beside = x + width <= *other_x || other_x + other_width <= *x;
                let above = y + height <= *other_y || other_y + other_height <= *y;
                prop_assert!(beside || above, "{}", svg);
            }
        }
        let text = drawn::text(&graph, ColorMode::Plain);
        for node in &graph.nodes {
            prop_assert!(text.contains(&node.name) && svg.contains(&node.name), "{}", text);
        }
        let edges: usize = graph.nodes.iter().map(|node| node.below.len()).sum();
        prop_assert_eq!(svg.matches("<path d=").count(), edges);
        prop_assert_eq!(drawn::dot(&graph).matches(" -> ").count(), edges);
        prop_assert_eq!(drawn::mermaid(&graph).matches(" --> ").count(), edges);
        // Each device is drawn once for each device it uses: there are no more lines than devices and edges.
        prop_assert!(text.lines().count() <= graph.nodes.len() + edges);
    }
}
