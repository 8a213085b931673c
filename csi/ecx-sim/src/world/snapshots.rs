//! Snapshots: a disk's content at the moment of the call. The first one of a disk is an order, later ones are jobs
//! (ecx/API.md §3).

use std::time::{Duration, UNIX_EPOCH};

use ecx::api::*;
use ecx::codes;

use super::state::{AVAILABLE, Handle, PendingKind, Refusal, SnapshotRecord, Token, World};
use crate::plane::Plane;

const DELETING: &str = "deleting";

impl World {
    /// Op 12.
    pub fn create_snapshot(
        &mut self,
        request: &CreateSnapshot,
        now: u64,
        latency: u64,
        plane: Option<&Plane>,
    ) -> Result<SnapshotReply, Refusal> {
        let body = serde_json::to_string(request).unwrap_or_default();
        if let Some(order) = self.token(&request.client_token, &body, now)? {
            return Ok(self.ordered(order));
        }
        let record = self.disk(&request.region_id, &request.disk_id)?;
        if !matches!(record.state().group(), Group::Settled | Group::Attached) {
            return Err(record.refuse("be snapshotted"));
        }
        if !(2..=63).contains(&request.snapshot_name.len()) {
            return Err(Refusal::parameter("snapshotName", "2 to 63 characters"));
        }
        let (volume_size, volume_type) = (record.disk.disk_size, record.disk.disk_type.clone());
        let first = !self.snapshots.values().any(|s| s.snapshot.disk_id == request.disk_id);
        let id = format!("cs-{}", self.xid());
        if let Some(plane) = plane {
            plane.snapshot(&request.disk_id, &id).map_err(|e| Refusal::new(codes::SERVER, e.to_string()))?;
        }
        let snapshot = Snapshot {
            snapshot_id: id.clone(),
            snapshot_name: request.snapshot_name.clone(),
            snapshot_status: "creating".to_owned(),
            disk_id: request.disk_id.clone(),
            volume_size,
            region_id: request.region_id.clone(),
            create_time: ecx::sign::rfc3339(UNIX_EPOCH + Duration::from_millis(now)),
            volume_type: Some(volume_type),
        };
        self.snapshots.insert(id.clone(), SnapshotRecord { snapshot, due: now + latency });
        if !first {
            let job = self.job_id();
            return Ok(SnapshotReply { snapshot_job_id: Some(job), ..SnapshotReply::default() });
        }
        let order = self.order_id();
        self.handles.insert(order.clone(), Handle { disk: id, status: 1, empty: false });
        self.tokens
            .insert(request.client_token.clone(), Token { request: body, order: order.clone(), at: now });
        Ok(self.ordered(order))
    }

    fn ordered(&self, order: String) -> SnapshotReply {
        let snapshot_id = self.handles.get(&order).map(|handle| handle.disk.clone());
        let resource = Resource { snapshot_id, ..Resource::default() };
        SnapshotReply {
            master_order_id: Some(order),
            resources: Some(vec![resource]),
            ..SnapshotReply::default()
        }
    }

    /// Op 13. One that is being made, or from which a disk is being made, may not go now.
    pub fn delete_snapshot(
        &mut self,
        request: &DeleteSnapshot,
        now: u64,
        latency: u64,
    ) -> Result<SnapshotReply, Refusal> {
        self.region(&request.region_id)?;
        let (mut unknown, mut refused) = (Vec::new(), Vec::new());
        for id in &request.snapshot_ids {
            let used = self.disks.values().any(|disk| {
                let kind = disk.pending.as_ref().map(|p| &p.kind);
                matches!(kind, Some(PendingKind::Create { from: Some(from) }) if from == id)
            });
            let ours = |s: &&mut SnapshotRecord| {
                s.snapshot.region_id == request.region_id && s.snapshot.disk_id == request.disk_id
            };
            match self.snapshots.get_mut(id).filter(ours) {
                None => unknown.push(id.clone()),
                Some(record) if used || record.snapshot.snapshot_status != AVAILABLE => {
                    refused.push(id.clone());
                }
                Some(record) => {
                    record.snapshot.snapshot_status = DELETING.to_owned();
                    record.due = now + latency;
                }
            }
        }
        let job = self.job_id();
        Ok(SnapshotReply {
            snapshot_job_id: Some(job),
            not_found_list: Some(unknown),
            not_allowed_list: Some(refused),
            ..SnapshotReply::default()
        })
    }

    /// Ends what is due at `now`. True if anything changed.
    pub(super) fn settle_snapshots(&mut self, now: u64, plane: Option<&Plane>) -> bool {
        let due = |s: &SnapshotRecord| s.due <= now;
        let ready: Vec<String> =
            self.snapshots.iter().filter(|(_, s)| due(s)).map(|(id, _)| id.clone()).collect();
        for id in &ready {
            let Some(mut record) = self.snapshots.remove(id) else { continue };
            if record.snapshot.snapshot_status == DELETING {
                if let Some(Err(error)) = plane.map(|plane| plane.delete(id)) {
                    tracing::warn!(snapshot = id, %error, "The data plane refuses");
                }
                continue;
            }
            record.snapshot.snapshot_status = AVAILABLE.to_owned();
            record.due = u64::MAX;
            self.snapshots.insert(id.clone(), record);
        }
        !ready.is_empty()
    }

    /// Op 14. `snapshotName` is fuzzy, as the cloud's is.
    pub fn list_snapshots(&self, request: &ListSnapshots) -> Result<SnapshotList, Refusal> {
        self.region(&request.region_id)?;
        let fits = |s: &&Snapshot| {
            s.region_id == request.region_id
                && request.snapshot_id.as_ref().is_none_or(|id| *id == s.snapshot_id)
                && request.disk_id.as_ref().is_none_or(|id| *id == s.disk_id)
                && request.snapshot_name.as_ref().is_none_or(|name| s.snapshot_name.contains(name))
        };
        let after = request.next_token.as_deref().unwrap_or_default();
        let all = self.snapshots.values().map(|s| &s.snapshot).filter(fits);
        let total = all.clone().count() as u64;
        let mut rest = all.filter(|s| s.snapshot_id.as_str() > after);
        let list: Vec<Snapshot> =
            rest.by_ref().take(request.max_results.clamp(1, 1000) as usize).cloned().collect();
        let more = rest.next().is_some();
        let next_token = list.last().filter(|_| more).map(|s| s.snapshot_id.clone());
        let snapshot_total = Some(total);
        Ok(SnapshotList { snapshot_total, snapshot_list: list, next_token, ..SnapshotList::default() })
    }
}
