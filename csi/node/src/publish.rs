//! NodePublishVolume: a bind mount of the staged file system, or of the device's node.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eck_csi::capability::{Capability, Mode};
use eck_csi::context::{PublishContext, VolumeContext};
use eck_csi::operations::{OnConflict, Operation, blocking};
use eck_csi::volume::VolumeId;
use eck_csi::volume_options::Encryption;
use proto::csi::v1 as pb;

use crate::driver::Driver;
use crate::error::PublishError;
use crate::fields::{AccessType, RequestError, access, path, publish_context};
use crate::host::{Device, Host, MountTable};

/// NodePublishVolume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishRequest {
    /// The volume.
    pub volume: VolumeId,
    /// Which disk it is.
    pub publish: PublishContext,
    /// Where it was staged.
    pub staging: PathBuf,
    /// Where the workload sees it.
    pub target: PathBuf,
    /// How.
    pub access: AccessType,
    /// The workload may only read.
    pub read_only: bool,
    /// No second target may have it at the same time (ReadWriteOncePod).
    pub alone: bool,
    /// The disk is encrypted.
    pub encrypted: bool,
}

impl TryFrom<pb::NodePublishVolumeRequest> for PublishRequest {
    type Error = RequestError;

    fn try_from(request: pb::NodePublishVolumeRequest) -> Result<Self, RequestError> {
        let volume = VolumeId::parse(request.volume_id)?;
        let target = path("target_path", request.target_path)?;
        let capability = Capability::parse("volume_capability", request.volume_capability)?;
        let alone = capability.mode == Mode::SingleWriter;
        let context = VolumeContext::parse(&request.volume_context)?;
        let (access, read_only) = access(capability, &context)?;
        if request.staging_target_path.is_empty() {
            return Err(RequestError::NotStaged);
        }
        let staging = path("staging_target_path", request.staging_target_path)?;
        let publish = publish_context(&volume, &request.publish_context)?;
        let read_only = read_only || request.readonly || publish.readonly;
        let encrypted = context.options.encryption != Encryption::None;
        Ok(Self { volume, publish, staging, target, access, read_only, alone, encrypted })
    }
}

impl<H: Host> Operation<Driver<H>> for PublishRequest {
    type Output = ();
    type Error = PublishError;
    const NAME: &'static str = "NodePublishVolume";

    fn key(&self) -> String {
        self.volume.to_string()
    }

    fn on_conflict(_: bool) -> OnConflict {
        // Several pods of one node share a volume; what they ask for follows each other.
        OnConflict::Wait
    }

    async fn run(self: Arc<Self>, driver: Arc<Driver<H>>) -> Result<(), PublishError> {
        blocking(move || publish(&driver.host, &self)).await
    }
}

/// Publishes; published as asked already is success.
fn publish(host: &impl Host, request: &PublishRequest) -> Result<(), PublishError> {
    let device = here(host, request)?;
    let table = host.mounts()?;
    let number = (device.major, device.minor);
    let options: &[String] = match &request.access {
        AccessType::Block => &[],
        AccessType::Mount { options, .. } => {
            if table.at(&request.staging).is_none_or(|mount| mount.device != number) {
                return Err(PublishError::NotStaged { staging: request.staging.clone() });
            }
            options
        }
    };
    if request.alone
        && let Some(other) = other_target(host, &table, request, number)?
    {
        return Err(PublishError::NotAlone { other });
    }
    let block = request.access == AccessType::Block;
    if published(host, &table, request, number)? {
        return Ok(());
    }
    host.make_target(&request.target, block)?;
    if block {
        host.bind_device(&device, &request.target, request.read_only)?;
    } else {
        host.bind(&request.staging, &request.target, options, request.read_only)?;
    }
    let proven = host.recheck(&device).map_err(PublishError::from).and_then(|_| {
        let shown = published(host, &host.mounts()?, request, number)?;
        if shown { Ok(()) } else { Err(PublishError::Unproven { path: request.target.clone() }) }
    });
    // What is not proven does not stay.
    proven.inspect_err(|_| {
        drop(host.unmount(&request.target).and_then(|()| host.remove_target(&request.target)))
    })
}

/// What carries the volume. Its device was waited for, and opened, when it was staged.
fn here(host: &impl Host, request: &PublishRequest) -> Result<Device, PublishError> {
    let device = host.wait_for_device(&request.publish, std::time::Instant::now())?;
    if !request.encrypted {
        return Ok(device);
    }
    let mapping = host.mapping_on(&request.publish.disk, &device)?;
    mapping
        .map(|mapping| mapping.device)
        .ok_or_else(|| PublishError::NotStaged { staging: request.staging.clone() })
}

/// Whether the target shows the volume just as asked; an error if it shows something else.
fn published(
    host: &impl Host,
    table: &MountTable,
    request: &PublishRequest,
    number: (u64, u64),
) -> Result<bool, PublishError> {
    let Some(mount) = table.at(&request.target) else { return Ok(false) };
    let path = request.target.clone();
    let shows = match request.access {
        AccessType::Block => host.block_device_at(&request.target)? == Some(number),
        AccessType::Mount { .. } => mount.device == number,
    };
    if !shows {
        let what = format!("{} of device {}:{}", mount.fs, mount.device.0, mount.device.1);
        return Err(PublishError::PathOccupied { path, what });
    }
    match (mount.read_only, request.read_only) {
        (true, false) => Err(PublishError::Incompatible { path, how: "read-only" }),
        (false, true) => Err(PublishError::Incompatible { path, how: "writable" }),
        _ => Ok(true),
    }
}

/// A target other than the asked one at which the volume is published.
fn other_target(
    host: &impl Host,
    table: &MountTable,
    request: &PublishRequest,
    number: (u64, u64),
) -> Result<Option<PathBuf>, PublishError> {
    let elsewhere = |target: &Path| target != request.target && target != request.staging;
    for mount in table.iter().filter(|mount| elsewhere(&mount.target)) {
        let same = match request.access {
            AccessType::Mount { .. } => mount.device == number,
            // A device node is bound from the file system that /dev is, where it has a name of its own.
            AccessType::Block => {
                mount.root != Path::new("/") && host.block_device_at(&mount.target)? == Some(number)
            }
        };
        if same {
            return Ok(Some(mount.target.clone()));
        }
    }
    Ok(None)
}
