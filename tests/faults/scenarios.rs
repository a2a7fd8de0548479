//! What is done to kernels.

use dmctl::kernel::simulated::{MappingState, StateRow};

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

const ERA: &str = r#"
[mappings.era]
targets = [{ type = "era", length = 1024, metadata = "/dev/sda", origin = "/dev/sdb", block_size = 128 }]
"#;

/// Of which each scenario says what it has more.
const NOTHING: Scenario = Scenario { name: "", before: "", meanwhile: nothing, after: "", one_way: false };

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario { name: "create one", after: LONE, ..NOTHING },
    Scenario { name: "create a stack", after: STACK, ..NOTHING },
    Scenario {
        name: "create suspended and read-only ones",
        after: r#"
            [mappings.held]
            state = "suspended"
            targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
            [mappings.fixed]
            readonly = true
            targets = [{ type = "linear", length = 1024, device = "/dev/sdb" }]
        "#,
        ..NOTHING
    },
    Scenario {
        name: "grow one",
        before: LONE,
        after: r#"
            [mappings.data]
            targets = [
              { type = "linear", length = 1024, device = "/dev/sda" },
              { type = "linear", length = 1024, device = "/dev/sdb" },
            ]
        "#,
        ..NOTHING
    },
    Scenario {
        name: "move one, without freezing it",
        before: LONE,
        after: r#"
            [mappings.data]
            readonly = true
            suspend = { flush = false, freeze = false }
            targets = [{ type = "linear", length = 1024, device = "/dev/sdb", offset = 8 }]
        "#,
        ..NOTHING
    },
    Scenario {
        name: "move every level of a stack",
        before: STACK,
        after: r#"
            [mappings.low]
            targets = [{ type = "linear", length = 1024, device = "/dev/sdb" }]
            [mappings.mid]
            targets = [{ type = "linear", length = 512, device = "@low", offset = 8 }]
            [mappings.top]
            targets = [{ type = "linear", length = 256, device = "@mid", offset = 8 }]
        "#,
        ..NOTHING
    },
    Scenario {
        name: "grow every level of a stack",
        before: STACK,
        after: r#"
            [mappings.low]
            targets = [{ type = "linear", length = 4096, device = "/dev/sda" }]
            [mappings.mid]
            targets = [{ type = "linear", length = 4096, device = "@low" }]
            [mappings.top]
            targets = [{ type = "linear", length = 4096, device = "@mid" }]
        "#,
        ..NOTHING
    },
    Scenario {
        name: "shrink a stack",
        before: STACK,
        after: r#"
            [mappings.low]
            targets = [{ type = "linear", length = 512, device = "/dev/sda" }]
            [mappings.mid]
            targets = [{ type = "linear", length = 512, device = "@low" }]
            [mappings.top]
            targets = [{ type = "linear", length = 512, device = "@mid" }]
        "#,
        ..NOTHING
    },
    Scenario {
        name: "put a level into a stack",
        before: STACK,
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
        ..NOTHING
    },
    Scenario {
        name: "take a level out of a stack",
        before: STACK,
        after: r#"
            [policy]
            prune = true
            [mappings.low]
            targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
            [mappings.top]
            targets = [{ type = "linear", length = 1024, device = "@low" }]
        "#,
        ..NOTHING
    },
    Scenario {
        name: "take levels out of a stack, and make the stack smaller",
        before: r#"
            [mappings.low]
            targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
            [mappings.mid]
            targets = [{ type = "linear", length = 1024, device = "@low" }]
            [mappings.over]
            targets = [{ type = "linear", length = 1024, device = "@mid" }]
            [mappings.spare]
            targets = [{ type = "zero", length = 64 }]
            [mappings.top]
            targets = [{ type = "linear", length = 1024, device = "@over" }]
        "#,
        after: r#"
            [policy]
            prune = true
            [mappings.low]
            targets = [{ type = "linear", length = 512, device = "/dev/sda" }]
            [mappings.top]
            targets = [{ type = "linear", length = 512, device = "@low" }]
        "#,
        ..NOTHING
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
        ..NOTHING
    },
    Scenario {
        name: "rename one",
        before: LONE,
        after: r#"
            [mappings.data]
            name = "other"
            targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
        "#,
        ..NOTHING
    },
    Scenario {
        name: "rename a chain",
        before: PAIR,
        after: r#"
            [mappings.one]
            name = "b"
            targets = [{ type = "linear", length = 2048, device = "/dev/sda" }]
            [mappings.two]
            name = "c"
            targets = [{ type = "linear", length = 1024, device = "/dev/sdb" }]
        "#,
        ..NOTHING
    },
    Scenario {
        name: "swap two names",
        before: PAIR,
        after: r#"
            [mappings.one]
            name = "b"
            targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
            [mappings.two]
            name = "a"
            targets = [{ type = "linear", length = 2048, device = "/dev/sdb" }]
        "#,
        ..NOTHING
    },
    Scenario {
        name: "a new device takes the name of a renamed one, and another that of a removed one",
        before: PAIR,
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
        ..NOTHING
    },
    Scenario {
        name: "remove a stack",
        before: STACK,
        after: r#"
            [mappings]
            low = { state = "absent" }
            mid = { state = "absent" }
            top = { state = "absent" }
        "#,
        ..NOTHING
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
        ..NOTHING
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
        ..NOTHING
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
        after: "[policy]\nprune = true\n",
        ..NOTHING
    },
    Scenario {
        name: "make one anew",
        before: r#"
            [mappings.pool]
            targets = [{ type = "thin-pool", length = 4096, metadata = "/dev/sda", data = "/dev/sdb", block_size = 128 }]
            [mappings.data]
            targets = [{ type = "linear", length = 1024, device = "/dev/sdc" }]
        "#,
        after: r#"
            [mappings.pool]
            targets = [{ type = "linear", length = 4096, device = "/dev/sdd" }]
            [mappings.data]
            targets = [{ type = "linear", length = 2048, device = "/dev/sdc" }]
        "#,
        ..NOTHING
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
        ..NOTHING
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
        after: r#"
            [mappings.one]
            state = "suspended"
            targets = [{ type = "linear", length = 2048, device = "/dev/sda" }]
            [mappings.two]
            targets = [{ type = "linear", length = 2048, device = "/dev/sdb" }]
        "#,
        ..NOTHING
    },
    Scenario {
        name: "suspend a stack",
        before: STACK,
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
        ..NOTHING
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
        ..NOTHING
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
        ..NOTHING
    },
    Scenario {
        name: "finish one that never got its table, and another with its table in the inactive slot",
        before: STACK,
        meanwhile: |state| {
            state.mappings.retain(|mapping| mapping.name == "low");
            let low = mapping(state, "low");
            low.inactive = low.live.take();
            low.open_count = 0;
            state.mappings.push(shell("mid", Some("DMCTL-lab-mid"), "254:9"));
        },
        after: STACK,
        ..NOTHING
    },
    Scenario {
        name: "thin volumes of a pool",
        after: r#"
            [mappings.pool]
            targets = [{ type = "thin-pool", length = 4096, metadata = "/dev/sda", data = "/dev/sdb", block_size = 128, messages = ["set_transaction_id 0 1"] }]
            [mappings.one]
            targets = [{ type = "thin", length = 1024, pool = "@pool", id = 1, create = true }]
            [mappings.two]
            targets = [{ type = "thin", length = 1024, pool = "@pool", id = 2, snapshot_of = 1 }]
        "#,
        ..NOTHING
    },
    Scenario {
        name: "a snapshot of a volume that is in use, and a pool that grows",
        one_way: true,
        before: r#"
            [mappings.pool]
            targets = [{ type = "thin-pool", length = 4096, metadata = "/dev/sda", data = "/dev/sdb", block_size = 128 }]
            [mappings.one]
            targets = [{ type = "thin", length = 1024, pool = "@pool", id = 1, create = true }]
        "#,
        after: r#"
            [mappings.pool]
            targets = [{ type = "thin-pool", length = 8192, metadata = "/dev/sda", data = "/dev/sdb", block_size = 128 }]
            [mappings.one]
            targets = [{ type = "thin", length = 2048, pool = "@pool", id = 1, create = true }]
            [mappings.two]
            targets = [{ type = "thin", length = 1024, pool = "@pool", id = 2, snapshot_of = 1 }]
        "#,
        ..NOTHING
    },
    Scenario {
        name: "messages after a load",
        before: LONE,
        after: r#"
            [mappings.data]
            targets = [{ type = "dust", length = 1024, device = "/dev/sda", block_size = 512, messages = ["addbadblock 60", "enable"] }]
        "#,
        ..NOTHING
    },
    Scenario {
        name: "a target that decides how long it is",
        after: r#"
            [mappings.checked]
            targets = [{ type = "integrity", device = "/dev/sda", internal_hash = "crc32c" }]
        "#,
        ..NOTHING
    },
    Scenario {
        name: "a target that is loaded while it is suspended",
        before: ERA,
        after: r#"
            [mappings.era]
            targets = [{ type = "era", length = 2048, metadata = "/dev/sda", origin = "/dev/sdb", block_size = 128 }]
        "#,
        ..NOTHING
    },
    Scenario {
        name: "resume one that is loaded while it is suspended",
        before: ERA,
        meanwhile: |state| mapping(state, "era").suspended = true,
        after: ERA,
        ..NOTHING
    },
];

fn row(start: u64, length: u64, kind: &str, params: &str) -> StateRow {
    let row = serde_json::json!({ "start": start, "length": length, "type": kind, "params": params });
    serde_json::from_value(row).expect("a row")
}

fn shell(name: &str, uuid: Option<&str>, number: &str) -> MappingState {
    let shell = serde_json::json!({ "name": name, "uuid": uuid, "number": number });
    serde_json::from_value(shell).expect("a mapping")
}
