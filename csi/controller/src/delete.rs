//! DeleteVolume: gone is success; attached is refused; nothing else is touched.

use std::sync::Arc;

use eck_csi::field::BadField;
use eck_csi::operations::{OnConflict, Operation};
use eck_csi::volume::{DiskId, Region, VolumeId};
use ecx::api::{DeleteDisk, Disk, DiskState, GetOrder, Group, ListSnapshots};
use ecx::token;
use proto::csi::v1 as pb;

use crate::disk_reader::{Query, Verdict};
use crate::driver::Driver;
use crate::error::DeleteError;
use crate::name::order_subject;
use crate::snapshot;

/// A refund whose order fails is ordered anew, each time with a token of its own, so often in one call.
const ATTEMPTS: u32 = 3;

/// What to do about the disk that was found.
#[derive(Debug, PartialEq, Eq)]
enum DeleteStep {
    Refund,
    /// It is being deleted already.
    Wait,
}

/// DeleteVolume.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DeleteRequest {
    volume: VolumeId,
}

impl TryFrom<pb::DeleteVolumeRequest> for DeleteRequest {
    type Error = BadField;

    fn try_from(request: pb::DeleteVolumeRequest) -> Result<Self, BadField> {
        Ok(Self { volume: VolumeId::parse(request.volume_id)? })
    }
}

impl Operation<Driver> for DeleteRequest {
    type Output = ();
    type Error = DeleteError;
    const NAME: &'static str = "DeleteVolume";

    fn key(&self) -> String {
        self.volume.to_string()
    }

    fn on_conflict(_: bool) -> OnConflict {
        // To delete a disk that something else is being done with is the caller's contradiction.
        OnConflict::Abort
    }

    async fn run(self: Arc<Self>, driver: Arc<Driver>) -> Result<(), DeleteError> {
        delete(&driver, &self.volume).await
    }
}

pub(crate) async fn delete(driver: &Driver, volume: &VolumeId) -> Result<(), DeleteError> {
    // An id of another form never was a disk here.
    let Some(id) = volume.disk() else { return Ok(()) };
    let cloud = |source| DeleteError::Cloud { disk: id.to_string(), source };
    let Some((region, mut disk)) = driver.disk_locator.locate(&driver.reader, &id).await.map_err(cloud)?
    else {
        driver.disk_locator.forget(id.as_str());
        return Ok(());
    };
    let purpose = format!("delete {id}");
    for _ in 1..=ATTEMPTS {
        let (mut order, number) = (None, driver.order_attempts.next(&purpose));
        if decide(&disk)? == DeleteStep::Refund {
            let subject = order_subject(&id, number);
            let client_token = token::delete(&driver.cluster, &subject);
            let body = DeleteDisk { client_token, region_id: region.to_string(), disk_id: id.to_string() };
            order = match driver.client.delete_disk(&body).await {
                Ok(reply) => reply.master_order_id,
                Err(ecx::Error::DiskNotFound(_)) => return Ok(()),
                Err(ecx::Error::InProgress(_)) => None,
                Err(source @ ecx::Error::DiskState(_)) => {
                    return Err(with_snapshots(driver, &region, &id).await?.unwrap_or(cloud(source)));
                }
                Err(source) => return Err(cloud(source)),
            };
        }
        let failed = order.is_some();
        let Some(left) = gone(driver, &region, id.as_str(), order).await? else {
            driver.order_attempts.done(&purpose);
            driver.disk_locator.forget(id.as_str());
            return Ok(());
        };
        if failed {
            driver.order_attempts.failed(&purpose, number);
        }
        disk = left;
    }
    Err(DeleteError::OrderFailed { disk: id.to_string(), attempts: ATTEMPTS })
}

/// The error of a disk that has snapshots, `None` if it has none: such a disk the cloud does not refund (ECX-API B.4).
async fn with_snapshots(
    driver: &Driver,
    region: &Region,
    id: &DiskId,
) -> Result<Option<DeleteError>, DeleteError> {
    let query = ListSnapshots { disk_id: Some(id.to_string()), ..ListSnapshots::default() };
    let found = snapshot::all(driver, region, &query).await;
    let found = found.map_err(|source| DeleteError::Cloud { disk: id.to_string(), source })?;
    let ids: Vec<&str> = found.iter().map(|s| s.snapshot_id.as_str()).collect();
    let error = DeleteError::Snapshots { disk: id.to_string(), snapshots: ids.join(", ") };
    Ok(Some(error).filter(|_| !ids.is_empty()))
}

fn decide(disk: &Disk) -> Result<DeleteStep, DeleteError> {
    let state = disk.disk_status.as_str().to_owned();
    match (disk.disk_status.group(), &disk.disk_status) {
        (_, DiskState::Deleting) => Ok(DeleteStep::Wait),
        (Group::Settled, _) | (Group::Dead, DiskState::Error) => Ok(DeleteStep::Refund),
        (Group::Attached, _) => {
            Err(DeleteError::Attached { disk: disk.disk_id.clone(), holders: disk.holders().join(", ") })
        }
        (Group::Busy | Group::Dead, _) => Err(DeleteError::Busy { disk: disk.disk_id.clone(), state }),
    }
}

/// Waits until the disk is gone; gives it as it is if the order failed.
async fn gone(
    driver: &Driver,
    region: &Region,
    id: &str,
    order: Option<String>,
) -> Result<Option<Disk>, DeleteError> {
    let wait = |source| DeleteError::Wait { disk: id.to_owned(), source };
    let judge = |disks: &[Disk]| match disks.first() {
        None => Verdict::Done(None),
        Some(disk) if disk.disk_status == DiskState::Deleting => Verdict::Wait("deleting".to_owned()),
        Some(disk) => Verdict::Done(Some(disk.clone())),
    };
    loop {
        let left = driver.reader.wait(region, Query::Id(id.to_owned()), judge).await.map_err(wait)?;
        // The disk is still there and is not being deleted: either the order has not begun, or it has failed.
        let (Some(_), Some(order)) = (&left, &order) else { return Ok(left) };
        let query = GetOrder { master_order_id: order.clone() };
        let order = driver.client.get_order(&query).await;
        let order = order.map_err(|source| DeleteError::Cloud { disk: id.to_owned(), source })?;
        // 3 done, 14 opening; everything else has ended without success (ECX-API §3).
        if !matches!(order.order_status.as_str(), "3" | "14") {
            return Ok(left);
        }
    }
}
