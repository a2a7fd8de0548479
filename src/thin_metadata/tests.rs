use std::cell::Cell;
use std::fmt::Write as _;
use std::process::Command;

use super::block::Block;
use super::checksum::BlockKind;
use super::read::{LOOKS, read};
use super::superblock;
use super::written::{Written, put, seal};
use super::*;
use crate::units::Sectors;

/// What a volume has, from its id alone.
fn volume(id: u32) -> ThinVolume {
    let number = u64::from(id);
    ThinVolume {
        id,
        mapped_blocks: number % 3,
        transaction_id: number * 7,
        creation_time: id % 5,
        snapshotted_time: id % 11,
    }
}

/// A node that leads to these nodes or has the details of these volumes.
fn node(kind: u32, entries: &[(u64, Vec<u8>)]) -> Block {
    let mut block = [0; BLOCK];
    let size = if kind == node::INTERNAL { 8 } else { details::DETAILS };
    let room = (BLOCK - node::at::KEYS) / (node::KEY + size);
    let short = |count: usize| u32::try_from(count).unwrap().to_le_bytes();
    put(&mut block, node::at::FLAGS, &kind.to_le_bytes());
    put(&mut block, node::at::ENTRIES, &short(entries.len()));
    put(&mut block, node::at::ROOM, &short(room));
    put(&mut block, node::at::VALUE_SIZE, &short(size));
    for (index, (key, value)) in entries.iter().enumerate() {
        put(&mut block, node::at::KEYS + index * 8, &key.to_le_bytes());
        put(&mut block, node::at::KEYS + room * 8 + index * size, value);
    }
    block
}

fn leaf(ids: &[u64]) -> Block {
    let entry = |id: &u64| {
        let volume = volume(u32::try_from(id % (1 << 24)).unwrap());
        let words = [volume.mapped_blocks.to_le_bytes(), volume.transaction_id.to_le_bytes()].concat();
        let times = [volume.creation_time.to_le_bytes(), volume.snapshotted_time.to_le_bytes()].concat();
        (*id, [words, times].concat())
    };
    node(node::LEAF, &ids.iter().map(entry).collect::<Vec<_>>())
}

fn internal(children: &[(u64, u64)]) -> Block {
    let entry = |(key, child): &(u64, u64)| (*key, child.to_le_bytes().to_vec());
    node(node::INTERNAL, &children.iter().map(entry).collect::<Vec<_>>())
}

/// Metadata with these nodes from block 1 on, the root first.
fn metadata(nodes: &[Block]) -> Written {
    let mut first = [0; BLOCK];
    put(&mut first, superblock::at::DETAILS_ROOT, &1u64.to_le_bytes());
    put(&mut first, superblock::at::TRANSACTION, &9u64.to_le_bytes());
    put(&mut first, superblock::at::BLOCK_SIZE, &128u32.to_le_bytes());
    Written { blocks: [&[first], nodes].concat() }.sealed()
}

fn ids(written: &Written) -> Result<Vec<u32>, Unreadable> {
    written.read().map(|content| content.volumes.iter().map(|volume| volume.id).collect())
}

fn damaged(block: u64, damage: Damage) -> Result<Vec<u32>, Unreadable> {
    Err(Unreadable::Damaged { block, damage })
}

#[test]
fn volumes_are_read_by_id() {
    let written = metadata(&[internal(&[(0, 2), (7, 3)]), leaf(&[0, 3]), leaf(&[9, 16_777_215])]);
    let content = written.read().unwrap();
    assert_eq!(content.volumes, [0, 3, 9, 16_777_215].map(volume));
    assert_eq!((content.transaction_id, content.block_size), (9, Sectors(128)));
    assert_eq!(content.volume(9), Some(&volume(9)));
    assert_eq!(content.volume(8), None);
    assert_eq!(ids(&metadata(&[leaf(&[])])), Ok(Vec::new()));
}

#[test]
fn a_damaged_tree_is_told() {
    let two = |one: Block, two: Block| metadata(&[internal(&[(0, 2), (7, 3)]), one, two]);
    let cases = [
        (two(leaf(&[0, 7]), leaf(&[8])), 2, Damage::Order { key: 7 }),
        (two(leaf(&[0]), leaf(&[6])), 3, Damage::Order { key: 6 }),
        (two(leaf(&[3, 3]), leaf(&[8])), 2, Damage::Order { key: 3 }),
        (two(leaf(&[0]), leaf(&[1 << 24])), 3, Damage::VolumeId { id: 1 << 24 }),
        (two(leaf(&[0]), internal(&[])), 3, Damage::Entries { count: 0 }),
        (metadata(&[internal(&[(0, 1)])]), 1, Damage::Twice),
        (metadata(&[internal(&[(0, 2), (7, 2)]), leaf(&[0])]), 2, Damage::Twice),
        (metadata(&[internal(&[(0, 0)])]), 0, Damage::Outside),
        (metadata(&[internal(&[(0, 2)])]), 2, Damage::Outside),
        (metadata(&[internal(&[(0, u64::MAX)])]), u64::MAX, Damage::Outside),
    ];
    for (written, block, damage) in cases {
        assert_eq!(ids(&written), damaged(block, damage));
    }
    let long: Vec<Block> = (2..40).map(|next| internal(&[(0, next)])).collect();
    assert_eq!(ids(&metadata(&long)), damaged(17, Damage::Depth));
}

