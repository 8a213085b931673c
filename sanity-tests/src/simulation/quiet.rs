//! The end of a schedule: nothing goes wrong any more, and everybody asks until his wish is fulfilled: what is open is
//! created, then everything is taken from the machines and deleted.

use std::time::Duration;

use super::caller::Ask;
use super::check::{Invariant, Verdict};
use super::scene::{Scene, Stage};
use super::volume::{Deletion, Made};

/// Rounds, one a second, after which somebody goes round in circles.
const ROUNDS: u32 = 7200;

impl Scene {
    pub(super) async fn quiet(&mut self, stage: &mut Stage) -> Verdict {
        self.note("quiet");
        self.cloud.clear_faults();
        for machine in &self.places.machines {
            let _ = self.cloud.change(|world| world.set_instance_status(&machine.id, "running"));
        }
        for _ in 0..ROUNDS {
            self.cloud.release();
            let mut open = false;
            for volume in 0..self.volumes.len() {
                open |= self.go_on(stage, volume);
            }
            if !open && self.live.is_empty() {
                return self.rest(stage).await;
            }
            self.wait(stage, 1000).await?;
            self.check()?;
        }
        let open: Vec<_> = self.volumes.iter().filter(|v| v.deletion != Deletion::Done).collect();
        Err((Invariant::NothingLeft, format!("in {ROUNDS} s of quiet these came to no end: {open:?}")))
    }

    /// Asks for the next thing on the way to a volume's end; false if it is there.
    fn go_on(&mut self, stage: &Stage, number: usize) -> bool {
        let busy = !self.asked(number).is_empty();
        if busy {
            return true;
        }
        let late = self.moods.late;
        // In a late schedule it may be on any machine: whoever looks after that is told by the refusal.
        let stray = self.stray(number).filter(|_| late);
        let volume = &mut self.volumes[number];
        if volume.made == Made::Failed && (volume.dead || late) && volume.deletion == Deletion::NotAsked {
            // A person looks and finds the disk whose order failed, or came when nobody waited for it any more.
            let name = &volume.claim.name;
            let named = |d: &&ecx_sim::world::DiskRecord| d.disk.disk_name == *name;
            let found = self.cloud.look(|w| w.disks.values().find(named).map(|d| d.disk.disk_id.clone()));
            let Some(id) = found else { return false };
            volume.id = id;
        }
        let next = match (volume.made, volume.deletion) {
            (Made::NotAsked, _) | (_, Deletion::Done) => return false,
            (Made::Failed, _) if volume.id.is_empty() => return false,
            (Made::Open, _) => volume.create(),
            _ => match volume.attachments.keys().next().copied().or(stray) {
                Some(machine) => volume.unwant(machine),
                None => {
                    volume.deletion = Deletion::Open;
                    Ask::Delete
                }
            },
        };
        self.ask(stage, number, next);
        true
    }

    /// The machine that holds a volume's disk although nobody wants it there.
    fn stray(&self, number: usize) -> Option<usize> {
        let id = &self.volumes[number].id;
        let holder = self.cloud.look(|w| w.disks.get(id).and_then(|d| d.holder.clone()))?;
        self.places.machines.iter().position(|machine| machine.id == holder)
    }

    /// The controller itself says that nothing runs any more.
    async fn rest(&mut self, stage: &mut Stage) -> Verdict {
        let idle = tokio::time::timeout(Duration::from_secs(3600), stage.controller.idle()).await;
        idle.map_err(|_| (Invariant::Answered, "an operation of the controller never ends".to_owned()))?;
        self.cloud.release();
        self.wait(stage, 60_000).await
    }
}
