use super::*;
use eck_csi::volume::FsType;
use uuid::Uuid;

use crate::host::tests::device;
use crate::host::{Foreign, FsId};
use crate::stage::tests::{ask, volume};

fn header(uuid: Uuid, fresh: &[u32]) -> Header {
    Header { uuid, fresh: fresh.to_vec(), room: true }
}

fn ours() -> Uuid {
    fsid::header(&volume("cd-cfebko79upsq2iuo7lkg"))
}

#[test]
fn only_a_blank_disk_or_one_that_was_begun_for_this_volume_gets_a_header() {
    assert!(decide(&Content::Blank, &device(), &ask()).unwrap());
    assert!(decide(&Content::Begun(ours()), &device(), &ask()).unwrap());
    assert!(!decide(&Content::Luks2, &device(), &ask()).unwrap());
    let others = Content::Begun(fsid::header(&volume("cd-b")));
    assert!(matches!(decide(&others, &device(), &ask()), Err(StageError::Foreign { .. })));
    let noise = Content::Foreign(Foreign { what: "data that nobody knows".into(), at: 4096 });
    let error = decide(&noise, &device(), &ask()).unwrap_err();
    assert!(error.to_string().contains("data that nobody knows at byte 4096"), "{error}");
    let plain = Formatted { fs: FsType::Xfs, id: FsId::Uuid(ours()), size_bytes: 1 << 30, clean: true };
    let error = decide(&Content::Formatted(plain), &device(), &ask()).unwrap_err();
    assert!(matches!(error, StageError::Plain { has: FsType::Xfs, .. }), "{error}");
}

#[test]
fn a_copy_or_a_reader_never_gets_a_header_nor_a_volume_that_nobody_used() {
    let copy = || StageRequest { source: Some("snap-1".into()), ..ask() };
    let reader = || StageRequest { read_only: true, ..ask() };
    for content in [Content::Blank, Content::Begun(ours())] {
        assert!(matches!(decide(&content, &device(), &copy()), Err(StageError::BlankCopy { .. })));
        assert!(matches!(decide(&content, &device(), &reader()), Err(StageError::BlankReadOnly { .. })));
    }
    let fresh = header(ours(), &[0]);
    assert!(matches!(judge(&fresh, &device(), &copy()), Err(StageError::BlankCopy { .. })));
    assert!(matches!(judge(&fresh, &device(), &reader()), Err(StageError::BlankReadOnly { .. })));
    judge(&fresh, &device(), &ask()).unwrap();
    judge(&header(ours(), &[]), &device(), &reader()).unwrap();
}

#[test]
fn another_volumes_header_is_refused_unless_it_is_a_copys() {
    let others = header(fsid::header(&volume("cd-b")), &[]);
    assert!(matches!(judge(&others, &device(), &ask()), Err(StageError::AnotherVolumes { .. })));
    judge(&others, &device(), &StageRequest { source: Some("snap-1".into()), ..ask() }).unwrap();
    judge(&header(Uuid::new_v4(), &[]), &device(), &ask()).unwrap();
}

#[test]
fn a_change_of_key_is_finished_and_a_reader_changes_nothing() {
    assert_eq!(step(true, false, false), Step::Nothing);
    assert_eq!(step(true, true, false), Step::Finish);
    assert_eq!(step(true, true, true), Step::Nothing);
    assert_eq!(step(false, true, false), Step::Change);
    assert_eq!(step(false, true, true), Step::Previous);
    assert_eq!(step(false, false, false), Step::Refuse);
    assert_eq!(step(false, false, true), Step::Refuse);
}
