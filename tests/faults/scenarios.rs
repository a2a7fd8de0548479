//! What is done to kernels.

use dmctl::kernel::simulated::{MappingState, Row};

use crate::scenario::{Scenario, mapping, nothing};

const STACK: &str = r#"
[mappings.low]
targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
[mappings.mid]
targets = [{ type = "linear", length = 1024, device = "@low" }]
[mappings.top]
targets = [{ type = "linear", length = 1024, device = "@mid" }]
"#;

const LONE: &str = r#"
[mappings.data]
targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
"#;

const PAIR: &str = r#"
[mappings.one]
name = "a"
targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
[mappings.two]
name = "b"
targets = [{ type = "linear", length = 1024, device = "/dev/sdb" }]
"#;

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario { name: "create one", before: "", meanwhile: nothing, after: LONE },
    Scenario { name: "create a stack", before: "", meanwhile: nothing, after: STACK },
    Scenario {
        name: "create suspended and read-only ones",
        before: "",
        meanwhile: nothing,
        after: r#"
            [mappings.held]
            state = "suspended"
            targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
            [mappings.fixed]
            readonly = true
            targets = [{ type = "linear", length = 1024, device = "/dev/sdb" }]
        "#,
    },
    Scenario {
        name: "grow one",
        before: LONE,
        meanwhile: nothing,
        after: r#"
            [mappings.data]
            targets = [
              { type = "linear", length = 1024, device = "/dev/sda" },
              { type = "linear", length = 1024, device = "/dev/sdb" },
            ]
        "#,
    },
    Scenario {
        name: "move one, without freezing it",
        before: LONE,
        meanwhile: nothing,
        after: r#"
            [mappings.data]
            readonly = true
            suspend = { flush = false, freeze = false }
            targets = [{ type = "linear", length = 1024, device = "/dev/sdb", offset = 8 }]
        "#,
    },
    Scenario {
        name: "move every level of a stack",
        before: STACK,
        meanwhile: nothing,
        after: r#"
            [mappings.low]
            targets = [{ type = "linear", length = 1024, device = "/dev/sdb" }]
            [mappings.mid]
            targets = [{ type = "linear", length = 512, device = "@low", offset = 8 }]
            [mappings.top]
            targets = [{ type = "linear", length = 256, device = "@mid", offset = 8 }]
        "#,
    },
    Scenario {
        name: "grow every level of a stack",
        before: STACK,
        meanwhile: nothing,
        after: r#"
            [mappings.low]
            targets = [{ type = "linear", length = 4096, device = "/dev/sda" }]
            [mappings.mid]
            targets = [{ type = "linear", length = 4096, device = "@low" }]
            [mappings.top]
            targets = [{ type = "linear", length = 4096, device = "@mid" }]
        "#,
    },
    Scenario {
        name: "shrink a stack",
        before: STACK,
        meanwhile: nothing,
        after: r#"
            [mappings.low]
            targets = [{ type = "linear", length = 512, device = "/dev/sda" }]
            [mappings.mid]
            targets = [{ type = "linear", length = 512, device = "@low" }]
            [mappings.top]
            targets = [{ type = "linear", length = 512, device = "@mid" }]
        "#,
    },
    Scenario {
        name: "put a level into a stack",
        before: STACK,
        meanwhile: nothing,
        after: r#"
            [mappings.low]
            targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
            [mappings.new]
            targets = [{ type = "linear", length = 1024, device = "@low" }]
            [mappings.mid]
            targets = [{ type = "linear", length = 1024, device = "@new" }]
            [mappings.top]
            targets = [{ type = "linear", length = 1024, device = "@mid" }]
        "#,
    },
    Scenario {
        name: "take a level out of a stack",
        before: STACK,
        meanwhile: nothing,
        after: r#"
            [policy]
            prune = true
            [mappings.low]
            targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
            [mappings.top]
            targets = [{ type = "linear", length = 1024, device = "@low" }]
        "#,
    },
    Scenario {
        name: "two stacks, a new device and one that goes",
        before: r#"
            [mappings.a]
            targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
            [mappings.b]
            targets = [{ type = "linear", length = 1024, device = "@a" }]
            [mappings.c]
            targets = [{ type = "linear", length = 1024, device = "/dev/sdb" }]
            [mappings.d]
            targets = [{ type = "linear", length = 1024, device = "@c" }]
            [mappings.e]
            targets = [{ type = "zero", length = 64 }]
        "#,
        meanwhile: nothing,
        after: r#"
            [policy]
            prune = true
            [mappings.a]
            targets = [{ type = "linear", length = 1024, device = "/dev/sda", offset = 2048 }]
            [mappings.b]
            targets = [{ type = "linear", length = 512, device = "@a" }]
            [mappings.c]
            targets = [{ type = "linear", length = 1024, device = "/dev/sdb", offset = 2048 }]
            [mappings.d]
            targets = [{ type = "linear", length = 512, device = "@c" }]
            [mappings.f]
            targets = [{ type = "linear", length = 64, device = "@d" }]
        "#,
    },
    Scenario {
        name: "rename one",
        before: LONE,
        meanwhile: nothing,
        after: r#"
            [mappings.data]
            name = "other"
            targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
        "#,
    },
    Scenario {
        name: "rename a chain",
        before: PAIR,
        meanwhile: nothing,
        after: r#"
            [mappings.one]
            name = "b"
            targets = [{ type = "linear", length = 2048, device = "/dev/sda" }]
            [mappings.two]
            name = "c"
            targets = [{ type = "linear", length = 1024, device = "/dev/sdb" }]
        "#,
    },
    Scenario {
        name: "swap two names",
        before: PAIR,
        meanwhile: nothing,
        after: r#"
            [mappings.one]
            name = "b"
            targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
            [mappings.two]
            name = "a"
            targets = [{ type = "linear", length = 2048, device = "/dev/sdb" }]
        "#,
    },
    Scenario {
        name: "a new device takes the name of a renamed one, and another that of a removed one",
        before: PAIR,
        meanwhile: nothing,
        after: r#"
            [policy]
            prune = true
            [mappings.one]
            name = "c"
            targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
            [mappings.three]
            name = "a"
            targets = [{ type = "zero", length = 64 }]
            [mappings.four]
            name = "b"
            targets = [{ type = "zero", length = 128 }]
        "#,
    },
    Scenario {
        name: "remove a stack",
        before: STACK,
        meanwhile: nothing,
        after: r#"
            [mappings]
            low = { state = "absent" }
            mid = { state = "absent" }
            top = { state = "absent" }
        "#,
    },
    Scenario {
        name: "prune a stack whose numbers are not the lowest",
        before: r#"
            [mappings.first]
            targets = [{ type = "zero", length = 64 }]
            [mappings.second]
            targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
            [mappings.third]
            targets = [{ type = "linear", length = 1024, device = "@second" }]
        "#,
        meanwhile: |state| state.mappings.retain(|mapping| mapping.name != "first"),
        after: "[policy]\nprune = true\n",
    },
    Scenario {
        name: "stand on another device, and prune the one below",
        before: r#"
            [mappings.first]
            targets = [{ type = "zero", length = 64 }]
            [mappings.old]
            targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
            [mappings.top]
            targets = [{ type = "linear", length = 1024, device = "@old" }]
        "#,
        meanwhile: |state| state.mappings.retain(|mapping| mapping.name != "first"),
        after: r#"
            [policy]
            prune = true
            [mappings.top]
            targets = [{ type = "linear", length = 1024, device = "/dev/sdb" }]
            [mappings.zz]
            targets = [{ type = "zero", length = 64 }]
        "#,
    },
    Scenario {
        name: "remove a suspended and a read-only one",
        before: r#"
            [mappings.held]
            state = "suspended"
            targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
            [mappings.fixed]
            readonly = true
            targets = [{ type = "linear", length = 1024, device = "/dev/sdb" }]
            [mappings.last]
            targets = [{ type = "linear", length = 1024, device = "/dev/sdc" }]
        "#,
        meanwhile: nothing,
        after: "[policy]\nprune = true\n",
    },
    Scenario {
        name: "make one anew",
        before: r#"
            [mappings.pool]
            targets = [{ type = "thin-pool", length = 4096, metadata = "/dev/sda", data = "/dev/sdb", block_size = 128 }]
            [mappings.data]
            targets = [{ type = "linear", length = 1024, device = "/dev/sdc" }]
        "#,
        meanwhile: nothing,
        after: r#"
            [mappings.pool]
            targets = [{ type = "linear", length = 4096, device = "/dev/sdd" }]
            [mappings.data]
            targets = [{ type = "linear", length = 2048, device = "/dev/sdc" }]
        "#,
    },
    Scenario {
        name: "adopt one as it is, and one under another name with another table",
        before: PAIR,
        meanwhile: |state| {
            mapping(state, "a").uuid = None;
            mapping(state, "b").uuid = None;
        },
        after: r#"
            [mappings.a]
            adopt = true
            targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
            [mappings.c]
            renamed_from = "b"
            targets = [{ type = "linear", length = 2048, device = "/dev/sdb" }]
        "#,
    },
    Scenario {
        name: "suspend one, resume another, both grow",
        before: r#"
            [mappings.one]
            targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
            [mappings.two]
            state = "suspended"
            targets = [{ type = "linear", length = 1024, device = "/dev/sdb" }]
        "#,
        meanwhile: nothing,
        after: r#"
            [mappings.one]
            state = "suspended"
            targets = [{ type = "linear", length = 2048, device = "/dev/sda" }]
            [mappings.two]
            targets = [{ type = "linear", length = 2048, device = "/dev/sdb" }]
        "#,
    },
    Scenario {
        name: "suspend a stack",
        before: STACK,
        meanwhile: nothing,
        after: r#"
            [mappings.low]
            state = "suspended"
            targets = [{ type = "linear", length = 2048, device = "/dev/sda" }]
            [mappings.mid]
            state = "suspended"
            targets = [{ type = "linear", length = 1024, device = "@low" }]
            [mappings.top]
            state = "suspended"
            targets = [{ type = "linear", length = 1024, device = "@mid" }]
        "#,
    },
    Scenario {
        name: "resume what was left suspended, with and without a table in the inactive slot",
        before: PAIR,
        meanwhile: |state| {
            mapping(state, "a").suspended = true;
            let left = mapping(state, "b");
            left.suspended = true;
            left.inactive = Some(vec![row(0, 8, "zero", "")]);
        },
        after: PAIR,
    },
    Scenario {
        name: "clear what was left in inactive slots, of one that changes as well",
        before: PAIR,
        meanwhile: |state| {
            for name in ["a", "b"] {
                mapping(state, name).inactive = Some(vec![row(0, 8, "zero", "")]);
            }
        },
        after: r#"
            [mappings.one]
            name = "a"
            targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
            [mappings.two]
            name = "b"
            targets = [{ type = "linear", length = 2048, device = "/dev/sdb" }]
        "#,
    },
    Scenario {
        name: "finish one that never got its table, and another with its table in the inactive slot",
        before: STACK,
        meanwhile: |state| {
            state.mappings.retain(|mapping| mapping.name == "low");
            let low = mapping(state, "low");
            low.inactive = low.live.take();
            state.mappings.push(shell("mid", Some("DMCTL-lab-mid"), "254:9"));
        },
        after: STACK,
    },
    Scenario {
        name: "thin volumes of a pool",
        before: "",
        meanwhile: nothing,
        after: r#"
            [mappings.pool]
            targets = [{ type = "thin-pool", length = 4096, metadata = "/dev/sda", data = "/dev/sdb", block_size = 128, messages = ["set_transaction_id 0 1"] }]
            [mappings.one]
            targets = [{ type = "thin", length = 1024, pool = "@pool", id = 1, create = true }]
            [mappings.two]
            targets = [{ type = "thin", length = 1024, pool = "@pool", id = 2, snapshot_of = 1 }]
        "#,
    },
    Scenario {
        name: "a snapshot of a volume that is in use",
        before: r#"
            [mappings.pool]
            targets = [{ type = "thin-pool", length = 4096, metadata = "/dev/sda", data = "/dev/sdb", block_size = 128 }]
            [mappings.one]
            targets = [{ type = "thin", length = 1024, pool = "@pool", id = 1, create = true }]
        "#,
        meanwhile: nothing,
        after: r#"
            [mappings.pool]
            targets = [{ type = "thin-pool", length = 8192, metadata = "/dev/sda", data = "/dev/sdb", block_size = 128 }]
            [mappings.one]
            targets = [{ type = "thin", length = 2048, pool = "@pool", id = 1, create = true }]
            [mappings.two]
            targets = [{ type = "thin", length = 1024, pool = "@pool", id = 2, snapshot_of = 1 }]
        "#,
    },
    Scenario {
        name: "messages after a load",
        before: LONE,
        meanwhile: nothing,
        after: r#"
            [mappings.data]
            targets = [{ type = "dust", length = 1024, device = "/dev/sda", block_size = 512, messages = ["addbadblock 60", "enable"] }]
        "#,
    },
    Scenario {
        name: "a target that is loaded while it is suspended",
        before: r#"
            [mappings.era]
            targets = [{ type = "era", length = 1024, metadata = "/dev/sda", origin = "/dev/sdb", block_size = 128 }]
        "#,
        meanwhile: nothing,
        after: r#"
            [mappings.era]
            targets = [{ type = "era", length = 2048, metadata = "/dev/sda", origin = "/dev/sdb", block_size = 128 }]
        "#,
    },
];

fn row(start: u64, length: u64, kind: &str, params: &str) -> Row {
    let row = serde_json::json!({ "start": start, "length": length, "type": kind, "params": params });
    serde_json::from_value(row).expect("a row")
}

fn shell(name: &str, uuid: Option<&str>, number: &str) -> MappingState {
    let shell = serde_json::json!({ "name": name, "uuid": uuid, "number": number });
    serde_json::from_value(shell).expect("a mapping")
}
