use proptest::prelude::*;

use super::super::frame::ErasedTarget;
use super::super::{Effect, Style, Target, find, kit};
use super::*;
use crate::identity::DevNum;
use crate::keys::KeySource;
use crate::secret::{REDACTED, Secret};
use crate::targets::Found;

/// What a kernel printed of a device formatted with `crc32c` and defaults.
const LIVE: &str = "1:0 0 4 J 6 journal_sectors:880 interleave_sectors:32768 buffer_sectors:128 \
                    journal_watermark:50 commit_time:10000 internal_hash:crc32c";
/// The same in bitmap mode.
const LIVE_BITMAP: &str = "1:0 0 4 B 6 journal_sectors:880 interleave_sectors:32768 buffer_sectors:128 \
                           sectors_per_bit:32768 bitmap_flush_interval:10000 internal_hash:crc32c";
const KEY: &str = "c0ffee0102030405060708090a0b0c0d";

fn compare(wanted: &str, live: &str) -> Differences {
    kit::compare::<Integrity>(wanted, live)
}

fn algorithm() -> impl Strategy<Value = Option<Algorithm>> {
    let key = prop_oneof![
        Just(KeySource::None),
        proptest::collection::vec(any::<u8>(), 8..40).prop_map(|bytes| KeySource::Hex(Secret::hex(&bytes))),
    ];
    proptest::option::of(
        ("crc32c|sha256|hmac\\(sha256\\)|ctr\\(aes\\)", key)
            .prop_map(|(algorithm, key)| Algorithm { algorithm, key: key.into() }),
    )
}

fn integrity() -> impl Strategy<Value = Integrity> {
    let device =
        || (1u32..4000, 0u32..1000).prop_map(|(major, minor)| Device::numbered(DevNum::new(major, minor)));
    let mode = proptest::sample::select(Mode::LETTERS.map(|(mode, ..)| mode).to_vec());
    let size = || proptest::option::of((1u64..1 << 32).prop_map(Sectors));
    // The kernel rounds these to a power of two from 4 KiB to 2 GiB, and prints no other.
    let power = || proptest::option::of((3u32..=22).prop_map(|log| Sectors(1 << log)));
    let number = || proptest::option::of(0u32..100);
    let head =
        (device(), 0u64..1 << 40, proptest::option::of(1u32..256), mode, proptest::option::of(device()));
    let sizes = (proptest::option::of(0u32..4), size(), size(), power(), power());
    let numbers = (number(), number(), number());
    let algorithms = (algorithm(), algorithm(), algorithm());
    (head, sizes, numbers, algorithms, any::<[bool; 6]>()).prop_map(
        |((device, reserved, tag, mode, meta_device), sizes, numbers, algorithms, flags)| Integrity {
            meta_device,
            block_size: sizes.0.map(|log| Bytes(SECTOR << log)),
            journal_sectors: sizes.1,
            interleave_sectors: sizes.2,
            buffer_sectors: sizes.3,
            sectors_per_bit: sizes.4,
            journal_watermark: numbers.0,
            commit_time: numbers.1,
            bitmap_flush_interval: numbers.2,
            internal_hash: algorithms.0,
            journal_crypt: algorithms.1,
            journal_mac: algorithms.2,
            allow_discards: flags[0],
            recalculate: flags[1],
            reset_recalculate: flags[2],
            fix_padding: flags[3],
            fix_hmac: flags[4],
            legacy_recalculate: flags[5],
            ..Integrity { device, reserved: Sectors(reserved), tag_size: tag, mode, ..Integrity::default() }
        },
    )
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(integrity in integrity()) {
        kit::round_trip(&integrity)?;
    }

    #[test]
    fn no_output_carries_a_key(integrity in integrity()) {
        let keys: Vec<String> = [&integrity.internal_hash, &integrity.journal_crypt, &integrity.journal_mac]
            .into_iter()
            .flatten()
            .filter_map(|algorithm| Some(algorithm.key.material()?.reveal().to_string()))
            .collect();
        let typed: &dyn Target = &integrity;
        let params = typed.params(Style::Kernel);
        for shown in [
            typed.params(Style::Shown),
            typed.params(Style::Redacted),
            Integrity::redact(&params),
            Integrity::redact(&params.to_uppercase()).to_lowercase(),
            format!("{integrity:?}"),
            typed.fields().to_string(),
        ] {
            for key in &keys {
                prop_assert!(!shown.contains(key), "{}", shown);
            }
        }
        for key in keys {
            prop_assert!(params.contains(&key));
        }
    }

    #[test]
    fn any_words_are_read_or_refused(params in "[ -~]{0,80}") {
        let _ = find("integrity").unwrap().parse(&params);
        let _ = Integrity::redact(&params);
    }

    #[test]
    fn comparing_never_fails(wanted in integrity(), live in integrity()) {
        TargetKind::compare(&wanted, &live, &mut Differences::default());
    }
}

