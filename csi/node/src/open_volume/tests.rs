use super::*;
use eck_csi::volume::FsType;
use uuid::Uuid;

use crate::host::device::tests::device;
use crate::host::{Foreign, FsId};
use crate::stage::tests::{ask, volume};

fn header(uuid: Uuid, fresh: &[u32]) -> Header {
    Header { uuid, fresh: fresh.to_vec(), room: true }
}

fn ours() -> Uuid {
    fsid::header_uuid(&volume("cd-cfebko79upsq2iuo7lkg"))
}

#[test]
fn only_a_blank_disk_or_one_that_was_begun_for_this_volume_gets_a_header() {
    assert!(needs_header(&Content::Blank, &device(), &ask()).unwrap());
    assert!(needs_header(&Content::Begun(ours()), &device(), &ask()).unwrap());
    assert!(!needs_header(&Content::Luks2, &device(), &ask()).unwrap());
    let others = Content::Begun(fsid::header_uuid(&volume("cd-b")));
    assert!(matches!(needs_header(&others, &device(), &ask()), Err(StageError::Foreign { .. })));
    let noise = Content::Foreign(Foreign { what: "data that nobody knows".into(), at: 4096 });
    let error = needs_header(&noise, &device(), &ask()).unwrap_err();
    assert!(error.to_string().contains("data that nobody knows at byte 4096"), "{error}");
    let plain = Formatted { fs: FsType::Xfs, id: FsId::Uuid(ours()), size_bytes: 1 << 30, clean: true };
    let error = needs_header(&Content::Formatted(plain), &device(), &ask()).unwrap_err();
    assert!(matches!(error, StageError::NotEncrypted { has: FsType::Xfs, .. }), "{error}");
}

#[test]
fn a_copy_or_a_reader_never_gets_a_header_nor_a_volume_that_nobody_used() {
    let copy = || StageRequest { source: Some("snap-1".into()), ..ask() };
    let reader = || StageRequest { read_only: true, ..ask() };
    for content in [Content::Blank, Content::Begun(ours())] {
        assert!(matches!(needs_header(&content, &device(), &copy()), Err(StageError::BlankCopy { .. })));
        assert!(matches!(
            needs_header(&content, &device(), &reader()),
            Err(StageError::BlankReadOnly { .. })
        ));
    }
    let fresh = header(ours(), &[0]);
    assert!(matches!(check_header(&fresh, &device(), &copy()), Err(StageError::BlankCopy { .. })));
    assert!(matches!(check_header(&fresh, &device(), &reader()), Err(StageError::BlankReadOnly { .. })));
    check_header(&fresh, &device(), &ask()).unwrap();
    check_header(&header(ours(), &[]), &device(), &reader()).unwrap();
}

#[test]
fn another_volumes_header_is_refused_unless_it_is_a_copys() {
    let others = header(fsid::header_uuid(&volume("cd-b")), &[]);
    assert!(matches!(check_header(&others, &device(), &ask()), Err(StageError::OtherVolume { .. })));
    check_header(&others, &device(), &StageRequest { source: Some("snap-1".into()), ..ask() }).unwrap();
    check_header(&header(Uuid::new_v4(), &[]), &device(), &ask()).unwrap();
}
