//! What happens when a transition is due. The data plane acts first; what it refuses fails the job.

use ecx::api::DiskState;

use super::state::{Pending, PendingKind, World};
use crate::plane::{Plane, PlaneError};

impl World {
    /// Ends every transition that is due at `now`. True if anything changed.
    pub fn settle(&mut self, now: u64, plane: Option<&Plane>) -> bool {
        self.now = now;
        let due = |p: &Pending| p.due <= now;
        let mut ready: Vec<(u64, String)> = Vec::new();
        for (id, record) in &self.disks {
            if let Some(pending) = record.pending.as_ref().filter(|p| due(p)) {
                ready.push((pending.due, id.clone()));
            }
        }
        ready.sort();
        for (_, id) in &ready {
            self.end(id, plane);
        }
        let mut changed = !ready.is_empty();
        changed |= self.settle_snapshots(now, plane);
        changed
    }

    /// Ends the transition of one disk, whether it is due or stuck.
    pub fn end(&mut self, id: &str, plane: Option<&Plane>) {
        let Some(mut record) = self.disks.remove(id) else { return };
        let Some(pending) = record.pending.take() else {
            self.disks.insert(id.to_owned(), record);
            return;
        };
        let done = !pending.fails && act(plane, id, record.disk.disk_size, &pending.kind).is_ok();
        if let Some(handle) = self.handles.get_mut(&pending.handle) {
            handle.status = if done { 1 } else { 2 };
        }
        let settled = |held: bool| if held { DiskState::InUse } else { DiskState::Available };
        match (pending.kind, done) {
            (PendingKind::Create { .. }, true) => record.disk.disk_status = DiskState::Available,
            (PendingKind::Create { .. }, false) => {
                record.disk.disk_status = DiskState::Error;
                self.lost(&record.disk.disk_name);
            }
            (PendingKind::Attach { .. }, true) | (PendingKind::Detach { .. }, false) => {
                record.disk.disk_status = DiskState::InUse
            }
            (PendingKind::Attach { .. }, false) | (PendingKind::Detach { .. }, true) => {
                record.holder = None;
                record.disk.disk_status = DiskState::Available;
            }
            (PendingKind::Delete, true) => {
                let disk = &record.disk;
                return self.put_back(&disk.region_id, &disk.disk_type, disk.disk_size);
            }
            (PendingKind::Delete, false) => record.disk.disk_status = settled(record.holder.is_some()),
            (PendingKind::Resize { gib }, done) => {
                let disk = &mut record.disk;
                if done {
                    disk.disk_size = gib;
                } else {
                    self.put_back(&disk.region_id, &disk.disk_type, gib - disk.disk_size);
                }
                record.disk.disk_status = settled(record.holder.is_some());
            }
        }
        self.disks.insert(id.to_owned(), record);
    }

    /// For a disk of this name another one may be bought.
    fn lost(&mut self, name: &str) {
        if let Some(bought) = self.bought_of_name.get_mut(name) {
            *bought = bought.saturating_sub(1);
        }
    }

    /// A disk disappears behind everybody's back, out of the guest too.
    pub fn vanish(&mut self, id: &str, plane: Option<&Plane>) {
        let Some(record) = self.disks.remove(id) else { return };
        self.lost(&record.disk.disk_name);
        if let Some(plane) = plane {
            if let Some(holder) = &record.holder {
                let _ = plane.detach(id, holder, true);
            }
            let _ = plane.delete(id);
        }
    }
}

fn act(plane: Option<&Plane>, id: &str, gib: u64, kind: &PendingKind) -> Result<(), PlaneError> {
    let Some(plane) = plane else { return Ok(()) };
    let done = match kind {
        PendingKind::Create { from: None } => plane.create(id, gib),
        PendingKind::Create { from: Some(snapshot) } => plane.restore(snapshot, id, gib),
        PendingKind::Attach { instance, serial } => plane.attach(id, instance, serial),
        PendingKind::Detach { instance } => plane.detach(id, instance, false),
        PendingKind::Delete => plane.delete(id),
        PendingKind::Resize { gib } => plane.resize(id, *gib),
    };
    if let Err(error) = &done {
        tracing::warn!(disk = id, ?kind, %error, "The data plane refuses");
    }
    done
}
