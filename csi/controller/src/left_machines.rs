//! Where a disk was, as far as this controller has seen to it: when it was made, and machines that it was taken off.
//!
//! The cloud may still carry out an attach that was sent twice, long after it was undone: the disk is then on a machine where nobody wants
//! it, and no other machine can have it. What is known here may be undone again.

use std::collections::BTreeMap;
use std::time::Duration;

use eck_csi::recent::{DISKS, Recent};
use ecx::api::Disk;
use parking_lot::Mutex;
use tokio::time::Instant;

/// So soon after a disk was made nobody else can have attached it and taken it off again: leadership that went elsewhere does not come back
/// within a Lease's duration (`--leader-election-lease-duration` of the sidecars, 15 s).
const NEW: Duration = Duration::from_secs(15);

/// So many machines that a disk has left are remembered: an attach is late by minutes, and no disk is on more machines in that time.
const MACHINES: usize = 16;

/// What is known of a disk.
#[derive(Default)]
struct Known {
    /// Until it was asked for on some machine.
    made: Option<Instant>,
    /// Machines from which it was unpublished, and to which it was not asked for since, with the time.
    left: BTreeMap<String, Instant>,
}

/// By disk. A new controller knows of none, nor this one of a disk that was not asked for for long.
#[derive(Default)]
pub(crate) struct LeftMachines(Mutex<Recent<String, Known, DISKS>>);

impl LeftMachines {
    /// The disk was made just now: it was on no machine.
    pub(crate) fn made(&self, disk: &str) {
        self.0.lock().entry(disk.to_owned(), Known::default).made = Some(Instant::now());
    }

    /// Whether the disk is so new that it was on no machine yet.
    pub(crate) fn is_new(&self, disk: &str) -> bool {
        let made = self.0.lock().get(disk).and_then(|known| known.made);
        made.is_some_and(|made| made.elapsed() < NEW)
    }

    /// The disk was taken off the machine, and nothing of it is mounted there.
    pub(crate) fn left(&self, disk: &str, instance: &str) {
        let mut known = self.0.lock();
        let left = &mut known.entry(disk.to_owned(), Known::default).left;
        left.insert(instance.to_owned(), Instant::now());
        let first = left.iter().min_by_key(|(_, at)| **at).map(|(instance, _)| instance.clone());
        if let Some(first) = first.filter(|_| left.len() > MACHINES) {
            left.remove(&first);
        }
    }

    /// The disk is asked for on the machine.
    pub(crate) fn wanted(&self, disk: &str, instance: &str) {
        let mut known = self.0.lock();
        if let Some(of_disk) = known.get(disk) {
            of_disk.made = None;
            of_disk.left.remove(instance);
            if of_disk.left.is_empty() {
                known.remove(disk);
            }
        }
    }

    /// How long ago the disk left the machine, if it was not asked for there since.
    pub(crate) fn left_for(&self, disk: &str, instance: &str) -> Option<Duration> {
        Some(self.0.lock().get(disk)?.left.get(instance)?.elapsed())
    }

    /// Whether every machine that has the disk is one that it has left.
    pub(crate) fn strays(&self, disk: &Disk) -> bool {
        let (mut known, holders) = (self.0.lock(), disk.holders());
        let left = known.get(&disk.disk_id).map(|known| &known.left);
        !holders.is_empty()
            && left.is_some_and(|left| holders.iter().all(|holder| left.contains_key(*holder)))
    }

    /// The disk is gone.
    pub(crate) fn forget(&self, disk: &str) {
        self.0.lock().remove(disk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(instance: &str) -> Disk {
        Disk { disk_id: "cd-1".into(), instance_id: Some(instance.to_owned()), ..Disk::default() }
    }

    #[test]
    fn only_a_disk_that_left_a_machine_and_was_not_asked_for_there_since_strays() {
        let machines = LeftMachines::default();
        assert!(!machines.strays(&on("evm-1")), "nothing is known");
        machines.left("cd-1", "evm-1");
        assert!(machines.strays(&on("evm-1")) && machines.left_for("cd-1", "evm-1").is_some());
        assert!(!machines.strays(&on("evm-2")) && !machines.strays(&Disk::default()));
        machines.wanted("cd-1", "evm-1");
        assert!(!machines.strays(&on("evm-1")));
        machines.left("cd-1", "evm-1");
        machines.forget("cd-1");
        assert!(!machines.strays(&on("evm-1")));
    }

    #[tokio::test(start_paused = true)]
    async fn of_the_machines_that_a_disk_has_left_the_last_are_remembered() {
        let machines = LeftMachines::default();
        for n in 0..1000 {
            machines.left("cd-1", &format!("evm-{n}"));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let known = |n: usize| machines.left_for("cd-1", &format!("evm-{n}")).is_some();
        assert_eq!((0..1000).filter(|n| known(*n)).collect::<Vec<_>>(), (984..1000).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_is_new_until_it_was_asked_for_or_another_can_have_led() {
        let machines = LeftMachines::default();
        machines.made("cd-1");
        assert!(machines.is_new("cd-1") && !machines.is_new("cd-2"));
        machines.wanted("cd-1", "evm-1");
        assert!(!machines.is_new("cd-1"));
        machines.made("cd-1");
        tokio::time::sleep(NEW).await;
        assert!(!machines.is_new("cd-1"));
    }
}
