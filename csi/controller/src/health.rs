//! What the cloud says of a disk's health.

use ecx::api::{Disk, DiskState, Group};

/// What is wrong with the disk, if anything: a word for machines, a sentence for people. A state that nobody knows is not told
/// as a fault: the cloud may only have a new word for something that passes.
pub(crate) fn diagnose(disk: &Disk) -> Option<(&'static str, String)> {
    if disk.disk_status.group() != Group::Dead {
        return None;
    }
    let (reason, meaning) = if disk.disk_status == DiskState::Expired {
        ("DiskExpired", "its order has run out, and it will be released unless it is renewed")
    } else if disk.disk_status == DiskState::Freezing {
        ("DiskFrozen", "the account or the order is frozen")
    } else {
        ("DiskError", "it will not become usable by itself")
    };
    Some((reason, format!("the cloud shows the disk as {}: {meaning}", disk.disk_status.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_disk_that_is_dead_in_the_cloud_is_told_as_ill() {
        let disk = |state: &str| Disk { disk_status: DiskState::parse(state), ..Disk::default() };
        for well in ["available", "in-use", "attaching", "some new state"] {
            assert_eq!(diagnose(&disk(well)), None, "{well}");
        }
        for (state, reason) in
            [("error", "DiskError"), ("expired", "DiskExpired"), ("freezing", "DiskFrozen")]
        {
            let finding = diagnose(&disk(state)).unwrap();
            assert!(finding.0 == reason && finding.1.contains(state), "{finding:?}");
        }
    }
}
