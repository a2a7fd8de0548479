use proptest::prelude::*;

use super::super::frame::ErasedTarget;
use super::super::{Effect, find, kit};
use super::*;
use crate::identity::DevNum;

const ROOT: &str = "9d76377e809a72e5d7018fb6f58cbb8c0f28ee46674f1b4ec6d7b9ff6b3e9bac";

fn row(tail: &str) -> String {
    format!("1 1:0 1:1 4096 4096 256 0 sha256 {ROOT} 0102 {tail}")
}

fn device() -> impl Strategy<Value = Device> {
    (1u32..4000, 0u32..1_000_000).prop_map(|(major, minor)| Device::numbered(DevNum::new(major, minor)))
}

fn block_size() -> impl Strategy<Value = Bytes> {
    (0u32..4).prop_map(|log| Bytes(512 << log))
}

fn verity() -> impl Strategy<Value = Verity> {
    let data = (device(), block_size(), 1u64..1 << 40).prop_map(|(device, block_size, blocks)| Data {
        device,
        block_size,
        blocks: Some(blocks),
    });
    let hash = (device(), block_size(), 0u64..1 << 40).prop_map(|(device, block_size, start)| Hash {
        device,
        block_size,
        start,
    });
    let fec = (device(), 1u64..1 << 40, 0u64..1 << 40, 2u32..25)
        .prop_map(|(device, blocks, start, roots)| Fec { device, blocks, start, roots });
    let corruption = proptest::sample::select(vec![
        None,
        Some(OnCorruption::Ignore),
        Some(OnCorruption::Restart),
        Some(OnCorruption::Panic),
    ]);
    let error = proptest::sample::select(vec![None, Some(OnError::Restart), Some(OnError::Panic)]);
    let texts =
        ("sha256|sha1|blake2b-512", "([0-9a-f]{2}){1,64}", proptest::option::of("([0-9a-f]{2}){1,32}"));
    let options = (corruption, error, any::<[bool; 3]>(), proptest::option::of(fec));
    let description = proptest::option::of("[a-z:]{1,9}");
    (0u32..2, data, hash, texts, options, description).prop_map(
        |(
            version,
            data,
            hash,
            (algorithm, root_hash, salt),
            (on_corruption, on_error, flags, fec),
            description,
        )| {
            Verity {
                version,
                data,
                hash,
                algorithm,
                root_hash,
                salt,
                on_corruption,
                on_error,
                ignore_zero_blocks: flags[0],
                check_at_most_once: flags[1],
                try_verify_in_tasklet: flags[2],
                fec,
                root_hash_sig_key_desc: description,
            }
        },
    )
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(verity in verity()) {
        kit::round_trip(&verity)?;
    }

    #[test]
    fn any_words_are_read_or_refused(params in "[ -~]{0,80}", numbers in any::<[u64; 6]>()) {
        let _ = find("verity").unwrap().parse(&params);
        let [version, data, hash, blocks, start, fec] = numbers;
        let version = version % 3;
        let row = format!(
            "{version} 1:0 1:1 {data} {hash} {blocks} {start} sha256 {ROOT} - 6 use_fec_from_device 1:2 fec_blocks {fec} \
             fec_start {start}"
        );
        if let Ok(typed) = find("verity").unwrap().parse(&row) {
            typed.check(Some(blocks), &mut Problems::default());
            typed.lower_devices(blocks);
            typed.remaining_length(&|_| Some(start));
        }
    }
}

#[test]
fn a_table_is_always_read_only() {
    assert_eq!(Verity::TRAITS.mode, Mode::ReadOnly);
}

#[test]
fn an_unknown_option_is_answered_with_all_that_are_known() {
    let error = |tail: &str| kit::try_parse::<Verity>(&row(tail)).err().unwrap_or_default();
    assert!(error("1 foo").contains("verity has no option `foo`; there are ignore_corruption, restart"));
    for option in Verity::OPTIONS.words(&Verity::default()) {
        assert!(!error(&format!("2 {option} foo")).contains(&format!("no option `{option}`")), "{option}");
    }
}

#[test]
fn wrong_values_are_found() {
    let fields = kit::wrong_fields::<Verity>;
    assert_eq!(fields(&row(""), Some(2048)), [""; 0]);
    assert_eq!(fields(&row(""), Some(1024)), [""; 0]);
    assert_eq!(fields(&row(""), Some(2056)), ["length"]);
    assert_eq!(fields(&row(""), Some(12)), ["length"]);
    assert_eq!(fields(&row("").replacen('1', "2", 1), None), ["version"]);
    assert_eq!(fields(&row("").replacen("4096", "1000", 1), None), ["data.block_size"]);
    assert_eq!(fields(&row("").replacen("4096", "131072", 1), None), ["data.block_size"]);
    assert_eq!(fields(&row("").replacen("4096 4096", "4096 256", 1), None), ["hash.block_size"]);
    assert_eq!(fields(&row("").replace(" 256 ", " 0 "), None), ["data.blocks"]);
    assert_eq!(fields(&row("").replace("sha256", "sha512"), None), ["root_hash"]);
    assert_eq!(fields(&row("").replace("sha256", "unheard-of"), None), [""; 0]);
    assert_eq!(fields(&row("").replace(ROOT, "xy"), None), ["root_hash"]);
    assert_eq!(fields(&row("").replace("0102", "010"), None), ["salt"]);
    let one_device = row("").replacen("1:1", "1:0", 1);
    assert_eq!(fields(&one_device, None), ["hash.start"]);
    assert_eq!(fields(&one_device.replace(" 0 sha", " 256 sha"), None), [""; 0]);
    let at_most_once = row("1 check_at_most_once").replace(" 256 ", " 2147483648 ");
    assert_eq!(fields(&at_most_once, None), ["check_at_most_once"]);
    let fec = |blocks: u64, roots: u64| {
        row(&format!("8 use_fec_from_device 1:2 fec_blocks {blocks} fec_start 0 fec_roots {roots}"))
    };
    assert_eq!(fields(&fec(259, 2), None), [""; 0]);
    assert_eq!(fields(&fec(258, 2), None), ["fec.blocks"]);
    assert_eq!(fields(&fec(259, 25), None), ["fec.roots"]);
    assert_eq!(fields(&fec(259, 2).replacen("4096", "2048", 1), None), ["fec"]);
}

