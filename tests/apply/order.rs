//! The order of a swap holds through devices outside of the map.

use std::collections::BTreeSet;

use dmctl::apply::{self, Options, Silent};
use dmctl::config;
use dmctl::kernel::Call;
use dmctl::kernel::simulated::{Simulated, State};
use dmctl::plan;
use serde_json::{Value, json};

/// `a` on `lv`, which is not of the map, on `b`.
fn kernel() -> Simulated {
    let mapping = |name: &str, uuid: &str, number: &str, lower: &str, sectors: u64| -> Value {
        let live =
            json!([{ "start": 0, "length": sectors, "type": "linear", "params": format!("{lower} 0") }]);
        json!({ "name": name, "uuid": uuid, "number": number, "live": live })
    };
    let state = json!({
        "format_version": 1,
        "block_devices": [{ "number": "8:16", "paths": ["/dev/sdb"], "sectors": 1 << 20 }],
        "mappings": [
            mapping("a", "DMCTL-lab-a", "254:2", "254:1", 8),
            mapping("b", "DMCTL-lab-b", "254:0", "8:16", 4096),
            mapping("lv", "LVM-x", "254:1", "254:0", 2048),
        ],
    });
    Simulated::new(&State::parse(&state.to_string(), "state").unwrap()).unwrap()
}

fn map(a: u64, b: u64) -> config::Map {
    let text = format!(
        "format = 1\nowner = 'lab'\n\
         [mappings.a]\ntargets = [{{ type = 'linear', length = {a}, device = '/dev/mapper/lv' }}]\n\
         [mappings.b]\ntargets = [{{ type = 'linear', length = {b}, device = '/dev/sdb' }}]\n"
    );
    config::parse_str("map.toml", &text).map.unwrap()
}

/// The calls of an apply that suspend or resume, as `suspend a`.
fn swaps(kernel: &Simulated, map: &config::Map) -> Vec<String> {
    let plan = plan::plan(kernel, map, &BTreeSet::new()).unwrap();
    kernel.forget_calls();
    apply::apply(kernel, &plan, Options::default(), &mut Silent).unwrap();
    let calls = kernel.calls().into_iter();
    let word = |call| match call {
        Call::Suspend => Some("suspend"),
        Call::Resume => Some("resume"),
        _ => None,
    };
    calls.filter_map(|(call, device)| Some(format!("{} {device}", word(call)?))).collect()
}

#[test]
fn a_swap_holds_the_upper_device_back_first_through_a_device_outside_of_the_map() {
    let calls = swaps(&kernel(), &map(16, 8192));
    assert_eq!(calls, ["suspend a", "suspend b", "resume b", "resume a"]);
}

#[test]
fn a_lower_device_is_suspended_last_through_a_device_outside_of_the_map() {
    let mut map = map(8, 4096);
    for mapping in map.mappings.values_mut() {
        mapping.state = config::State::Suspended;
    }
    let kernel = kernel();
    assert_eq!(swaps(&kernel, &map), ["suspend a", "suspend b"]);
    for mapping in map.mappings.values_mut() {
        mapping.state = config::State::Active;
    }
    assert_eq!(swaps(&kernel, &map), ["resume b", "resume a"]);
}