#[test]
fn what_the_kernel_refuses_for_its_superblock_is_no_reload() {
    // Seen on 6.1: "doesn't match the information in superblock", twice, and "Journal mac mismatch".
    for row in [
        "/dev/ram0 0 4 J 2 internal_hash:crc32c block_size:4096",
        "/dev/ram0 0 8 J 1 internal_hash:crc32c",
        "/dev/ram0 0 4 J 2 internal_hash:crc32c journal_mac:hmac(sha256):1122",
    ] {
        assert_eq!(compare(row, LIVE).effect(), Some(Effect::Recreate), "{row}");
    }
}

#[test]
fn what_the_superblock_decides_is_a_warning_and_no_difference() {
    for (options, warnings) in [
        ("journal_sectors:880", 0),
        ("journal_sectors:1000", 0),
        ("journal_sectors:2000", 1),
        ("interleave_sectors:40000", 0),
        ("interleave_sectors:1000", 1),
        ("fix_padding", 1),
        ("fix_hmac", 1),
        ("recalculate", 0),
        ("reset_recalculate", 0),
        ("buffer_sectors:200", 0),
        ("journal_watermark:51", 0),
    ] {
        let differences = compare(&format!("1:0 0 4 J 2 internal_hash:crc32c {options}"), LIVE);
        assert!(differences.is_equal(), "{options}: {differences:?}");
        assert_eq!(differences.ignored.len(), warnings, "{options}: {differences:?}");
    }
    // A flag that the superblock turned on is not a difference either.
    let on_disk =
        LIVE.replace("J 6", "J 9 recalculate").replace("internal_hash", "fix_padding fix_hmac internal_hash");
    let differences = compare("1:0 0 4 J 1 internal_hash:crc32c", &on_disk);
    assert!(differences.is_equal() && differences.ignored.is_empty(), "{differences:?}");
}

#[test]
fn the_journal_is_rounded_as_the_kernel_does() {
    // Seen: 2000 asked for, 1936 printed.
    let live = LIVE.replace("journal_sectors:880", "journal_sectors:1936");
    let differences = compare("1:0 0 - J 2 internal_hash:crc32c journal_sectors:2000", &live);
    assert!(differences.is_equal() && differences.ignored.is_empty(), "{differences:?}");
    // Seen with blocks of 4096 bytes and tags of 32: three sections of 264 sectors.
    let live = "1:0 0 32 J 7 block_size:4096 journal_sectors:792 interleave_sectors:32768 buffer_sectors:128 \
                journal_watermark:50 commit_time:10000 internal_hash:hmac(sha256):0011";
    let wanted = "1:0 0 - J 3 block_size:4096 journal_sectors:800 internal_hash:hmac(sha256):0011";
    assert!(compare(wanted, live).ignored.is_empty());
    assert_eq!(compare(&wanted.replace(":800", ":1056"), live).ignored.len(), 1);
}

