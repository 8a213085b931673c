//! NodePublishVolume and NodeUnpublishVolume: a bind mount of the staged file system, or of the device's node.

use std::path::Path;

use crate::error::{LeaveError, PublishError};
use crate::host::{Device, Host, MountTable};
use crate::request::{Publish, Want};

/// Publishes; published as asked already is success.
pub(crate) fn publish(host: &impl Host, q: &Publish) -> Result<(), PublishError> {
    let device = here(host, q)?;
    let table = host.mounts()?;
    let number = (device.major, device.minor);
    let options: &[String] = match &q.want {
        Want::Block => &[],
        Want::Mount { options, .. } => {
            if table.at(&q.staging).is_none_or(|mount| mount.device != number) {
                return Err(PublishError::NotStaged { staging: q.staging.clone() });
            }
            options
        }
    };
    if q.alone
        && let Some(other) = other_target(host, &table, q, number)?
    {
        return Err(PublishError::NotAlone { other });
    }
    let block = q.want == Want::Block;
    if published(host, &table, q, number)? {
        return Ok(());
    }
    host.make_target(&q.target, block)?;
    if block {
        host.bind_device(&device, &q.target, q.read_only)?;
    } else {
        host.bind(&q.staging, &q.target, options, q.read_only)?;
    }
    let proven = host.recheck(&device).map_err(PublishError::from).and_then(|_| {
        let shown = published(host, &host.mounts()?, q, number)?;
        if shown { Ok(()) } else { Err(PublishError::Unproven { path: q.target.clone() }) }
    });
    // What is not proven does not stay.
    proven.inspect_err(|_| drop(host.unmount(&q.target).and_then(|()| host.remove_target(&q.target))))
}

/// What carries the volume. Its device was waited for, and opened, when it was staged.
fn here(host: &impl Host, q: &Publish) -> Result<Device, PublishError> {
    let device = host.wait_for_device(&q.publish, std::time::Instant::now())?;
    if !q.encrypted {
        return Ok(device);
    }
    let mapping = host.luks().on(&q.publish.disk, &device)?;
    mapping
        .map(|mapping| mapping.device)
        .ok_or_else(|| PublishError::NotStaged { staging: q.staging.clone() })
}

/// Whether the target shows the volume just as asked; an error if it shows something else.
fn published(
    host: &impl Host,
    table: &MountTable,
    q: &Publish,
    number: (u64, u64),
) -> Result<bool, PublishError> {
    let Some(mount) = table.at(&q.target) else { return Ok(false) };
    let path = q.target.clone();
    let shows = match q.want {
        Want::Block => host.node_at(&q.target)? == Some(number),
        Want::Mount { .. } => mount.device == number,
    };
    if !shows {
        let what = format!("{} of device {}:{}", mount.fs, mount.device.0, mount.device.1);
        return Err(PublishError::Taken { path, what });
    }
    match (mount.read_only, q.read_only) {
        (true, false) => Err(PublishError::Differently { path, how: "read-only" }),
        (false, true) => Err(PublishError::Differently { path, how: "writable" }),
        _ => Ok(true),
    }
}

/// A target other than the asked one at which the volume is published.
fn other_target(
    host: &impl Host,
    table: &MountTable,
    q: &Publish,
    number: (u64, u64),
) -> Result<Option<std::path::PathBuf>, PublishError> {
    let elsewhere = |target: &Path| target != q.target && target != q.staging;
    for mount in table.iter().filter(|mount| elsewhere(&mount.target)) {
        let same = match q.want {
            Want::Mount { .. } => mount.device == number,
            // A device node is bound from the file system that /dev is, where it has a name of its own.
            Want::Block => mount.root != Path::new("/") && host.node_at(&mount.target)? == Some(number),
        };
        if same {
            return Ok(Some(mount.target.clone()));
        }
    }
    Ok(None)
}

/// NodeUnpublishVolume: success when nothing is mounted at the target and the target is gone.
pub(crate) fn unpublish(host: &impl Host, target: &Path) -> Result<(), LeaveError> {
    host.unmount(target)?;
    Ok(host.remove_target(target)?)
}
