//! The end of a schedule: there are no more faults, and every caller retries until it has its reply: pending creates are
//! finished, then every volume is detached and deleted.

use std::time::Duration;

use ecx::api::{DeleteDisk, DiskState};
use ecx_sim::world::{DiskRecord, Twist};

use super::caller::Request;
use super::check::{Check, Invariant};
use super::schedule::{ControllerRun, Schedule};
use super::volume::{Creation, Deletion};

/// Rounds of one second, after which the wind-down makes no progress.
const MAX_ROUNDS: u32 = 7200;

impl Schedule {
    pub(super) async fn wind_down(&mut self, run: &mut ControllerRun) -> Check {
        self.note("wind-down");
        self.cloud.clear_faults();
        for machine in &self.topology.machines {
            let _ = self.cloud.change(|world| world.set_instance_status(&machine.id, "running"));
        }
        for _ in 0..MAX_ROUNDS {
            self.cloud.release();
            let mut unfinished = false;
            for volume in 0..self.volumes.len() {
                unfinished |= self.advance(run, volume);
            }
            if !unfinished && self.running.is_empty() {
                return self.wait_until_idle(run).await;
            }
            self.wait(run, 1000).await?;
            self.check()?;
        }
        let unfinished: Vec<_> = self.volumes.iter().filter(|v| v.deletion != Deletion::Done).collect();
        Err((Invariant::NothingLeft, format!("not deleted after {MAX_ROUNDS} s: {unfinished:?}")))
    }

    /// Sends the next request that brings a volume to its end; false if it is there.
    fn advance(&mut self, run: &ControllerRun, number: usize) -> bool {
        if !self.requests_of(number).is_empty() {
            return true;
        }
        let late_writes = self.config.late_writes;
        self.discard_dead_disk(number);
        // With late writes it may be attached to any machine: an operator learns which one from the refusal.
        let stray = self.machine_of_disk(number).filter(|_| late_writes);
        let named = self.disk_of_name(number);
        let volume = &mut self.volumes[number];
        // An operator finds the disk whose order failed, or which was made when nobody waited for it any more; the audit, one that was
        // ordered in place of a disk that vanished, by a call that nobody repeated.
        let failed = volume.creation == Creation::Failed
            && (volume.order_failed || late_writes)
            && volume.deletion == Deletion::NotRequested;
        if failed || (volume.vanished && volume.deletion == Deletion::Done) {
            let Some(id) = named else { return false };
            (volume.id, volume.deletion) = (id, Deletion::NotRequested);
        }
        let next = match (volume.creation, volume.deletion) {
            (Creation::NotRequested, _) | (_, Deletion::Done) => return false,
            (Creation::Failed, _) if volume.id.is_empty() => return false,
            (Creation::Pending, _) => volume.create(),
            _ => match volume.attachments.keys().next().copied().or(stray) {
                Some(machine) => volume.detach_from(machine),
                None => {
                    volume.deletion = Deletion::Pending;
                    Request::Delete
                }
            },
        };
        self.send(run, number, next);
        true
    }

    /// The disk in the cloud that has the volume's name.
    fn disk_of_name(&self, number: usize) -> Option<String> {
        let name = &self.volumes[number].claim.name;
        let of_name = |disk: &&DiskRecord| disk.disk.disk_name == *name;
        self.cloud.look(|world| world.disks.values().find(of_name).map(|disk| disk.disk.disk_id.clone()))
    }

    /// An operator deletes in the console the disk that died in the making while nobody was there who saw it: the claim says so, and waits.
    fn discard_dead_disk(&mut self, number: usize) {
        let volume = &self.volumes[number];
        if volume.creation != Creation::Pending || !volume.order_failed {
            return;
        }
        let (name, now) = (volume.claim.name.clone(), self.cloud.now_ms());
        self.cloud.change(|world| {
            let dead = |d: &&DiskRecord| d.disk.disk_name == name && d.disk.disk_status == DiskState::Error;
            let Some(disk) = world.disks.values().find(dead).map(|d| d.disk.clone()) else { return };
            let client_token = format!("operator-{}", disk.disk_id);
            let request = DeleteDisk { client_token, region_id: disk.region_id, disk_id: disk.disk_id };
            // One that is refused is tried again in the next round.
            let _ = world.delete(&request, now, 0, &Twist::default());
        });
    }

    /// The machine to which the cloud has attached a volume's disk, whatever its callers know.
    fn machine_of_disk(&self, number: usize) -> Option<usize> {
        let id = &self.volumes[number].id;
        let holder = self.cloud.look(|w| w.disks.get(id).and_then(|d| d.holder.clone()))?;
        self.topology.machines.iter().position(|machine| machine.id == holder)
    }

    /// Waits until the controller has no running operation.
    async fn wait_until_idle(&mut self, run: &mut ControllerRun) -> Check {
        let idle = tokio::time::timeout(Duration::from_secs(3600), run.controller.idle()).await;
        idle.map_err(|_| (Invariant::Answered, "an operation of the controller never ends".to_owned()))?;
        self.cloud.release();
        self.wait(run, 60_000).await
    }
}