#[test]
fn a_difference_says_what_it_takes() {
    for (wanted, field, effect) in [
        ("1:1 0 4 J 1 internal_hash:crc32c", "device", Effect::Remap),
        ("1:0 8 4 J 1 internal_hash:crc32c", "reserved", Effect::Remap),
        ("1:0 0 4 D 1 internal_hash:crc32c", "mode", Effect::Tune),
        ("1:0 0 4 I 1 internal_hash:crc32c", "mode", Effect::Recreate),
        ("1:0 0 8 J 1 internal_hash:crc32c", "tag_size", Effect::Recreate),
        ("1:0 0 4 J 2 internal_hash:crc32c meta_device:1:9", "meta_device", Effect::Recreate),
        ("1:0 0 4 J 2 internal_hash:crc32c block_size:4096", "block_size", Effect::Recreate),
        ("1:0 0 4 J 2 internal_hash:crc32c journal_mac:hmac(sha256):aa", "journal_mac", Effect::Recreate),
        ("1:0 0 4 J 1 internal_hash:crc32", "internal_hash", Effect::Remap),
        ("1:0 0 4 J 1 internal_hash:crc32c:00000000", "internal_hash.key", Effect::Remap),
        ("1:0 0 4 J 2 internal_hash:crc32c journal_crypt:ctr(aes):aa", "journal_crypt", Effect::Remap),
        ("1:0 0 4 J 2 internal_hash:crc32c allow_discards", "allow_discards", Effect::Tune),
        ("1:0 0 4 J 2 internal_hash:crc32c legacy_recalculate", "legacy_recalculate", Effect::Tune),
        ("1:0 0 4 J 2 internal_hash:crc32c buffer_sectors:64", "buffer_sectors", Effect::Tune),
        ("1:0 0 4 J 2 internal_hash:crc32c buffer_sectors:256", "buffer_sectors", Effect::Tune),
        ("1:0 0 4 J 2 internal_hash:crc32c journal_watermark:52", "journal_watermark", Effect::Tune),
        ("1:0 0 4 J 2 internal_hash:crc32c commit_time:500", "commit_time", Effect::Tune),
    ] {
        let differences = compare(wanted, LIVE);
        assert_eq!(differences.fields.len(), 1, "{wanted}: {differences:?}");
        assert_eq!((differences.fields[0].field.as_str(), differences.fields[0].effect), (field, effect));
    }
    // Without a tag size the hash says it.
    let differences = compare("1:0 0 - J 1 internal_hash:sha256", LIVE);
    assert_eq!(differences.effect(), Some(Effect::Recreate));
    for (wanted, equal) in [
        ("sectors_per_bit:60000", true),
        ("sectors_per_bit:16384", true),
        ("sectors_per_bit:65536", false),
        ("bitmap_flush_interval:9991", true),
        ("bitmap_flush_interval:9990", false),
        ("bitmap_flush_interval:10001", false),
        ("commit_time:5", true),
    ] {
        let differences = compare(&format!("1:0 0 4 B 2 internal_hash:crc32c {wanted}"), LIVE_BITMAP);
        assert_eq!(differences.is_equal(), equal, "{wanted}: {differences:?}");
    }
}

#[test]
fn keys_differ_without_being_shown() {
    let live = "1:0 0 32 D 4 journal_sectors:968 interleave_sectors:32768 buffer_sectors:128 \
                internal_hash:hmac(sha256):00FF";
    assert!(compare("1:0 0 - D 1 internal_hash:hmac(sha256):00ff", live).is_equal());
    let differences = compare(&format!("1:0 0 - D 1 internal_hash:hmac(sha256):{KEY}"), live);
    assert_eq!(differences.effect(), Some(Effect::Remap));
    assert!(!format!("{differences:?}").contains("c0ffee"));
    let withheld = format!("1:0 0 - D 1 internal_hash:hmac(sha256):{REDACTED}");
    assert!(compare(&withheld, live).unknown.is_some());
}

