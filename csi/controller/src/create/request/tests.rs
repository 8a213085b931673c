use std::collections::HashMap;

use super::*;
use crate::local_cloud::{OTHER_REGION, REGION, region};
use crate::topology::topology;
use pb::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume, access_mode};
use pb::volume_content_source::{SnapshotSource, Type};

fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn capability(access_type: AccessType) -> pb::VolumeCapability {
    let mode = access_mode::Mode::SingleNodeWriter.into();
    pb::VolumeCapability { access_mode: Some(AccessMode { mode }), access_type: Some(access_type) }
}

fn mount(fs: &str) -> pb::VolumeCapability {
    capability(AccessType::Mount(MountVolume { fs_type: fs.into(), ..MountVolume::default() }))
}

fn block() -> pb::VolumeCapability {
    capability(AccessType::Block(BlockVolume {}))
}

/// Only what no request lacks.
fn least(capability: pb::VolumeCapability) -> pb::CreateVolumeRequest {
    let volume_capabilities = vec![capability];
    pb::CreateVolumeRequest { name: "pvc-1".into(), volume_capabilities, ..Default::default() }
}

fn with(parameters: &[(&str, &str)], capability: pb::VolumeCapability) -> pb::CreateVolumeRequest {
    pb::CreateVolumeRequest { parameters: map(parameters), ..least(capability) }
}

/// The field that is refused.
fn refused(message: pb::CreateVolumeRequest) -> String {
    match CreateRequest::try_from(message).unwrap_err() {
        BadSize::Field(field) | BadSize::OutOfRange(field) => field.field,
    }
}

fn fs(message: pb::CreateVolumeRequest) -> Option<FsType> {
    CreateRequest::try_from(message).unwrap().fs
}

#[test]
fn every_field_of_the_message_is_taken() {
    let snapshot = SnapshotSource { snapshot_id: format!("{REGION}/cs-1") };
    let topologies = pb::TopologyRequirement {
        requisite: vec![topology(&region(REGION)), topology(&region(OTHER_REGION))],
        preferred: vec![topology(&region(OTHER_REGION))],
    };
    let (required_bytes, limit_bytes) = (30 << 30, 40 << 30);
    let message = pb::CreateVolumeRequest {
        capacity_range: Some(pb::CapacityRange { required_bytes, limit_bytes }),
        volume_content_source: Some(pb::VolumeContentSource { r#type: Some(Type::Snapshot(snapshot)) }),
        accessibility_requirements: Some(topologies),
        mutable_parameters: map(&[("iops", "3000")]),
        ..with(&[("diskType", "SSD")], mount("xfs"))
    };
    let expected = CreateRequest {
        name: "pvc-1".into(),
        size: SizeRange { min_gib: 30, max_gib: 40 },
        parameters: Parameters { disk_type: Some("SSD".into()), ..Parameters::default() },
        fs: Some(FsType::Xfs),
        requisite: vec![region(REGION), region(OTHER_REGION)],
        preferred: vec![region(OTHER_REGION)],
        source: Some(Source::Snapshot(SnapshotId::new(&region(REGION), "cs-1"))),
        mutable: Mutable { iops: Some(3000), ..Mutable::default() },
    };
    assert_eq!(CreateRequest::try_from(message).unwrap(), expected);
}

#[test]
fn what_the_message_leaves_out_is_left_open() {
    let expected = CreateRequest {
        name: "pvc-1".into(),
        size: SizeRange { min_gib: 20, max_gib: 32_768 },
        parameters: Parameters::default(),
        fs: None,
        requisite: vec![],
        preferred: vec![],
        source: None,
        mutable: Mutable::default(),
    };
    assert_eq!(CreateRequest::try_from(least(mount(""))).unwrap(), expected);
}

#[test]
fn a_missing_or_bad_field_is_refused_by_name() {
    let good = || least(mount(""));
    assert_eq!(refused(pb::CreateVolumeRequest { name: String::new(), ..good() }), "name");
    let volume_capabilities = vec![];
    assert_eq!(refused(pb::CreateVolumeRequest { volume_capabilities, ..good() }), "volume_capabilities");
    assert_eq!(refused(with(&[("disktype", "SSD")], mount(""))), "parameters.disktype");
    let mutable_parameters = map(&[("iops", "0")]);
    let message = pb::CreateVolumeRequest { mutable_parameters, ..good() };
    assert_eq!(refused(message), "mutable_parameters.iops");
    let capacity_range = Some(pb::CapacityRange { required_bytes: -1, limit_bytes: 0 });
    let message = pb::CreateVolumeRequest { capacity_range, ..good() };
    assert_eq!(refused(message), "capacity_range.required_bytes");
    let volume_content_source = Some(pb::VolumeContentSource { r#type: None });
    let message = pb::CreateVolumeRequest { volume_content_source, ..good() };
    assert_eq!(refused(message), "volume_content_source.type");
}

#[test]
fn a_topology_without_a_region_is_refused_by_its_place() {
    let message = |requisite, preferred| {
        let accessibility_requirements = Some(pb::TopologyRequirement { requisite, preferred });
        pb::CreateVolumeRequest { accessibility_requirements, ..least(mount("")) }
    };
    let other = vec![pb::Topology { segments: map(&[("zone", "a")]) }];
    let field = refused(message(other.clone(), vec![]));
    assert_eq!(field, "accessibility_requirements.requisite[0].segments");
    let field = refused(message(vec![], other));
    assert_eq!(field, "accessibility_requirements.preferred[0].segments");
}

#[test]
fn the_capability_or_else_the_class_names_the_file_system() {
    assert_eq!(fs(least(mount("ext3"))), Some(FsType::Ext3));
    assert_eq!(fs(with(&[("fsType", "xfs")], mount(""))), Some(FsType::Xfs));
    assert_eq!(fs(with(&[("fsType", "xfs")], mount("xfs"))), Some(FsType::Xfs));
}

#[test]
fn a_capability_and_a_class_that_contradict_are_refused_with_both() {
    let error = CreateRequest::try_from(with(&[("fsType", "xfs")], mount("ext4"))).unwrap_err();
    let BadSize::Field(field) = &error else { panic!("{error}") };
    let (name, value) = (field.field.as_str(), field.value.as_str());
    assert_eq!((name, value), ("volume_capabilities.mount.fs_type", "ext4"));
    assert_eq!(field.allowed, "xfs, which the StorageClass parameter fsType names");
}

#[test]
fn a_block_volume_has_no_file_system_whatever_the_class_says() {
    assert_eq!(fs(with(&[("fsType", "xfs")], block())), None);
}

#[test]
fn options_that_the_file_system_does_not_have_are_refused_where_there_is_one() {
    let class = [("fsType", "ext4"), ("mkfsOptions", "reflink=0")];
    assert_eq!(refused(with(&class, mount(""))), "parameters.mkfsOptions");
    assert_eq!(fs(with(&class, block())), None);
    assert_eq!(fs(with(&[("fsType", "xfs"), class[1]], mount(""))), Some(FsType::Xfs));
}

#[test]
fn a_source_is_told_as_it_was_asked_for() {
    let snapshot = Source::Snapshot(SnapshotId::new(&region(REGION), "cs-1"));
    let volume = Source::Volume(VolumeId::parse("cd-9".into()).unwrap());
    for source in [snapshot, volume] {
        assert_eq!(Source::parse(source.to_proto()).unwrap(), source);
    }
}
