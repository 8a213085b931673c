//! How volumes are published: for reading only, or not. The cloud does not know it, so a new controller begins without and
//! takes the first answer for each; a CO does not ask for both (Kubernetes keeps it in the VolumeAttachment's volume).

use std::collections::HashMap;

use eck_csi::volume::DiskId;
use parking_lot::Mutex;

/// By disk: the machine, and whether for reading only.
#[derive(Default)]
pub(crate) struct PublishModes(Mutex<HashMap<String, (String, bool)>>);

impl PublishModes {
    /// The disk is on the machine; gives how it is published there, which is `readonly` unless it is already otherwise.
    pub(crate) fn publish(&self, disk: &DiskId, instance: &str, readonly: bool) -> bool {
        let mut known = self.0.lock();
        let entry = known.entry(disk.to_string()).or_insert_with(|| (instance.to_owned(), readonly));
        if entry.0 != instance {
            *entry = (instance.to_owned(), readonly);
        }
        entry.1
    }

    /// The disk is on no machine.
    pub(crate) fn unpublish(&self, disk: &DiskId) {
        self.0.lock().remove(disk.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_stays_so_until_it_is_taken_away() {
        let (published, disk) = (PublishModes::default(), DiskId::parse("cd-1").unwrap());
        assert!(!published.publish(&disk, "evm-1", false));
        assert!(!published.publish(&disk, "evm-1", true));
        assert!(published.publish(&disk, "evm-2", true));
        published.unpublish(&disk);
        assert!(!published.publish(&disk, "evm-2", false));
    }
}
