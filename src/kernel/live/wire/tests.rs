use super::*;

/// An answer with a header and `data` after it.
fn answer(flags: u32, target_count: u32, minor: u32, data: &[u8]) -> Answer {
    let mut bytes = vec![0; HEADER];
    let size = u32::try_from(HEADER + data.len()).unwrap();
    put(&mut bytes, VERSION, &4u32.to_ne_bytes());
    put(&mut bytes, VERSION + 4, &minor.to_ne_bytes());
    put(&mut bytes, DATA_SIZE, &size.to_ne_bytes());
    put(&mut bytes, DATA_START, &312u32.to_ne_bytes());
    put(&mut bytes, TARGET_COUNT, &target_count.to_ne_bytes());
    put(&mut bytes, FLAGS, &flags.to_ne_bytes());
    bytes.extend_from_slice(data);
    Answer(bytes.into())
}

/// A record of the list; `next` is filled in unless it is the last.
fn record(name: &[u8], minor: u64, tail: Option<(u32, &[u8])>, last: bool) -> Vec<u8> {
    let mut bytes = (0xfe00 | minor).to_ne_bytes().to_vec();
    bytes.extend([0; 4]);
    bytes.extend(name);
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    if let Some((flags, uuid)) = tail {
        bytes.extend(7u32.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(uuid);
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    if !last {
        let next = u32::try_from(bytes.len()).unwrap();
        put(&mut bytes, 8, &next.to_ne_bytes());
    }
    bytes
}

/// A row of a table; `next` counts from the first row.
fn row(start: u64, kind: &str, params: &str, next: u32) -> Vec<u8> {
    let mut bytes = vec![0; spec_length(params)];
    put(&mut bytes, 0, &start.to_ne_bytes());
    put(&mut bytes, 8, &8u64.to_ne_bytes());
    put(&mut bytes, 20, &next.to_ne_bytes());
    put(&mut bytes, 24, kind.as_bytes());
    put(&mut bytes, SPEC, params.as_bytes());
    bytes
}

#[test]
fn the_list_is_read_whatever_names_hold() {
    let data = [
        record(b"plain", 1, Some((RECORD_HAS_UUID, b"DMCTL-lab-plain")), false),
        record(b"a b/\xff", 2, Some((RECORD_HAS_NO_UUID, b"")), true),
    ]
    .concat();
    let entries = answer(0, 0, 47, &data).list().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].listed.uuid.as_ref().unwrap().text(), "DMCTL-lab-plain");
    assert_eq!(entries[0].listed.number, DevNum::new(254, 1));
    assert_eq!(entries[1].listed.name.kernel(), "a\\x20b\\x2f\\xff");
    assert!(entries.iter().all(|entry| entry.uuid_known));
}

#[test]
fn a_kernel_that_lists_no_uuids_is_noticed() {
    let data = record(b"old", 1, Some((RECORD_HAS_UUID, b"not a uuid, leftover bytes")), true);
    let entries = answer(0, 0, 44, &data).list().unwrap();
    assert!(!entries[0].uuid_known && entries[0].listed.uuid.is_none());
    let bare = record(b"older", 1, None, true);
    assert!(!answer(0, 0, 47, &bare).list().unwrap()[0].uuid_known);
}

#[test]
fn no_devices_is_an_empty_list() {
    assert_eq!(answer(0, 0, 47, &[0; 16]).list(), Ok(Vec::new()));
    assert_eq!(answer(0, 0, 47, &[]).list(), Ok(Vec::new()));
}

#[test]
fn tables_are_read_without_trailing_blanks() {
    let first = row(0, "linear", "1:0 0", 48);
    let data = [first, row(8, "thin-pool", "1:0 1:1 128 0 0 ", 104)].concat();
    let table = answer(0, 2, 47, &data).table().unwrap();
    assert_eq!(table[0].to_string(), "0 8 linear 1:0 0");
    assert_eq!(table[1].params(), "1:0 1:1 128 0 0");
}

