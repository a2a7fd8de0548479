use proptest::prelude::*;

use super::super::frame::ErasedTarget;
use super::super::{Style, Target, find, kit};
use super::*;
use crate::identity::DevNum;
use crate::keys::Keyring;
use crate::secret::{REDACTED, Secret};

const KEY: &str = "c0ffee0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d";

fn row(cipher: &str, tail: &str) -> Crypt {
    kit::parse(&format!("{cipher} {KEY} {tail}"))
}

fn hex() -> impl Strategy<Value = KeySource> {
    proptest::collection::vec(any::<u8>(), 16..64).prop_map(|bytes| KeySource::Hex(Secret::hex(&bytes)))
}

fn key() -> impl Strategy<Value = KeySource> {
    prop_oneof![
        Just(KeySource::None),
        hex(),
        ("(logon|user|encrypted|trusted):[a-z0-9:/_.-]{1,20}", 1u32..512)
            .prop_map(|(name, bytes)| KeySource::Keyring(Keyring::new(&name, bytes).unwrap())),
    ]
}

fn tag() -> impl Strategy<Value = Option<Tag>> {
    let kind = prop_oneof![Just(TagKind::None), Just(TagKind::Aead)];
    proptest::option::of((1u32..480, kind).prop_map(|(tag_size, kind)| Tag { tag_size, kind }))
}

fn crypt() -> impl Strategy<Value = Crypt> {
    let cipher = "aes|aes-plain|aes-xts-plain64|serpent-cbc-essiv:sha256|capi:xts\\(aes\\)-plain64";
    let numbers = (0u64..1 << 50, 0u64..1 << 50, 0u32..4, proptest::option::of(1u32..64));
    let device =
        (1u32..4000, 0u32..1_000_000).prop_map(|(major, minor)| Device::numbered(DevNum::new(major, minor)));
    (cipher, key(), device, numbers, any::<[bool; 7]>(), tag()).prop_map(
        |(cipher, key, device, (iv, offset, log, mac), flags, integrity)| Crypt {
            cipher,
            key: key.into(),
            iv_offset: Sectors(iv),
            device,
            offset: Sectors(offset),
            sector_size: Bytes(SECTOR << log),
            allow_discards: flags[0],
            same_cpu_crypt: flags[1],
            high_priority: flags[2],
            submit_from_crypt_cpus: flags[3],
            no_read_workqueue: flags[4],
            no_write_workqueue: flags[5],
            iv_large_sectors: flags[6],
            integrity,
            integrity_key_size: mac,
        },
    )
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(crypt in crypt()) {
        kit::round_trip(&crypt)?;
    }

    #[test]
    fn no_output_carries_a_key(mut crypt in crypt(), key in hex()) {
        let KeySource::Hex(secret) = &key else { unreachable!() };
        let secret = secret.reveal().to_string();
        crypt.key = key.into();
        let typed: &dyn Target = &crypt;
        let params = typed.params(Style::Kernel);
        prop_assert!(params.contains(&secret));
        for shown in [
            typed.params(Style::Shown),
            typed.params(Style::Redacted),
            Crypt::redact(&params),
            Crypt::redact(&params.to_uppercase()).to_lowercase(),
            format!("{crypt:?}"),
            typed.fields().to_string(),
        ] {
            prop_assert!(!shown.contains(&secret), "{}", shown);
            prop_assert!(!shown.contains(&secret[..16]), "{}", shown);
        }
    }

    #[test]
    fn any_words_are_read_or_refused(params in "[ -~]{0,80}") {
        if let Err(error) = find("crypt").unwrap().parse(&params) {
            prop_assert!(!error.to_string().contains(KEY));
        }
        let _ = Crypt::redact(&params);
    }
}

