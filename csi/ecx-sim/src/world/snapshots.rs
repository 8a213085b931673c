//! Snapshots: state only; their content is for the issue that needs it.

use ecx::api::{CreateSnapshot, DeleteSnapshot, Group, ListSnapshots, Snapshot, SnapshotList, SnapshotReply};

use super::{Refusal, World};

impl World {
    /// Op 12.
    pub fn create_snapshot(
        &mut self,
        q: &CreateSnapshot,
        now: u64,
        latency: u64,
    ) -> Result<SnapshotReply, Refusal> {
        let record = self.disk(&q.region_id, &q.disk_id)?;
        if !matches!(record.state().group(), Group::Settled | Group::Attached) {
            return Err(record.refuse("be snapshotted"));
        }
        if !(2..=63).contains(&q.snapshot_name.len()) {
            return Err(Refusal::parameter("snapshotName", "2 to 63 characters"));
        }
        let volume_size = record.disk.disk_size;
        let id = format!("cs-{}", self.xid());
        let snapshot = Snapshot {
            snapshot_id: id.clone(),
            snapshot_name: q.snapshot_name.clone(),
            snapshot_status: "creating".to_owned(),
            disk_id: q.disk_id.clone(),
            volume_size,
            region_id: q.region_id.clone(),
            create_time: "2026-01-01T00:00:00Z".to_owned(),
        };
        self.snapshots.insert(id, (snapshot, now + latency));
        let job = self.job_id();
        Ok(SnapshotReply { snapshot_job_id: Some(job), ..SnapshotReply::default() })
    }

    /// Op 13.
    pub fn delete_snapshot(&mut self, q: &DeleteSnapshot) -> Result<SnapshotReply, Refusal> {
        self.region(&q.region_id)?;
        let gone = q.snapshot_ids.iter().filter(|id| self.snapshots.remove(*id).is_none()).cloned().collect();
        let job = self.job_id();
        Ok(SnapshotReply {
            snapshot_job_id: Some(job),
            not_found_list: Some(gone),
            ..SnapshotReply::default()
        })
    }

    /// Op 14. `snapshotName` is fuzzy, as the cloud's is.
    pub fn list_snapshots(&self, q: &ListSnapshots) -> Result<SnapshotList, Refusal> {
        self.region(&q.region_id)?;
        let fits = |s: &&Snapshot| {
            s.region_id == q.region_id
                && q.snapshot_id.as_ref().is_none_or(|id| *id == s.snapshot_id)
                && q.disk_id.as_ref().is_none_or(|id| *id == s.disk_id)
                && q.snapshot_name.as_ref().is_none_or(|name| s.snapshot_name.contains(name))
        };
        let after = q.next_token.as_deref().unwrap_or_default();
        let all = self.snapshots.values().map(|(s, _)| s).filter(fits);
        let mut rest = all.filter(|s| s.snapshot_id.as_str() > after);
        let list: Vec<Snapshot> =
            rest.by_ref().take(q.max_results.clamp(1, 1000) as usize).cloned().collect();
        let more = rest.next().is_some();
        let next_token = list.last().filter(|_| more).map(|s| s.snapshot_id.clone());
        Ok(SnapshotList {
            snapshot_total: Some(self.snapshots.len() as u64),
            snapshot_list: list,
            next_token,
        })
    }
}