#[test]
fn every_answer_that_is_cut_short_is_malformed_or_less() {
    let list = answer(0, 0, 47, &record(b"name", 1, Some((RECORD_HAS_UUID, b"uuid")), false));
    assert_eq!(list.list(), Err(Malformed));
    let rows = answer(0, 2, 47, &[row(0, "linear", "1:0 0", 48), row(8, "zero", "", 96)].concat());
    assert!(rows.table().is_ok());
    for length in 0..rows.0.len() {
        let short = Answer(rows.0[..length].to_vec().into());
        let (_, _, _) = (short.info(), short.list(), short.reply());
        if length < HEADER + 48 + SPEC + 1 {
            assert_eq!(short.table(), Err(Malformed), "{length}");
        }
    }
    let loops = answer(0, 1000, 47, &row(0, "linear", "1:0 0", 0));
    assert_eq!(loops.table(), Err(Malformed));
}

#[test]
fn a_load_is_written_as_the_kernel_reads_it() {
    let rows = [
        RawRow::new(0, 8, "linear", "1:0 0".to_string()),
        RawRow::new(8, 8, "vdo", "/dev/mapper/a\\x20b".to_string()),
    ];
    let id = Id::Name(Name::new("data").unwrap());
    let request = Request::about(&id, flag::READ_ONLY).unwrap().table(&rows).unwrap();
    let bytes = &request.0;
    assert_eq!(u32_at(bytes, VERSION), Ok(4));
    assert_eq!(u32_at(bytes, VERSION + 4), Ok(0));
    assert_eq!(u32_at(bytes, FLAGS), Ok(flag::READ_ONLY));
    assert_eq!(u32_at(bytes, TARGET_COUNT), Ok(2));
    assert_eq!(text(&bytes[NAME..]), b"data");
    let next = usize::try_from(u32_at(bytes, HEADER + 20).unwrap()).unwrap();
    assert_eq!(next, 48);
    let second = &bytes[HEADER + next..];
    assert_eq!(u64_at(second, 0), Ok(8));
    assert_eq!(text(&second[24..]), b"vdo");
    assert_eq!(text(&second[SPEC..]), b"/dev/mapper/a\\\\x20b");
    assert_eq!(bytes.len(), HEADER + next + usize::try_from(u32_at(second, 20).unwrap()).unwrap());
}

#[test]
fn what_would_be_cut_is_not_sent() {
    let id = Id::Name(Name::from_kernel(&[b'a'; 128]));
    assert_eq!(Request::about(&id, 0).err(), Some(Unwritable::TooLong));
    let id = Id::Name(Name::new("a").unwrap());
    let load = |row: RawRow| Request::about(&id, 0).unwrap().table(&[row]).err();
    assert_eq!(load(RawRow::new(0, 8, "x", "a\0b".to_string())), Some(Unwritable::Nul));
    assert_eq!(load(RawRow::new(0, 8, &"x".repeat(16), String::new())), Some(Unwritable::TooLong));
    assert_eq!(Request::about(&id, 0).unwrap().message(0, "a\0").err(), Some(Unwritable::Nul));
}

#[test]
fn device_numbers_decode() {
    assert_eq!(number(0xfe05), DevNum::new(254, 5));
    assert_eq!(number(0xfff0_0000 | (259 << 8) | 0xff), DevNum::new(259, 0xfffff));
}

#[test]
fn a_device_whose_name_and_uuid_are_not_utf_8_is_asked_for_by_their_bytes() {
    for bytes in [&b"a b\xff"[..], b"plain", b"a\\x20b", b"a\\xff"] {
        let request = Request::about(&Id::Name(Name::from_kernel(bytes)), 0).unwrap();
        assert_eq!(text(&request.0[NAME..]), bytes);
        let request = Request::about(&Id::Uuid(Uuid::from_kernel(bytes).unwrap()), 0).unwrap();
        assert_eq!(text(&request.0[UUID..]), bytes);
    }
}
