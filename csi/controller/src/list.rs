//! ListVolumes, ControllerGetVolume, ValidateVolumeCapabilities and the health of volumes: what the cloud has.

use std::collections::HashMap;

use eck_csi::driver::TOPOLOGY_REGION;
use eck_csi::volume::{DiskId, Region, VolumeId};
use ecx::api::{Disk, Group};
use proto::csi::v1 as pb;

use crate::driver::Driver;
use crate::error::ReadError;
use crate::reads::Query;
use crate::{paging, response};

/// A page of volumes, and the token of the next one. Every data disk of the cluster's regions is listed, not only those that
/// carry our label: an adopted disk is a volume too, and the attacher must see where it is attached.
async fn page(driver: &Driver, max: i32, token: &str) -> Result<(Vec<(Region, Disk)>, String), ReadError> {
    let max = paging::max(max)?;
    let after = parse_token(token)?;
    let mut found = driver.places.everywhere(&driver.reader, &Query::All).await?;
    found.retain(|(_, disk)| disk.is_system_volume != Some(true) && DiskId::parse(&disk.disk_id).is_some());
    let after = after.as_ref().map(|(region, id)| (region, id.as_str()));
    Ok(paging::cut(found, |disk| &disk.disk_id, max, after))
}

/// A page of volumes and where each is attached.
pub(crate) async fn list(
    driver: &Driver,
    q: &pb::ListVolumesRequest,
) -> Result<pb::ListVolumesResponse, ReadError> {
    let (found, next_token) = page(driver, q.max_entries, &q.starting_token).await?;
    let entry = |(region, disk): (Region, Disk)| pb::list_volumes_response::Entry {
        status: Some(pb::list_volumes_response::VolumeStatus {
            published_node_ids: holders(driver, &region, &disk),
        }),
        volume: Some(volume(&region, &disk, HashMap::new())),
    };
    Ok(pb::ListVolumesResponse { entries: found.into_iter().map(entry).collect(), next_token })
}

fn parse_token(token: &str) -> Result<Option<(Region, DiskId)>, ReadError> {
    paging::after(token, "ListVolumes", |token| {
        let (region, id) = token.split_once('/')?;
        Some((Region::parse("starting_token", region).ok()?, DiskId::parse(id)?))
    })
}

/// One volume and where it is attached.
pub(crate) async fn get(
    driver: &Driver,
    id: &VolumeId,
) -> Result<pb::ControllerGetVolumeResponse, ReadError> {
    let (region, disk) = find(driver, id).await?;
    let status = pb::controller_get_volume_response::VolumeStatus {
        published_node_ids: holders(driver, &region, &disk),
    };
    Ok(pb::ControllerGetVolumeResponse {
        volume: Some(volume(&region, &disk, HashMap::new())),
        status: Some(status),
    })
}

/// The disk of a volume that must exist.
pub(crate) async fn find(driver: &Driver, id: &VolumeId) -> Result<(Region, Disk), ReadError> {
    let none = || ReadError::NoVolume(id.to_string());
    let disk = id.disk().ok_or_else(none)?;
    driver.places.locate(&driver.reader, &disk).await?.ok_or_else(none)
}

/// One volume's health.
pub(crate) async fn health(
    driver: &Driver,
    id: &VolumeId,
) -> Result<pb::ControllerGetVolumeHealthResponse, ReadError> {
    let (_, disk) = find(driver, id).await?;
    Ok(pb::ControllerGetVolumeHealthResponse { volume_health: Some(response::health(&disk)) })
}

/// A page of volumes with the health of each.
pub(crate) async fn list_health(
    driver: &Driver,
    q: &pb::ControllerListVolumeHealthRequest,
) -> Result<pb::ControllerListVolumeHealthResponse, ReadError> {
    let (found, next_token) = page(driver, q.max_entries, &q.starting_token).await?;
    let entries = found.iter().map(|(_, disk)| response::health(disk)).collect();
    Ok(pb::ControllerListVolumeHealthResponse { entries, next_token })
}

fn holders(driver: &Driver, region: &Region, disk: &Disk) -> Vec<String> {
    if disk.disk_status.group() == Group::Settled {
        return Vec::new();
    }
    disk.holders().into_iter().map(|instance| driver.nodes.name(region, instance).to_string()).collect()
}

/// A volume as CSI tells it.
pub(crate) fn volume(region: &Region, disk: &Disk, context: HashMap<String, String>) -> pb::Volume {
    pb::Volume {
        capacity_bytes: i64::try_from(disk.size_bytes()).unwrap_or(i64::MAX),
        volume_id: disk.disk_id.clone(),
        volume_context: context,
        accessible_topology: vec![topology(region)],
        ..pb::Volume::default()
    }
}

/// A region as a topology.
pub(crate) fn topology(region: &Region) -> pb::Topology {
    pb::Topology { segments: HashMap::from([(TOPOLOGY_REGION.to_owned(), region.to_string())]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_tokens_are_taken() {
        let (region, id) = parse_token("zj-shaoxing-2/cd-1").unwrap().unwrap();
        assert_eq!((region.as_str(), id.as_str()), ("zj-shaoxing-2", "cd-1"));
        for bad in ["invalid-token", "zj-shaoxing-2", "zj-shaoxing-2/vol", "/cd-1", "5"] {
            assert!(matches!(parse_token(bad), Err(ReadError::Token(_))), "{bad}");
        }
    }
}
