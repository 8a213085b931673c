//! DeleteSnapshot: gone is success; one from which a disk is being made stays.

use std::sync::Arc;

use eck_csi::field::BadField;
use eck_csi::operations::{OnConflict, Operation};
use eck_csi::volume::Region;
use ecx::api::{DeleteSnapshot, ListSnapshots, Snapshot};
use proto::csi::v1 as pb;
use uuid::Uuid;

use super::{DELETING, SnapshotId, one, ready, wait};
use crate::disk_reader::Verdict;
use crate::driver::Driver;
use crate::error::SnapshotError;

/// DeleteSnapshot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DeleteSnapshotRequest {
    snapshot: SnapshotId,
}

impl TryFrom<pb::DeleteSnapshotRequest> for DeleteSnapshotRequest {
    type Error = BadField;

    fn try_from(request: pb::DeleteSnapshotRequest) -> Result<Self, BadField> {
        Ok(Self { snapshot: SnapshotId::parse("snapshot_id", request.snapshot_id)? })
    }
}

impl Operation<Driver> for DeleteSnapshotRequest {
    type Output = ();
    type Error = SnapshotError;
    const NAME: &'static str = "DeleteSnapshot";
    const KEY_IS: &'static str = "csi.key";

    fn key(&self) -> String {
        format!("snapshot {}", self.snapshot)
    }

    fn on_conflict(_: bool) -> OnConflict {
        OnConflict::Wait
    }

    async fn run(self: Arc<Self>, driver: Arc<Driver>) -> Result<(), SnapshotError> {
        delete(&driver, &self.snapshot).await
    }
}

async fn delete(driver: &Driver, id: &SnapshotId) -> Result<(), SnapshotError> {
    let cloud = |source| SnapshotError::Cloud { name: id.to_string(), source };
    // A handle of another form never was a snapshot here.
    match one(driver, id).await.map_err(cloud)? {
        None => Ok(()),
        Some((region, snapshot)) => {
            remove(driver, &region, &snapshot).await?;
            remove_twins(driver, &region, &snapshot).await
        }
    }
}

/// Removes what a second request for the same snapshot has made: the cloud knows no token of one, so a lost reply, or a controller that
/// was killed, can leave two of one name (finding D12). Nobody knows the younger one, and its disk could never be deleted.
async fn remove_twins(driver: &Driver, region: &Region, snapshot: &Snapshot) -> Result<(), SnapshotError> {
    if !is_the_snapshotters(&snapshot.snapshot_name) {
        return Ok(());
    }
    let cloud = |source| SnapshotError::Cloud { name: snapshot.snapshot_name.clone(), source };
    let here = std::slice::from_ref(region);
    for (_, twin) in super::named(driver, here, &snapshot.snapshot_name).await.map_err(cloud)? {
        let is_twin = twin.disk_id == snapshot.disk_id && twin.snapshot_id != snapshot.snapshot_id;
        if is_twin && twin.snapshot_status != DELETING {
            tracing::warn!(name = twin.snapshot_name, twin = twin.snapshot_id, "There were two of one name");
            remove(driver, region, &twin).await?;
        }
    }
    Ok(())
}

/// Whether the snapshotter made the name, `snapshot-UUID`, which is then one snapshot's alone. Of another name there may be several that
/// people made.
fn is_the_snapshotters(name: &str) -> bool {
    name.strip_prefix("snapshot-").is_some_and(|uid| uid.len() == 36 && Uuid::try_parse(uid).is_ok())
}

/// Deletes what was just seen, and waits until it is gone. One that is being made cannot be deleted before it is there.
pub(crate) async fn remove(
    driver: &Driver,
    region: &Region,
    snapshot: &Snapshot,
) -> Result<(), SnapshotError> {
    let id = &snapshot.snapshot_id;
    let wait_error = |source| SnapshotError::Wait { name: id.clone(), source };
    let Some(now) = ready(driver, region, snapshot.clone()).await.map_err(wait_error)? else {
        return Ok(());
    };
    send(driver, region, &now).await?;
    let query = ListSnapshots { snapshot_id: Some(id.clone()), ..ListSnapshots::default() };
    let judge = |found: &[Snapshot]| match found.iter().find(|s| s.snapshot_id == *id) {
        None => Verdict::Done(()),
        Some(left) => Verdict::Wait(left.snapshot_status.clone()),
    };
    wait(driver, region, &query, judge).await.map_err(wait_error)
}

/// Sends the request; after this the snapshot is gone or on its way out.
async fn send(driver: &Driver, region: &Region, snapshot: &Snapshot) -> Result<(), SnapshotError> {
    let id = &snapshot.snapshot_id;
    let body = DeleteSnapshot {
        region_id: region.to_string(),
        disk_id: snapshot.disk_id.clone(),
        snapshot_ids: vec![id.clone()],
    };
    let named = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| list.contains(id));
    let here = SnapshotId::new(region, id);
    let cloud = |source| SnapshotError::Cloud { name: here.to_string(), source };
    match driver.client.delete_snapshot(&body).await {
        Ok(reply) if named(&reply.not_allowed_list) => {
            Err(SnapshotError::InUse { snapshot: id.clone(), state: snapshot.snapshot_status.clone() })
        }
        Ok(_) => Ok(()),
        // It may have been carried out: the list decides.
        Err(source) if source.outcome_unknown() => {
            let now = one(driver, &here).await.map_err(cloud)?;
            let stays = now.is_some_and(|(_, now)| now.snapshot_status != DELETING);
            if stays { Err(cloud(source)) } else { Ok(()) }
        }
        Err(source) => Err(cloud(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local_cloud::{LocalCloud, run};

    /// Finding A2: a region that was taken out of the cluster's.
    #[tokio::test(start_paused = true)]
    async fn that_a_snapshot_is_gone_its_own_region_says_whatever_the_clusters_are() {
        let cloud = LocalCloud::new();
        let snapshot = SnapshotId::parse("snapshot_id", "hi-haikou-6/cs-1".to_owned()).unwrap();
        run(&cloud.driver(), DeleteSnapshotRequest { snapshot }).await.unwrap();
        assert!(cloud.sent(ecx::api::Op::ListSnapshots)[0].contains("hi-haikou-6"));
    }

    #[test]
    fn only_a_name_that_the_snapshotter_made_is_one_snapshots_alone() {
        assert!(is_the_snapshotters("snapshot-0f3f1d9e-0acf-4a0e-a5d4-8fb1f43e62e0"));
        for other in ["backup", "snapshot-1", "0f3f1d9e-0acf-4a0e-a5d4-8fb1f43e62e0", ""] {
            assert!(!is_the_snapshotters(other), "{other}");
        }
    }
}
