use super::*;
use std::collections::HashMap;

use eck_csi::volume::{DiskId, FsType};
use eck_csi::volume_options::{Encryption, Fsck, VolumeOptions};
use pb::volume_capability::{AccessMode, AccessType as Wanted, BlockVolume, MountVolume, access_mode};

const VOLUME: &str = "cd-cfebko79upsq2iuo7lkg";

fn capability(access: Wanted, mode: access_mode::Mode) -> Option<pb::VolumeCapability> {
    let access_mode = Some(AccessMode { mode: mode.into() });
    Some(pb::VolumeCapability { access_mode, access_type: Some(access) })
}

fn mount(flags: &[&str]) -> Option<pb::VolumeCapability> {
    let mount_flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    let mount = MountVolume { fs_type: "xfs".into(), mount_flags, ..MountVolume::default() };
    capability(Wanted::Mount(mount), access_mode::Mode::SingleNodeWriter)
}

fn publish(readonly: bool) -> HashMap<String, String> {
    PublishContext { readonly, ..PublishContext::new(DiskId::parse(VOLUME).unwrap(), 20 << 30) }.to_map()
}

fn context(options: VolumeOptions) -> HashMap<String, String> {
    let (disk_type, source) = ("SSD".to_owned(), Some("snap-1".to_owned()));
    VolumeContext { disk_type, fs: None, provisioned: true, source, options }.to_map()
}

fn message() -> pb::NodeStageVolumeRequest {
    pb::NodeStageVolumeRequest {
        volume_id: VOLUME.into(),
        publish_context: publish(false),
        staging_target_path: "/staging".into(),
        volume_capability: mount(&["noatime"]),
        secrets: HashMap::new(),
        volume_context: context(VolumeOptions::default()),
    }
}

fn parse(message: pb::NodeStageVolumeRequest) -> StageRequest {
    StageRequest::try_from(message).unwrap_or_else(|error| panic!("{error}"))
}

/// The field that is complained about.
fn complaint(message: pb::NodeStageVolumeRequest) -> String {
    match StageRequest::try_from(message).err().unwrap() {
        RequestError::Field(bad) => bad.field,
        other => other.to_string(),
    }
}

/// The mount options, where the class wants freed space given back in this way.
fn options(discard: Discard, flags: &[&str]) -> Vec<String> {
    let volume_context = context(VolumeOptions { discard, ..VolumeOptions::default() });
    let request =
        parse(pb::NodeStageVolumeRequest { volume_context, volume_capability: mount(flags), ..message() });
    let AccessType::Mount { options, .. } = request.access else { panic!("it is to be mounted") };
    options
}

#[test]
fn every_field_is_taken() {
    let options = VolumeOptions { fsck: Fsck::Check, ..VolumeOptions::default() };
    let request = parse(pb::NodeStageVolumeRequest { volume_context: context(options.clone()), ..message() });
    assert_eq!(request.volume.as_str(), VOLUME);
    assert_eq!(request.publish, PublishContext::new(DiskId::parse(VOLUME).unwrap(), 20 << 30));
    assert_eq!(request.staging, PathBuf::from("/staging"));
    assert_eq!(request.access, AccessType::Mount { fs: Some(FsType::Xfs), options: vec!["noatime".into()] });
    assert!(!request.read_only && request.provisioned && request.keys.is_none());
    assert_eq!((request.source.as_deref(), request.options), (Some("snap-1"), options));
}

#[test]
fn a_field_that_cannot_be_taken_is_named() {
    let or = message;
    type Message = pb::NodeStageVolumeRequest;
    for (message, field) in [
        (Message { volume_id: String::new(), ..or() }, "volume_id"),
        (Message { staging_target_path: "staging".into(), ..or() }, "staging_target_path"),
        (Message { volume_capability: None, ..or() }, "volume_capability"),
        (Message { volume_capability: mount(&["bind"]), ..or() }, "volume_capability.mount.mount_flags"),
        (
            Message { volume_context: HashMap::from([("discard".into(), "daily".into())]), ..or() },
            "volume_context.discard",
        ),
        (Message { publish_context: HashMap::new(), ..or() }, "publish_context.eck.csi.k8s.io/disk"),
        (Message { volume_id: "cd-another".into(), ..or() }, "publish_context"),
    ] {
        assert_eq!(complaint(message), field);
    }
    let unknown = complaint(Message { volume_id: "vol/1".into(), ..message() });
    assert_eq!(unknown, "there is no volume vol/1 on this node");
}

#[test]
fn it_is_only_read_if_the_mode_the_options_or_the_attachment_say_so() {
    let reader = capability(Wanted::Block(BlockVolume {}), access_mode::Mode::SingleNodeReaderOnly);
    let read_only = |volume_capability, readonly| {
        let publish_context = publish(readonly);
        parse(pb::NodeStageVolumeRequest { volume_capability, publish_context, ..message() }).read_only
    };
    assert!(read_only(reader, false));
    assert!(read_only(mount(&["ro"]), false));
    assert!(read_only(mount(&[]), true));
    assert!(!read_only(mount(&[]), false));
}

#[test]
fn a_class_that_gives_space_back_at_once_mounts_with_discard() {
    assert_eq!(options(Discard::Mount, &["noatime"]), ["noatime", "discard"]);
    assert_eq!(options(Discard::Periodic, &["noatime"]), ["noatime"]);
    assert_eq!(options(Discard::None, &[]), [""; 0]);
}

#[test]
fn what_a_volume_itself_says_of_discard_is_its_own_affair() {
    assert_eq!(options(Discard::Mount, &["discard"]), ["discard"]);
    assert_eq!(options(Discard::Mount, &["nodiscard"]), ["nodiscard"]);
    assert_eq!(options(Discard::None, &["discard"]), ["discard"]);
}

#[test]
fn an_encrypted_volume_comes_with_its_key() {
    let encryption = Encryption::Luks2;
    let volume_context = context(VolumeOptions { encryption, ..VolumeOptions::default() });
    let without = pb::NodeStageVolumeRequest { volume_context, ..message() };
    assert_eq!(complaint(without.clone()), "secrets.encryptionPassphrase");
    let secrets = HashMap::from([("encryptionPassphrase".to_owned(), "correct horse battery".to_owned())]);
    let keys = parse(pb::NodeStageVolumeRequest { secrets, ..without }).keys.unwrap();
    assert_eq!(keys.current.bytes(), b"correct horse battery");
}

#[test]
fn of_an_adopted_disk_all_must_be_blank_and_of_an_ordered_one_the_samples() {
    assert_eq!(parse(message()).depth(), Depth::Sampled);
    let adopted = pb::NodeStageVolumeRequest { volume_context: HashMap::new(), ..message() };
    assert_eq!(parse(adopted).depth(), Depth::Whole);
}
