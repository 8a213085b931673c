//! What the CO asks of the node: paths, contexts and mount options, which end in system calls.

use std::path::{Component, Path};

use eck_csi::context::{PublishContext, VolumeContext};
use eck_csi::volume::VolumeId;
use eck_csi_node::request::{
    AccessType, ExpandRequest, PublishRequest, RequestError, StageRequest, StatsRequest, UnstageRequest,
};
use proto::csi::v1 as pb;

use crate::controller::{capability, refused, with};
use crate::input::Input;

/// Options that would do something else than mount this volume here.
const NEVER: [&str; 6] = ["bind", "rbind", "remount", "move", "loop", "user"];

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let which = input.byte();
    let message = input.rest();
    match which {
        b's' => with(message, |q: pb::NodeStageVolumeRequest| {
            capability(q.volume_capability.clone());
            match StageRequest::try_from(q) {
                Ok(stage) => {
                    path(&stage.staging);
                    access(&stage.access);
                    publish(&stage.volume, &stage.publish);
                }
                Err(error) => {
                    if let RequestError::Field(bad) = &error
                        && bad.field.starts_with("secrets.")
                    {
                        assert!(bad.value.is_empty() || bad.value.starts_with("(hidden"), "a secret is told");
                    }
                    check(&error);
                }
            }
        }),
        b'p' => with(message, |q: pb::NodePublishVolumeRequest| match PublishRequest::try_from(q) {
            Ok(asked) => {
                path(&asked.staging);
                path(&asked.target);
                access(&asked.access);
                publish(&asked.volume, &asked.publish);
            }
            Err(error) => check(&error),
        }),
        b'u' => with(message, |q: pb::NodeUnstageVolumeRequest| match UnstageRequest::try_from(q) {
            Ok(unstage) => path(&unstage.staging),
            Err(bad) => refused(&bad),
        }),
        b'v' => with(message, at),
        b'c' => with(message, |q: pb::NodeStageVolumeRequest| contexts(&q)),
        _ => with(message, |q: pb::NodeExpandVolumeRequest| {
            let limit = q.capacity_range.map_or(0, |range| range.limit_bytes.unsigned_abs());
            match ExpandRequest::try_from(q) {
                Ok(expand) => {
                    path(&expand.path);
                    assert!(limit == 0 || expand.bytes <= limit, "{expand:?}");
                }
                Err(error) => check(&error),
            }
        }),
    }
}

fn at(q: pb::NodeGetVolumeStatsRequest) {
    let volume = VolumeId::parse(q.volume_id.clone());
    match StatsRequest::try_from(q) {
        Ok(stats) => {
            path(&stats.path);
            assert_eq!(volume.ok().and_then(|volume| volume.disk()), Some(stats.disk));
        }
        Err(error) => check(&error),
    }
}

fn check(error: &RequestError) {
    match error {
        RequestError::Field(bad) => refused(bad),
        RequestError::NoVolume(_) | RequestError::NotStaged => {}
    }
}

/// Below `/`, with nothing that leads elsewhere.
fn path(path: &Path) {
    let mut parts = path.components();
    assert_eq!(parts.next(), Some(Component::RootDir), "{path:?}");
    let names: Vec<Component<'_>> = parts.collect();
    assert!(!names.is_empty() && names.iter().all(|part| matches!(part, Component::Normal(_))), "{path:?}");
    assert!(!path.to_string_lossy().contains(char::is_control), "{path:?}");
}

fn access(access: &AccessType) {
    let AccessType::Mount { options, .. } = access else { return };
    for option in options {
        let name = option.split('=').next().unwrap_or_default();
        assert!(!option.is_empty() && !NEVER.contains(&name), "{options:?}");
        // Only inside the quotes of an SELinux label.
        let label = name.ends_with("context");
        let outside: String = option.split('"').step_by(2).collect();
        assert!(
            !outside.contains(',') && (label || !option.contains(',')),
            "an option in an option: {options:?}"
        );
    }
}

/// The disk is that of the volume.
fn publish(volume: &VolumeId, publish: &PublishContext) {
    assert_eq!(volume.disk().as_ref(), Some(&publish.disk));
    assert!(publish.size_bytes > 0 && !publish.serials.is_empty(), "{publish:?}");
    assert_eq!(PublishContext::parse(&publish.to_map()).as_ref(), Ok(publish));
}

/// Both contexts by themselves: what is read of one and written is read again.
fn contexts(q: &pb::NodeStageVolumeRequest) {
    match PublishContext::parse(&q.publish_context) {
        Ok(read) => assert_eq!(PublishContext::parse(&read.to_map()), Ok(read)),
        Err(bad) => refused(&bad),
    }
    match VolumeContext::parse(&q.volume_context) {
        Ok(read) => assert_eq!(VolumeContext::parse(&read.to_map()), Ok(read)),
        Err(bad) => refused(&bad),
    }
}
