//! Headers that the real cryptsetup makes in memory. What needs device mapper is tried on virtual nodes: `hack/edge`.

use super::*;
use crate::host::device::tests::device as disk;

fn key(text: &str) -> Key {
    Key::new(text.as_bytes().to_vec())
}

/// The header, as a disk of 32 MiB would have it.
fn on_a_disk(image: &[u8], uuid: Uuid) -> File {
    let file = memfd(&disk(), "test").unwrap();
    file.set_len(32 << 20).unwrap();
    layout::write(&file, image, uuid).unwrap();
    file
}

fn opens(file: &File, with: &str) -> Option<i32> {
    let args = ["--type", "luks2", "--test-passphrase", "--key-file", "-", &path_of(file)];
    cryptsetup("open", &args, with.as_bytes()).unwrap().0.code
}

fn dump(file: &File) -> Header {
    let (_, uuid) = cryptsetup("luksUUID", &[&path_of(file)], b"").unwrap();
    let (_, json) = cryptsetup("luksDump", &["--dump-json-metadata", &path_of(file)], b"").unwrap();
    Header::parse(&String::from_utf8(uuid).unwrap(), &String::from_utf8(json).unwrap()).unwrap()
}

#[test]
fn a_header_is_what_was_asked_for_and_its_copy_opens_the_volume_as_well() {
    let uuid = Uuid::from_u128(0xbeae_35d6_b83d_8856_a20d_29af_a4e3_5c5c);
    let right = "the right passphrase\n";
    let new = NewHeader { uuid, key: &key(right), depth: Depth::Sampled };
    let image = header_image(&disk(), &new).unwrap();
    assert!(image[512..BLOCK].iter().all(|byte| *byte == 0), "one sector's write makes the header whole");
    let file = on_a_disk(&image, uuid);
    let header = dump(&file);
    assert_eq!((header.uuid, header.fresh.len(), header.room), (uuid, 1, true));
    assert_eq!(opens(&file, right), Some(0));
    assert_eq!(opens(&file, right.trim()), Some(2), "to the byte");

    layout::copy(&file).unwrap();
    // As docs say it: the copy is a plain image of the header.
    let mut copy = vec![0; image.len()];
    file.read_exact_at(&mut copy, layout::COPY_AT).unwrap();
    let restored = on_a_disk(&copy, uuid);
    assert_eq!((dump(&restored), opens(&restored, right)), (header, Some(0)));
}

#[test]
fn what_stands_on_the_disk_is_recognised_before_and_after() {
    let uuid = Uuid::from_u128(7);
    let new = NewHeader { uuid, key: &key("the right passphrase"), depth: Depth::Sampled };
    let image = header_image(&disk(), &new).unwrap();
    let file = on_a_disk(&image, uuid);
    let content = |file: &File| super::super::content::read(file, 32 << 20, Depth::Whole).unwrap();
    assert_eq!(content(&file), Content::Luks2);
    // The power went before the first block of the header was written.
    file.write_all_at(&super::super::content::begun(uuid), 0).unwrap();
    assert_eq!(content(&file), Content::Begun(uuid));
    // It went before the mark was there: nothing but zeros, since nothing else is written before.
    file.set_len(0).unwrap();
    file.set_len(32 << 20).unwrap();
    assert_eq!(content(&file), Content::Blank);
}

/// Bytes of the header's first block.
const BLOCK: usize = 4096;