#[test]
fn wrong_values_are_found() {
    let fields = kit::wrong_fields::<Integrity>;
    assert_eq!(fields(LIVE, Some(8)), [""; 0]);
    assert_eq!(fields("1:0 0 - J 0", Some(8)), ["tag_size"]);
    assert_eq!(fields("1:0 0 0 J 1 internal_hash:crc32c", Some(8)), ["tag_size"]);
    assert_eq!(fields("1:0 0 256 J 1 internal_hash:crc32c", Some(8)), ["tag_size"]);
    assert_eq!(
        fields("1:0 0 4 B 2 allow_discards recalculate", None),
        ["mode", "allow_discards", "recalculate"]
    );
    assert_eq!(fields("1:0 0 4 J 2 internal_hash:crc32c block_size:1000", None), ["block_size"]);
    assert_eq!(fields("1:0 0 4 J 2 internal_hash:crc32c block_size:4096", Some(9)), ["length"]);
    assert_eq!(fields("1:0 0 4 J 2 internal_hash:crc32c journal_watermark:101", None), ["journal_watermark"]);
    // The kernel makes something of it, and so the row is taken.
    for nothing in ["journal_sectors:0", "interleave_sectors:0", "buffer_sectors:0"] {
        assert!(fields(&format!("1:0 0 4 J 2 internal_hash:crc32c {nothing}"), None).is_empty(), "{nothing}");
    }
    assert_eq!(fields("1:0 0 - J 1 internal_hash:hmac(sha256)", None), ["internal_hash.key"]);
    assert_eq!(fields("1:0 0 - J 1 internal_hash:sha256:00", None), ["internal_hash.key"]);
    assert_eq!(
        fields("1:0 0 - J 2 internal_hash:crc32c journal_crypt:ctr(aes):00112233", None),
        ["journal_crypt.key"]
    );
    assert_eq!(
        fields("1:0 0 - I 3 internal_hash:crc32c meta_device:1:1 allow_discards", None),
        ["meta_device", "allow_discards"]
    );
}

#[test]
fn wrong_words_are_refused_without_showing_them() {
    for params in [
        format!("{KEY} 0 - J 0"),
        format!("1:0 {KEY} - J 0"),
        format!("1:0 0 {KEY} J 0"),
        format!("1:0 0 - {KEY} 0"),
        "1:0 0 - J".to_string(),
        "1:0 0 - j 0".to_string(),
        format!("1:0 0 - J {KEY}"),
        format!("1:0 0 - J 1 {KEY}"),
        format!("1:0 0 - J 1 internal_hahs:hmac(sha256):{KEY}"),
        format!("1:0 0 - J 1 internal_hash:hmac(sha256):{KEY}x"),
        format!("1:0 0 - J 1 internal_hash:hmac(sha256):{KEY}:"),
        format!("1:0 0 - J 1 internal_hash:hmac(sha256)::32:logon:{KEY}"),
        format!("1:0 0 - J 1 meta_device:{KEY}"),
        format!("1:0 0 - J 1 block_size:{KEY}"),
        "1:0 0 - J 1 internal_hash:hmac(sha256):".to_string(),
        "1:0 0 - J 1 internal_hash:hmac(sha256):-".to_string(),
        "1:0 0 - J 1 ALLOW_DISCARDS".to_string(),
        "1:0 0 - J 1 internal_hash".to_string(),
    ] {
        let error = find("integrity").unwrap().parse(&params).err().unwrap_or_else(|| panic!("{params}"));
        assert!(!error.to_string().contains("c0ffee"), "{error}");
        assert!(!Integrity::redact(&params).contains("c0ffee"), "{params}");
    }
    assert_eq!(
        Integrity::redact("1:0 0 - J 3 meta_device:1:9 internal_hash:crc32c journal_mac:hmac(sha256):1122"),
        "1:0 0 - J 3 meta_device:1:9 internal_hash:crc32c journal_mac:hmac(sha256):<secret>"
    );
}

