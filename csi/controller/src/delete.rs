//! DeleteVolume: gone is success; attached is refused; nothing else is touched.

use std::sync::Arc;
use std::time::Duration;

use eck_csi::field::BadField;
use eck_csi::operations::{OnConflict, Operation};
use eck_csi::volume::{DiskId, Region, VolumeId};
use ecx::api::{DeleteDisk, Disk, DiskState, Group, ListSnapshots};
use ecx::token;
use proto::csi::v1 as pb;
use tokio::time::Instant;

use crate::accepted::{Ended, Handle};
use crate::driver::Driver;
use crate::error::DeleteError;
use crate::name::{order_subject, other_cluster};
use crate::snapshot;

/// A refund whose order fails is ordered anew, each time with a token of its own, so often in one call.
const ATTEMPTS: u32 = 3;

/// Who asks leaves when an operation is given up (`--timeout` of the sidecars): so much earlier it is still heard what is waited for.
const TO_BE_HEARD: Duration = Duration::from_secs(30);

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
    let located =
        driver.disk_locator.locate_unless_gone(&driver.reader, &id).await.map_err(|error| error.or(cloud))?;
    let Some((region, disk)) = located else {
        forget(driver, &id);
        return Ok(());
    };
    if let Some(other) = other_cluster(&disk, &driver.cluster) {
        return Err(DeleteError::OtherCluster { disk: id.to_string(), other });
    }
    let purpose = format!("delete {id}");
    let (mut attempts, deadline, mut now) = (0, driver.deadline(), Some(disk));
    while let Some(disk) = now {
        now = match decide(&disk)? {
            DeleteStep::Wait => {
                let waited = driver.reader.settled_until(deadline, &region, id.as_str()).await;
                waited.map_err(|source| DeleteError::Wait { disk: id.to_string(), source })?
            }
            DeleteStep::Refund if attempts == ATTEMPTS => {
                return Err(DeleteError::OrderFailed { disk: id.to_string(), attempts });
            }
            DeleteStep::Refund => {
                attempts += 1;
                refund(driver, &region, &id, &purpose, deadline).await?
            }
        };
    }
    driver.order_attempts.done(&purpose);
    forget(driver, &id);
    Ok(())
}

/// Whatever was known of a disk that is gone.
fn forget(driver: &Driver, id: &DiskId) {
    driver.left_machines.forget(id.as_str());
    driver.publish_modes.unpublish(id);
    driver.disk_locator.forget(id.as_str());
}

/// Orders the refund and waits for its end; gives the disk as it is then, `None` when it is gone by its own word.
async fn refund(
    driver: &Driver,
    region: &Region,
    id: &DiskId,
    purpose: &str,
    deadline: Instant,
) -> Result<Option<Disk>, DeleteError> {
    let cloud = |source| DeleteError::Cloud { disk: id.to_string(), source };
    let wait = |source| DeleteError::Wait { disk: id.to_string(), source };
    let number = driver.order_attempts.next(purpose);
    let client_token = token::delete(&driver.cluster.id, &order_subject(id, number));
    let body = DeleteDisk { client_token, region_id: region.to_string(), disk_id: id.to_string() };
    let handle = match driver.client.delete_disk(&body).await {
        Ok(reply) => Handle::order(reply.master_order_id),
        Err(ecx::Error::InProgress(said)) => Handle::order(said.order_id.map(String::from)),
        Err(source @ ecx::Error::DiskNotFound(_)) => {
            let now = driver.reader.proven(region, id.as_str()).await.map_err(cloud)?;
            return if now.is_some() { Err(cloud(source)) } else { Ok(None) };
        }
        Err(source @ ecx::Error::DiskState(_)) => {
            return Err(with_snapshots(driver, region, id).await?.unwrap_or(cloud(source)));
        }
        Err(source) => {
            driver.order_attempts.refused(purpose, number, &source);
            return Err(cloud(source));
        }
    };
    let gone = |disk: Option<&Disk>| disk.is_none();
    match driver.ended(region, id.as_str(), &handle, deadline, gone).await.map_err(wait)? {
        Ended::Shown(now) => Ok(now),
        Ended::Failed => {
            driver.order_attempts.failed(purpose, number);
            driver.reader.proven(region, id.as_str()).await.map_err(cloud)
        }
        // Refunded, and still shown: in a recycle bin, or late. Nothing is left to order; it is waited for.
        Ended::NotShown(_) => {
            let deadline = deadline.checked_sub(TO_BE_HEARD).unwrap_or(deadline);
            let ended = driver.ended(region, id.as_str(), &Handle::None, deadline, gone).await;
            ended.map_err(wait).map(|_| None)
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local_cloud::{LocalCloud, disk, run, volume};

    #[tokio::test(start_paused = true)]
    async fn nothing_is_remembered_of_a_disk_that_is_gone() {
        for already in [false, true] {
            let cloud = LocalCloud::new();
            cloud.add(disk("cd-1"));
            let driver = cloud.driver();
            let (id, of_disk) = (DiskId::parse("cd-1").unwrap(), disk("cd-1"));
            driver.disk_locator.learn("cd-1", &crate::local_cloud::region(crate::local_cloud::REGION));
            driver.left_machines.left("cd-1", "evm-1");
            driver.publish_modes.publish(&of_disk, "evm-1", true);
            if already {
                cloud.change(|world| world.disks.clear());
            }
            run(&driver, DeleteRequest { volume: volume("cd-1") }).await.unwrap();
            assert_eq!(driver.disk_locator.known(&id), None);
            assert_eq!(driver.left_machines.left_for("cd-1", "evm-1"), None);
            assert_eq!(driver.publish_modes.known_for(&id, "evm-1"), None);
        }
    }

    /// Reads of a cloud lag: the disk was made just now.
    #[tokio::test(start_paused = true)]
    async fn a_disk_that_is_shown_only_later_is_refunded_and_not_taken_for_gone() {
        let cloud = LocalCloud::new();
        let driver = cloud.driver();
        let shown_later = async {
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            cloud.add(disk("cd-1"));
        };
        let request = DeleteRequest { volume: volume("cd-1") };
        let (deleted, ()) = tokio::join!(run(&driver, request), shown_later);
        deleted.unwrap();
        assert_eq!(cloud.sent(ecx::api::Op::DeleteDisk).len(), 1);
    }
}