#[test]
fn wrong_values_are_found() {
    let fields = |crypt: Crypt, length| {
        kit::problems(&crypt, length).into_iter().map(|problem| problem.field).collect::<Vec<_>>()
    };
    assert_eq!(fields(row("aes-xts-plain64", "0 1:0 0"), Some(8)), [""; 0]);
    assert_eq!(fields(row("aes-xts", "0 1:0 0"), Some(8)), ["cipher"]);
    assert_eq!(fields(row("aes-xts-plain64", "0 1:0 0 1 sector_size:1000"), Some(8)), ["sector_size"]);
    assert_eq!(fields(row("aes-xts-plain64", "0 1:0 0 1 sector_size:8192"), Some(16)), ["sector_size"]);
    assert_eq!(fields(row("aes-xts-plain64", "8 1:0 0 1 sector_size:4096"), Some(16)), [""; 0]);
    assert_eq!(
        fields(row("aes-xts-plain64", "4 1:0 0 1 sector_size:4096"), Some(12)),
        ["iv_offset", "length"]
    );
    assert_eq!(
        fields(row("aes-xts-plain64", "0 1:0 0 1 integrity:481:none"), Some(8)),
        ["integrity.tag_size"]
    );
    assert_eq!(
        fields(row("aes-xts-plain64", "0 1:0 0 1 integrity_key_size:0"), Some(8)),
        ["integrity_key_size"]
    );
    for (cipher, bytes) in [("aes-xts-plain64", 16), ("aes-cbc-essiv:sha256", 64), ("cipher_null-ecb", 16)] {
        let problems = kit::check::<Crypt>(&format!("{cipher} {} 0 1:0 0", "ab".repeat(bytes)), Some(8));
        assert_eq!(problems.len(), 1, "{cipher}");
        let message = problems[0].to_string();
        assert!(message.contains(&format!("{bytes} bytes")) && !message.contains("abab"));
    }
    for key in [":31:logon:k", "-"] {
        let row = format!("aes-xts-plain64 {key} 0 1:0 0");
        assert_eq!(kit::wrong_fields::<Crypt>(&row, Some(8)), ["key"], "{key}");
    }
}

#[test]
fn wrong_words_are_refused_without_showing_them() {
    for params in [
        format!("aes {KEY}"),
        format!("aes {KEY}x 0 1:0 0"),
        format!("aes {KEY}a 0 1:0 0"),
        format!("aes {KEY} {KEY} 1:0 0"),
        format!("aes {KEY} 0 {KEY} 0"),
        format!("aes 00 0 1:0 {KEY}"),
        format!("aes {KEY} 0 1:0 0 {KEY}"),
        format!("aes {KEY} 0 1:0 0 1 {KEY}"),
        format!("aes {KEY} 0 1:0 0 1 sector_size:{KEY}"),
        format!("aes {KEY} 0 1:0 0 1 integrity:4:{KEY}"),
        format!("aes {KEY} 0 1:0 0 1 integrity:{KEY}"),
        format!("aes {KEY} 0 1:0 0 0 {KEY}"),
        format!("aes :32:{KEY} 0 1:0 0"),
        format!("aes\\ {KEY} 0 1:0 0"),
        "aes 00 18446744073709551616 1:0 0".to_string(),
        "aes 00 0 1:0 -1".to_string(),
    ] {
        let error = find("crypt").unwrap().parse(&params).err().unwrap_or_else(|| panic!("{params}"));
        assert!(!error.to_string().contains("c0ffee"), "{error}");
        assert!(!Crypt::redact(&params).contains("c0ffee"), "{params}");
    }
}

#[test]
fn a_difference_says_what_it_takes() {
    for (wanted, live, field, effect) in [
        ("aes-xts-plain64 aa", "aes-xts-plain aa", "cipher", Effect::Remap),
        ("aes-xts-plain64 aa", "aes-xts-plain64 ab", "key", Effect::Remap),
        ("aes-xts-plain64 :64:logon:a", "aes-xts-plain64 :64:logon:b", "key", Effect::Remap),
    ] {
        let differences = kit::compare::<Crypt>(&format!("{wanted} 0 1:0 0"), &format!("{live} 0 1:0 0"));
        assert_eq!(differences.fields.len(), 1);
        assert_eq!((differences.fields[0].field.as_str(), differences.fields[0].effect), (field, effect));
    }
    for (tail, field, effect) in [
        ("8 1:0 0", "iv_offset", Effect::Remap),
        ("0 1:1 0", "device", Effect::Remap),
        ("0 1:0 8", "offset", Effect::Remap),
        ("0 1:0 0 1 sector_size:4096", "sector_size", Effect::Remap),
        ("0 1:0 0 1 iv_large_sectors", "iv_large_sectors", Effect::Remap),
        ("0 1:0 0 1 integrity:16:aead", "integrity", Effect::Remap),
        ("0 1:0 0 1 integrity_key_size:32", "integrity_key_size", Effect::Remap),
        ("0 1:0 0 1 ALLOW_discards", "allow_discards", Effect::Tune),
        ("0 1:0 0 1 high_priority", "high_priority", Effect::Tune),
        ("0 1:0 0 1 no_write_workqueue", "no_write_workqueue", Effect::Tune),
    ] {
        let (wanted, live) = (row("aes-xts-plain64", tail), row("aes-xts-plain64", "0 1:0 0"));
        let differences = kit::differences(&wanted, &live);
        assert_eq!(differences.fields.len(), 1, "{tail}");
        assert_eq!((differences.fields[0].field.as_str(), differences.fields[0].effect), (field, effect));
    }
    let nothing = row("aes-xts-plain64", "0 1:0 0 1 sector_size:512");
    assert!(kit::differences(&nothing, &row("aes-xts-plain64", "0 1:0 0")).is_equal());
}