#[test]
fn the_superblock_is_recognised() {
    let typed = kit::parse::<Integrity>("1:0 8 - J 1 internal_hash:crc32c");
    let [metadata] = typed.metadata().try_into().ok().unwrap();
    assert_eq!((metadata.offset, metadata.length), (4096, 4096));
    let mut block = vec![0; metadata.length];
    assert_eq!((metadata.look)(&block), Found::Blank);
    block[4095] = 1;
    assert_eq!((metadata.look)(&block), Found::Other);
    block[..8].copy_from_slice(b"integrt\0");
    assert_eq!((metadata.look)(&block), Found::Right);
    // In recovery mode nothing is formatted, and nothing refused.
    let recovery = kit::parse::<Integrity>("1:0 0 4 R 0");
    assert_eq!((recovery.metadata()[0].look)(&[0; 4096]), Found::Right);
    assert_eq!((recovery.metadata()[0].look)(&[1; 4096]), Found::Right);
    // But for a dirty bitmap, or what is one by chance.
    assert_eq!((recovery.metadata()[0].look)(&[b'.'; 4096]), Found::Fatal);
    let meta = kit::parse::<Integrity>("1:0 0 4 J 1 meta_device:1:9");
    assert_eq!(meta.metadata()[0].device.to_string(), "1:9");
}

#[test]
fn the_length_is_known_only_with_a_device_for_the_tags() {
    let rest = |row: &str| kit::parse::<Integrity>(row).remaining_length(&|_| Some(1001));
    assert_eq!(rest("1:0 0 4 J 1 internal_hash:crc32c"), RemainingLength::NotApplicable);
    assert_eq!(rest("1:0 0 4 J 2 meta_device:1:9 internal_hash:crc32c"), RemainingLength::Sectors(1001));
    assert_eq!(
        rest("1:0 0 4 J 3 meta_device:1:9 block_size:4096 internal_hash:crc32c"),
        RemainingLength::Sectors(1000)
    );
}

#[test]
fn maps() {
    let mut typed: Integrity = toml::from_str(
        "device = \"1:0\"\nmeta_device = \"1:9\"\nblock_size = \"4KiB\"\njournal_watermark = 70\n\
         internal_hash = { algorithm = \"hmac(sha256)\", key = { hex = \"0011\" } }\n\
         journal_crypt = { algorithm = \"ctr(aes)\", key = { file = \"/k\" } }\njournal_mac = \"cmac(aes)\"",
    )
    .unwrap();
    assert_eq!(
        typed.params(Style::Redacted),
        "1:0 0 - J 6 meta_device:1:9 block_size:4096 journal_watermark:70 internal_hash:hmac(sha256):<secret> \
         journal_crypt:ctr(aes):<secret> journal_mac:cmac(aes)"
    );
    let slots: Vec<&str> = typed.keys_mut().iter().map(|slot| slot.field).collect();
    assert_eq!(slots, ["internal_hash.key", "journal_crypt.key", "journal_mac.key"]);
    assert_eq!(typed.devices_mut().len(), 2);
    for bad in [
        format!("device = \"1:0\"\ninternal_hash = \"hmac(sha256):{KEY}\""),
        format!("device = \"1:0\"\ninternal_hash = {{ algorithm = \"hmac(sha256)\", key = \"{KEY}\" }}"),
        format!("device = \"1:0\"\ninternal_hash = {{ algorithm = \"hmac(sha256):{KEY}\" }}"),
    ] {
        let error = toml::from_str::<Integrity>(&bad).unwrap_err().message().to_string();
        assert!(error.contains("file = ") && !error.contains("c0ffee"), "{error}");
    }
    let keyring = "device = \"1:0\"\ninternal_hash = { algorithm = \"hmac(sha256)\", key = { keyring = \"user:k\", bytes = 32 } }";
    let typed: Integrity = toml::from_str(keyring).unwrap();
    assert_eq!(kit::problems(&typed, None)[0].field, "internal_hash.key");
}
