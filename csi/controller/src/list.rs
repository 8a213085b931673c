//! ListVolumes, ControllerGetVolume and the health of volumes: what the cloud has.

use std::collections::HashMap;
use std::time::Duration;

use eck_csi::volume::{DiskId, Region, VolumeId};
use ecx::api::Disk;
use proto::csi::v1 as pb;

use crate::disk_reader::Query;
use crate::driver::Driver;
use crate::error::ReadError;
use crate::{paging, response};

mod holders;

use holders::{Placed, placed};

/// By how much what nodes and volumes name may be old for a list. Whoever asks for one volume looks anew; to csi-attacher a volume that is
/// left out, of a region that no call has been about, is one that it publishes again, which changes nothing. A look is all
/// PersistentVolumes, and csi-attacher lists once a minute (`--reconcile-sync`).
const NAMES: Duration = Duration::from_secs(300);

/// A page of volumes, and the token of the next one. Every data disk of the cluster's regions is listed, not only those that
/// carry our mark: an adopted disk is a volume too, and the attacher must see where it is attached. Other clusters' are listed too:
/// nothing is done to what is listed, and to the attacher a volume that is left out is one that is detached.
async fn page(driver: &Driver, max: i32, token: &str) -> Result<(Vec<(Region, Disk)>, String), ReadError> {
    let max = paging::max(max)?;
    let after = parse_token(token)?;
    driver.regions.look_within(NAMES).await?;
    let mut found = driver.disk_locator.everywhere(&driver.reader, &Query::All).await?;
    found.retain(|(_, disk)| disk.is_system_volume != Some(true) && DiskId::parse(&disk.disk_id).is_some());
    let after = after.as_ref().map(|(region, id)| (region, id.as_str()));
    Ok(paging::cut(found, |disk| &disk.disk_id, max, after))
}

/// A page of volumes and where each is attached.
pub(crate) async fn list(
    driver: &Driver,
    request: pb::ListVolumesRequest,
) -> Result<pb::ListVolumesResponse, ReadError> {
    let (found, next_token) = page(driver, request.max_entries, &request.starting_token).await?;
    let entry = |placed: Placed| pb::list_volumes_response::Entry {
        status: Some(pb::list_volumes_response::VolumeStatus {
            published_node_ids: published_node_ids(driver, &placed),
        }),
        volume: Some(response::volume(&placed.region, &placed.disk, HashMap::new())),
    };
    let entries = placed(driver, found).await?.into_iter().map(entry).collect();
    Ok(pb::ListVolumesResponse { entries, next_token })
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
    request: pb::ControllerGetVolumeRequest,
) -> Result<pb::ControllerGetVolumeResponse, ReadError> {
    let (region, disk) = driver.existing(&VolumeId::parse(request.volume_id)?).await?;
    let not_told = ReadError::HolderNotTold(disk.disk_id.clone());
    let placed = placed(driver, vec![(region, disk)]).await?.pop().ok_or(not_told)?;
    let status = pb::controller_get_volume_response::VolumeStatus {
        published_node_ids: published_node_ids(driver, &placed),
    };
    Ok(pb::ControllerGetVolumeResponse {
        volume: Some(response::volume(&placed.region, &placed.disk, HashMap::new())),
        status: Some(status),
    })
}

/// One volume's health.
pub(crate) async fn health(
    driver: &Driver,
    request: pb::ControllerGetVolumeHealthRequest,
) -> Result<pb::ControllerGetVolumeHealthResponse, ReadError> {
    let (_, disk) = driver.existing(&VolumeId::parse(request.volume_id)?).await?;
    Ok(pb::ControllerGetVolumeHealthResponse { volume_health: Some(response::health(&disk)) })
}

/// A page of volumes with the health of each.
pub(crate) async fn list_health(
    driver: &Driver,
    request: pb::ControllerListVolumeHealthRequest,
) -> Result<pb::ControllerListVolumeHealthResponse, ReadError> {
    let (found, next_token) = page(driver, request.max_entries, &request.starting_token).await?;
    let entries = found.iter().map(|(_, disk)| response::health(disk)).collect();
    Ok(pb::ControllerListVolumeHealthResponse { entries, next_token })
}

fn published_node_ids(driver: &Driver, placed: &Placed) -> Vec<String> {
    placed.instances.iter().map(|instance| driver.nodes.name(&placed.region, instance).to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_tokens_are_taken() {
        let (region, id) = parse_token("zj-shaoxing-2/cd-1").unwrap().unwrap();
        assert_eq!((region.as_str(), id.as_str()), ("zj-shaoxing-2", "cd-1"));
        for bad in ["invalid-token", "zj-shaoxing-2", "zj-shaoxing-2/a/b", "/cd-1", "5"] {
            assert!(matches!(parse_token(bad), Err(ReadError::Token(_))), "{bad}");
        }
    }
}