#[test]
fn a_key_file_is_compared_once_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, [0xabu8; 64]).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let user = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&path).unwrap());
    let fields =
        format!("cipher = \"aes-xts-plain64\"\nkey = {{ file = \"{}\" }}\ndevice = \"1:0\"", path.display());
    let mut wanted: Crypt = toml::from_str(&fields).unwrap();
    let live: Crypt = kit::parse(&format!("aes-xts-plain64 {} 0 1:0 0", "ab".repeat(64)));
    assert!(kit::differences(&wanted, &live).unknown.is_some());
    assert!(wanted.params(Style::Kernel).contains(REDACTED));

    let places = crate::keys::Places { credentials: None, user };
    assert!(crate::keys::read_all(wanted.keys_mut(), &places).is_empty());
    assert!(kit::differences(&wanted, &live).is_equal());
    assert_eq!(wanted.params(Style::Kernel), live.params(Style::Kernel));
    assert!(!wanted.params(Style::Shown).contains("abab"));
    assert!(!wanted.fields().to_string().contains("abab"));

    std::fs::write(&path, [0xabu8; 63]).unwrap();
    let errors = crate::keys::read_all(wanted.keys_mut(), &places);
    assert!(
        errors[0].1.to_string().contains("has 63 bytes, the cipher takes 32 or 64 bytes"),
        "{}",
        errors[0].1
    );
}

#[test]
fn left_out_the_length_ends_with_a_whole_sector() {
    let rest = |tail: &str, size| row("aes-xts-plain64", tail).remaining_length(&|_| Some(size));
    assert_eq!(rest("0 1:0 8", 1001), RemainingLength::Sectors(993));
    assert_eq!(rest("0 1:0 8 1 sector_size:4096", 1001), RemainingLength::Sectors(992));
    assert!(matches!(rest("0 1:0 8 1 sector_size:4096", 15), RemainingLength::TooSmall(_)));
    assert!(matches!(rest("0 1:0 8", 4), RemainingLength::TooSmall(_)));
    assert_eq!(row("aes-xts-plain64", "0 1:0 0").remaining_length(&|_| None), RemainingLength::Unknown);
}

#[test]
fn maps() {
    let error = toml::from_str::<Crypt>(&format!("cipher = \"aes\"\nkey = \"{KEY}\"\ndevice = \"1:0\""));
    let error = error.unwrap_err().message().to_string();
    assert!(error.contains("{ file") && !error.contains("c0ffee"), "{error}");
    let crypt: Crypt = toml::from_str(&format!(
        "cipher = \"aes-gcm-random\"\nkey = {{ hex = \"{}\" }}\ndevice = \"1:0\"\nsector_size = \"4KiB\"\n\
             integrity = {{ tag_size = 28, type = \"aead\" }}",
        KEY.to_uppercase()
    ))
    .unwrap();
    assert_eq!(
        kit::print(&crypt),
        format!("aes-gcm-random {KEY} 0 1:0 0 2 integrity:28:aead sector_size:4096")
    );
    assert!(toml::from_str::<Crypt>("cipher = \"aes\"\ndevice = \"1:0\"\nallow_discard = true").is_err());
}
