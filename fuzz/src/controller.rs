//! What the CO asks of the controller: bytes of protobuf, as tonic hands them over.

use eck_csi::capability::{Access, Mode};
use eck_csi::driver::{MAX_DISK_GIB, MAX_FIELD_BYTES, MIN_DISK_GIB};
use eck_csi::field::BadField;
use eck_csi::volume::{BadSize, Region};
use eck_csi_controller::request::{AttachRequest, CreateRequest, DetachRequest, ExpandRequest};
use prost::Message;
use proto::csi::v1 as pb;

use crate::input::Input;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let which = input.byte();
    let message = input.rest();
    match which {
        b'c' => create(message),
        b'p' => with(message, |q: pb::ControllerPublishVolumeRequest| {
            if let Err(bad) = AttachRequest::try_from(q) {
                refused(&bad);
            }
        }),
        b'u' => with(message, |q: pb::ControllerUnpublishVolumeRequest| {
            let any = q.node_id.is_empty();
            match DetachRequest::try_from(q) {
                Ok(detach) => assert_eq!(detach.node.is_none(), any, "from all nodes only if none is named"),
                Err(bad) => refused(&bad),
            }
        }),
        _ => with(message, |q: pb::ControllerExpandVolumeRequest| match ExpandRequest::try_from(q) {
            Ok(expand) => assert!(expand.size.min_gib <= expand.size.max_gib),
            Err(bad) => size_refused(&bad),
        }),
    }
}

/// Runs `check` if the bytes are such a message.
pub(crate) fn with<M: Message + Default>(bytes: &[u8], check: impl FnOnce(M)) {
    if let Ok(message) = M::decode(bytes) {
        check(message);
    }
}

/// A complaint names a field and what is allowed, and repeats no more of a value than a person reads.
pub(crate) fn refused(bad: &BadField) {
    assert!(!bad.field.is_empty() && !bad.allowed.is_empty(), "{bad:?}");
    assert!(bad.value.chars().count() <= 200, "{} characters", bad.value.chars().count());
}

fn size_refused(bad: &BadSize) {
    match bad {
        BadSize::Field(bad) | BadSize::OutOfRange(bad) => refused(bad),
    }
}

fn create(message: &[u8]) {
    with(message, |q: pb::CreateVolumeRequest| {
        let sent = q.clone();
        let create = match CreateRequest::try_from(q) {
            Ok(create) => create,
            Err(bad) => return size_refused(&bad),
        };
        assert!(create.name == sent.name && (1..=MAX_FIELD_BYTES).contains(&sent.name.len()));
        let size = create.size;
        assert!(MIN_DISK_GIB <= size.min_gib && size.min_gib <= size.max_gib && size.max_gib <= MAX_DISK_GIB);
        assert_eq!(CreateRequest::try_from(sent), Ok(create.clone()), "a retry asks for the same");
        for list in [&create.requisite, &create.preferred, &create.parameters.regions] {
            assert!(
                list.iter().all(|region| Region::parse("region", region.as_str()).as_ref() == Ok(region))
            );
        }
    });
}

/// A mode is one of a single node, and options are text.
pub(crate) fn capability(value: Option<pb::VolumeCapability>) {
    use eck_csi::capability::Capability;
    match Capability::parse("volume_capability", value) {
        Ok(Capability { access: Access::Mount { flags, .. }, mode }) => {
            assert!(matches!(mode, Mode::Writer | Mode::Reader | Mode::SingleWriter | Mode::MultiWriter));
            assert!(flags.iter().all(|flag| !flag.chars().any(char::is_control)), "{flags:?}");
        }
        Ok(_) => {}
        Err(bad) => refused(&bad),
    }
}
