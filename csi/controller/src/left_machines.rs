//! Machines that a disk was taken off by this controller. The cloud may still carry out an attach that was sent twice, long after it was
//! undone: the disk is then on a machine where nobody wants it, and no other machine can have it. What is known here may be undone again.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use ecx::api::Disk;
use parking_lot::Mutex;
use tokio::time::Instant;

/// A list may show a region as it was so long ago. Ours, as the profile's `reads_lag_ms`; lists are worse.
const LISTS_LAG: Duration = Duration::from_secs(180);

/// By disk: machines from which it was unpublished, and to which it was not asked for since, with the time. A new controller knows of none.
#[derive(Default)]
pub(crate) struct LeftMachines(Mutex<HashMap<String, BTreeMap<String, Instant>>>);

impl LeftMachines {
    /// The disk was made just now: it was on no machine.
    pub(crate) fn made(&self, disk: &str) {
        self.0.lock().entry(disk.to_owned()).or_default();
    }

    /// Whether a list that shows the disk on the machine can only be of now: the disk was never there, as far back as lists lag. Of a disk
    /// that another controller has dealt with that is not known.
    pub(crate) fn lists_are_of_now(&self, disk: &str, instance: &str) -> bool {
        let known = self.0.lock();
        known.get(disk).is_some_and(|left| left.get(instance).is_none_or(|left| left.elapsed() > LISTS_LAG))
    }

    /// The disk was taken off the machine, and nothing of it is mounted there.
    pub(crate) fn left(&self, disk: &str, instance: &str) {
        self.0.lock().entry(disk.to_owned()).or_default().insert(instance.to_owned(), Instant::now());
    }

    /// The disk is asked for on the machine.
    pub(crate) fn wanted(&self, disk: &str, instance: &str) {
        if let Some(machines) = self.0.lock().get_mut(disk) {
            machines.remove(instance);
        }
    }

    /// How long ago the disk left the machine, if it was not asked for there since.
    pub(crate) fn left_for(&self, disk: &str, instance: &str) -> Option<Duration> {
        Some(self.0.lock().get(disk)?.get(instance)?.elapsed())
    }

    /// Whether every machine that has the disk is one that it has left.
    pub(crate) fn strays(&self, disk: &Disk) -> bool {
        let (known, holders) = (self.0.lock(), disk.holders());
        let left = known.get(&disk.disk_id);
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
}