#[test]
fn a_damaged_block_is_told() {
    let changed = |at: usize, bytes: &[u8]| {
        let mut written = metadata(&[leaf(&[4])]);
        put(&mut written.blocks[1], at, bytes);
        seal(&mut written.blocks[1], BlockKind::Node);
        ids(&written)
    };
    assert_eq!(changed(node::at::FLAGS, &[3]), damaged(1, Damage::Kind { flags: 3 }));
    assert_eq!(changed(node::at::FLAGS, &[1]), damaged(1, Damage::ValueSize { bytes: 24 }));
    assert_eq!(changed(node::at::ENTRIES, &[0xff; 4]), damaged(1, Damage::Entries { count: u32::MAX }));
    assert_eq!(changed(node::at::ROOM, &[0xff; 4]), damaged(1, Damage::Entries { count: 1 }));
    assert_eq!(changed(node::at::BLOCK, &[2]), damaged(1, Damage::Misplaced { recorded: 2 }));
    let mut written = metadata(&[leaf(&[4])]);
    written.blocks[1][4000] ^= 1;
    assert_eq!(ids(&written), damaged(1, Damage::Checksum));
}

#[test]
fn a_superblock_is_checked_first() {
    let changed = |at: usize, bytes: &[u8]| {
        let mut written = metadata(&[leaf(&[4])]);
        put(&mut written.blocks[0], at, bytes);
        seal(&mut written.blocks[0], BlockKind::Superblock);
        ids(&written)
    };
    assert_eq!(changed(superblock::at::FLAGS, &[1]), Err(Unreadable::NeedsCheck));
    assert_eq!(changed(superblock::at::VERSION, &[3]), Err(Unreadable::Version(3)));
    assert_eq!(changed(superblock::at::INCOMPATIBLE, &[4]), Err(Unreadable::Features(4)));
    assert_eq!(changed(superblock::at::BLOCK, &[4]), damaged(0, Damage::Misplaced { recorded: 4 }));
    assert_eq!(changed(superblock::at::MAGIC, &[0]), Err(Unreadable::Foreign));
    let mut written = metadata(&[leaf(&[4])]);
    written.blocks[0][300] ^= 1;
    assert_eq!(ids(&written), damaged(0, Damage::Checksum));
    assert_eq!(ids(&Written::of(&[0; BLOCK])), Err(Unreadable::Blank));
    assert_eq!(ids(&Written::of(&[])), Err(Unreadable::Unread { block: 0 }));
}

/// One that changes at each look is never told, and one that changes once is told as it is then, also where the looks before saw a
/// damaged tree.
#[test]
fn what_changes_while_it_is_read() {
    let looks = Cell::new(0);
    let states = |calm: usize| {
        looks.set(0);
        let read_block = |number: u64| {
            looks.set(looks.get() + usize::from(number == 0));
            let mut written = metadata(&[leaf(&[looks.get().min(calm) as u64])]);
            put(
                &mut written.blocks[0],
                superblock::at::TRANSACTION,
                &(looks.get().min(calm) as u64).to_le_bytes(),
            );
            let damaged = looks.get() < calm && looks.get() % 2 == 1;
            let kind = if damaged { BlockKind::Node } else { BlockKind::Superblock };
            seal(&mut written.blocks[0], kind);
            written.block(number)
        };
        read(&read_block).map(|content| content.volumes.iter().map(|volume| volume.id).collect::<Vec<_>>())
    };
    assert_eq!(states(usize::MAX), Err(Unreadable::Changing));
    assert_eq!(looks.get(), LOOKS);
    assert_eq!(states(5), Ok(vec![5]));
    assert_eq!(looks.get(), 6);
}

/// What the tools of other hands write is read: a tree of three levels.
#[test]
fn what_thin_restore_writes() {
    let folder = tempfile::tempdir().unwrap();
    let [text, disk] = ["pool.xml", "metadata"].map(|name| folder.path().join(name));
    let ids = (0..40_000).map(|number: u32| number * 3);
    let mut xml = String::from(
        "<superblock uuid=\"\" time=\"4\" transaction=\"12\" version=\"2\" data_block_size=\"256\" nr_data_blocks=\"50\">\n",
    );
    for volume in ids.clone().map(volume) {
        writeln!(
            xml,
            "<device dev_id=\"{}\" mapped_blocks=\"0\" transaction=\"{}\" creation_time=\"{}\" snap_time=\"{}\"/>",
            volume.id, volume.transaction_id, volume.creation_time, volume.snapshotted_time
        )
        .unwrap();
    }
    xml.push_str("</superblock>\n");
    std::fs::write(&text, xml).unwrap();
    std::fs::File::create(&disk).unwrap().set_len(256 << 20).unwrap();
    let restored = Command::new("thin_restore").arg("-i").arg(&text).arg("-o").arg(&disk).output();
    let restored = restored.expect("thin_restore is of the Debian package thin-provisioning-tools");
    assert!(restored.status.success(), "{restored:?}");
    let file = std::fs::File::open(&disk).unwrap();
    let content = read(&|number| {
        let mut block = vec![0; BLOCK];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut block, number * 4096).ok()?;
        Some(block)
    });
    let content = content.unwrap();
    let expected: Vec<ThinVolume> = ids.map(|id| ThinVolume { mapped_blocks: 0, ..volume(id) }).collect();
    assert_eq!(content.volumes, expected);
    assert_eq!((content.transaction_id, content.time, content.block_size), (12, 4, Sectors(256)));
    assert_eq!((content.data_blocks.total, content.data_blocks.used), (50, 0));
    assert_eq!(content.metadata_blocks.total, 65_536);
}