#[test]
fn wrong_words_are_refused() {
    for tail in [
        "2 restart_on_corruption panic_on_corruption",
        "2 restart_on_error panic_on_error",
        "2 ignore_corruption ignore_corruption",
        "2 fec_blocks 4",
        "1 use_fec_from_device",
        "1 unknown",
        "3 ignore_corruption",
        "0 ignore_corruption",
    ] {
        assert!(find("verity").unwrap().parse(&row(tail)).is_err(), "{tail}");
    }
    for repeated in ["2 check_at_most_once check_at_most_once", "0", ""] {
        assert!(find("verity").unwrap().parse(&row(repeated)).is_ok(), "{repeated}");
    }
}

#[test]
fn a_difference_says_what_it_takes() {
    for (wanted, field, effect) in [
        (row("").replacen("1:0", "1:7", 1), "data.device", Effect::Remap),
        (row("").replacen("1:1", "1:7", 1), "hash.device", Effect::Remap),
        (row("").replace(" 256 ", " 128 "), "data.blocks", Effect::Remap),
        (row("").replace(" 0 ", " 1 "), "hash.start", Effect::Remap),
        (row("").replace("sha256", "sha256-generic"), "algorithm", Effect::Remap),
        (row("").replace("9d76", "9d77"), "root_hash", Effect::Remap),
        (row("").replace("0102", "-"), "salt", Effect::Remap),
        (row("1 panic_on_corruption"), "on_corruption", Effect::Tune),
        (row("1 restart_on_error"), "on_error", Effect::Tune),
        (row("1 check_at_most_once"), "check_at_most_once", Effect::Tune),
        (row("4 use_fec_from_device 1:2 fec_blocks 300"), "fec", Effect::Tune),
        (row("2 root_hash_sig_key_desc k"), "root_hash_sig_key_desc", Effect::Tune),
    ] {
        let differences = kit::compare::<Verity>(&wanted, &row(""));
        assert_eq!(differences.fields.len(), 1, "{wanted}: {differences:?}");
        assert_eq!((differences.fields[0].field.as_str(), differences.fields[0].effect), (field, effect));
    }
    let upper = row("").to_uppercase().replace("SHA256", "sha256");
    assert!(kit::compare::<Verity>(&upper, &row("")).is_equal());
}

#[test]
fn what_is_left_out_follows_from_the_device_or_the_row() {
    let fields = format!(
        "data = {{ device = \"1:0\" }}\nhash = {{ device = \"1:1\", start = 1 }}\nalgorithm = \"sha256\"\nroot_hash = \"{}\"",
        ROOT.to_uppercase()
    );
    let mut typed: Verity = toml::from_str(&fields).unwrap();
    assert_eq!(typed.remaining_length(&|_| Some(2055)), RemainingLength::Sectors(2048));
    assert!(matches!(typed.remaining_length(&|_| Some(7)), RemainingLength::TooSmall(_)));
    assert_eq!(typed.remaining_length(&|_| None), RemainingLength::Unknown);
    typed.fill_defaults(2048);
    assert_eq!(kit::print(&typed), format!("1 1:0 1:1 4096 4096 256 1 sha256 {ROOT} -"));
    typed.fill_defaults(8);
    assert_eq!(typed.remaining_length(&|_| None), RemainingLength::Sectors(2048));
    let lowers = typed.lower_devices(2048);
    let used: Vec<_> = lowers.iter().map(|lower| (lower.start, lower.length)).collect();
    assert_eq!(used, [(0, Some(2048)), (8, Some(24))]);
    assert!(lowers.iter().all(|lower| lower.access == DeviceAccess::Read));
}

#[test]
fn maps() {
    let fields = format!(
        "version = 0\ndata = {{ device = \"1:0\", block_size = 512, blocks = 8 }}\nhash = {{ device = \"1:0\", block_size = \
         \"1KiB\" }}\nalgorithm = \"sha256\"\nroot_hash = \"{ROOT}\"\nsalt = \"0A\"\non_corruption = \"restart\"\non_error = \
         \"panic\"\nignore_zero_blocks = true\nfec = {{ device = \"1:2\", blocks = 20 }}\nroot_hash_sig_key_desc = \"k\""
    );
    let typed: Verity = toml::from_str(&fields).unwrap();
    assert_eq!(
        kit::print(&typed),
        format!(
            "0 1:0 1:0 512 1024 8 0 sha256 {ROOT} 0a 13 restart_on_corruption panic_on_error ignore_zero_blocks \
             use_fec_from_device 1:2 fec_blocks 20 fec_start 0 fec_roots 2 root_hash_sig_key_desc k"
        )
    );
    let again: Verity = typed.fields().try_into().unwrap();
    assert_eq!(kit::print(&again), kit::print(&typed));
}
