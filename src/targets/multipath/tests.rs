//! The round trip of multipath, and what its comparison lets pass.

use proptest::prelude::*;

use super::*;
use crate::targets::kit::{argument, compare, device, parse, problems, round_trip, try_parse, wrong_fields};

fn group() -> impl Strategy<Value = Group> {
    let selector = prop_oneof![Just("round-robin"), Just("service-time"), Just("a-later-one")];
    (selector, prop::collection::vec(argument(), 0..3), 0usize..3).prop_flat_map(|(selector, own, args)| {
        let path = (device(), prop::collection::vec(argument(), args));
        prop::collection::vec(path.prop_map(|(device, args)| Path { device, args }), 1..4).prop_map(
            move |paths| Group { selector: selector.to_string(), selector_args: own.clone(), paths },
        )
    })
}

fn multipath() -> impl Strategy<Value = Multipath> {
    let mode = prop_oneof![Just(QueueMode::Bio), Just(QueueMode::Rq), Just(QueueMode::Mq)];
    let handler = ("[a-z_]{1,8}", prop::collection::vec(argument(), 0..3))
        .prop_map(|(name, args)| HwHandler { name, args });
    (
        any::<(bool, bool)>(),
        prop::option::of(mode),
        prop::option::of(1u32..=50),
        prop::option::of(0u32..=60_000),
        prop::option::of(handler),
        prop::collection::vec(group(), 0..3),
    )
        .prop_map(|((queue, retain), queue_mode, retries, delay, hw_handler, groups)| Multipath {
            queue_if_no_path: queue,
            retain_attached_hw_handler: retain,
            queue_mode,
            pg_init_retries: retries,
            pg_init_delay_msecs: delay,
            hw_handler,
            groups,
        })
}

proptest! {
    #[test]
    fn rows_read_back(multipath in multipath()) {
        round_trip(&multipath)?;
    }
}

#[test]
fn live_state_is_not_compared() {
    let wanted = "0 0 2 1 round-robin 0 1 1 8:0 1000 round-robin 0 1 1 8:16 1000";
    let live = "0 0 2 2 round-robin 0 1 1 8:0 1 round-robin 0 1 1 8:16 1 ";
    assert!(compare::<Multipath>(wanted, live).is_equal());
}

#[test]
fn selectors_print_their_defaults() {
    for (wanted, live, equal) in [
        ("service-time 0 1 0 8:0", "service-time 0 1 2 8:0 1 1", true),
        ("service-time 0 1 2 8:0 1 5", "service-time 0 1 2 8:0 1 1", false),
        ("historical-service-time 0 1 0 8:0", "historical-service-time 2 972 0 1 1 8:0 0", true),
        ("historical-service-time 1 8 1 0 8:0", "historical-service-time 2 8 0 1 1 8:0 0", true),
        ("historical-service-time 0 1 0 8:0", "historical-service-time 2 8 1 1 1 8:0 0", false),
        ("io-affinity 0 1 1 8:0 3", "io-affinity 0 1 1 8:0 00000000,00000003", true),
        ("io-affinity 0 1 1 8:0 3", "io-affinity 0 1 1 8:0 5", false),
    ] {
        let differences = compare::<Multipath>(&format!("0 0 1 1 {wanted}"), &format!("0 0 1 1 {live}"));
        assert_eq!(differences.is_equal(), equal, "{wanted} / {live}: {differences:?}");
    }
}

#[test]
fn bio_mode_drops_the_handler_and_retains_what_is_attached() {
    let wanted = "2 queue_mode bio 2 alua 1 1 1 service-time 0 1 0 8:0";
    let live = "3 retain_attached_hw_handler queue_mode bio 0 1 1 service-time 0 1 2 8:0 1 1 ";
    assert!(compare::<Multipath>(wanted, live).is_equal());
    let request = "0 0 1 1 service-time 0 1 0 8:0";
    assert_eq!(compare::<Multipath>(request, live).effect(), Some(Effect::Recreate));
    let mq = "2 queue_mode mq 0 1 1 service-time 0 1 0 8:0";
    assert!(compare::<Multipath>(mq, request).is_equal());
}

#[test]
fn a_suspended_device_hides_that_it_queues() {
    let wanted: Multipath = parse("1 queue_if_no_path 0 1 1 service-time 0 1 0 8:0");
    let live: Multipath = parse("0 0 1 1 service-time 0 1 2 8:0 1 1");
    let mut differences = Differences::default();
    TargetKind::compare_suspended(&wanted, &live, &mut differences);
    assert!(differences.is_equal());
    TargetKind::compare(&wanted, &live, &mut differences);
    assert_eq!(differences.effect(), Some(Effect::Tune));
    let mut differences = Differences::default();
    TargetKind::compare_suspended(&live, &wanted, &mut differences);
    assert_eq!(differences.fields[0].field, "queue_if_no_path");
}

#[test]
fn a_shared_path_is_the_same_disk() {
    let live = "0 0 1 1 service-time 0 2 0 8:0 8:16";
    let effect = |wanted| compare::<Multipath>(wanted, live).effect();
    assert_eq!(effect("0 0 1 1 service-time 0 2 0 8:32 8:16"), Some(Effect::Tune));
    assert_eq!(effect("0 0 1 1 service-time 0 2 0 8:32 8:48"), Some(Effect::Remap));
    assert_eq!(effect("0 0 0 0"), Some(Effect::Remap));
}

#[test]
fn what_the_kernel_refuses_is_refused() {
    for bad in [
        "2 queue_mode bio 0 1 0 service-time 0 1 0 8:0",
        "0 0 0 1",
        "2 queue_mode fast 0 0 0",
        "1 unknown 0 0 0",
        "9 queue_if_no_path queue_if_no_path queue_if_no_path queue_if_no_path queue_if_no_path queue_if_no_path \
         queue_if_no_path queue_if_no_path queue_if_no_path 0 0 0",
        "0 0 1 1 service-time 0 2 0 8:0",
        "0 0 1 1 service-time 0 18446744073709551615 1 8:0",
        "0 0 1 1 service-time 0 1 18446744073709551615 8:0",
    ] {
        assert!(try_parse::<Multipath>(bad).is_err(), "{bad}");
    }
    for (row, field) in [
        ("2 pg_init_retries 51 0 0 0", "pg_init_retries"),
        ("2 pg_init_retries 0 0 0 0", "pg_init_retries"),
        ("2 pg_init_delay_msecs 60001 0 0 0", "pg_init_delay_msecs"),
        ("0 0 1 1 service-time 0 0 0", "groups[0].paths"),
        ("0 0 1 1 service-time 1 5 1 0 8:0", "groups[0].selector_args"),
        ("0 0 1 1 service-time 0 1 2 8:0 1 101", "groups[0].paths[0].args[1]"),
        ("0 0 1 1 io-affinity 0 1 0 8:0", "groups[0].paths[0].args"),
        ("0 0 1 1 historical-service-time 1 1024 1 0 8:0", "groups[0].selector_args[0]"),
    ] {
        assert_eq!(wrong_fields::<Multipath>(row, None), [field], "{row}");
    }
    let mut uneven: Multipath = parse("0 0 1 1 service-time 0 2 1 8:0 1 8:16 1");
    uneven.groups[0].paths[1].args.clear();
    assert_eq!(problems(&uneven, None)[0].field, "groups[0].paths[1].args");
}
