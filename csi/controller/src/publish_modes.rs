//! How volumes are published: for reading only, or not. The cloud does not know it, so a new controller begins without and
//! takes the first answer for each; a CO does not ask for both (Kubernetes keeps it in the VolumeAttachment's volume).

use std::time::Duration;

use eck_csi::recent::{DISKS, Recent};
use eck_csi::volume::DiskId;
use ecx::api::Disk;
use parking_lot::Mutex;
use tokio::time::Instant;

/// By disk. One that somebody else has taken off, and that is asked for no more, is forgotten.
#[derive(Default)]
pub(crate) struct PublishModes(Mutex<Recent<String, Published, DISKS>>);

/// A disk on a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Published {
    instance: String,
    /// The cloud's name for its being there, where it has one: another one is another time.
    attachment: Option<String>,
    readonly: bool,
    since: Instant,
}

impl Published {
    /// Whether this may be the same being there. Another controller may have led meanwhile, and taken the disk off and put it on again.
    fn may_be(&self, other: &Self) -> bool {
        let attachments = self.attachment.as_ref().zip(other.attachment.as_ref());
        self.instance == other.instance && attachments.is_none_or(|(known, told)| known == told)
    }
}

impl PublishModes {
    /// The disk is on the machine; gives how it is published there, which is `readonly` unless it is already otherwise.
    pub(crate) fn publish(&self, disk: &Disk, instance: &str, readonly: bool) -> bool {
        let attachment = disk.attachments.iter().find(|attachment| attachment.instance_id == instance);
        let attachment = attachment.and_then(|attachment| attachment.attachment_id.clone());
        let now = Published { instance: instance.to_owned(), attachment, readonly, since: Instant::now() };
        let mut known = self.0.lock();
        let entry = known.entry(disk.disk_id.clone(), || now.clone());
        if !entry.may_be(&now) {
            *entry = now;
        }
        entry.readonly
    }

    /// For how long the disk is known to be on the machine.
    pub(crate) fn known_for(&self, disk: &DiskId, instance: &str) -> Option<Duration> {
        let mut known = self.0.lock();
        let entry = known.get(disk.as_str()).filter(|entry| entry.instance == instance)?;
        Some(entry.since.elapsed())
    }

    /// The disk is on no machine.
    pub(crate) fn unpublish(&self, disk: &DiskId) {
        self.0.lock().remove(disk.as_str());
    }
}

#[cfg(test)]
mod tests {
    use ecx::api::Attachment;

    use super::*;

    fn on(instance: &str, attachment: Option<&str>) -> Disk {
        let (instance_id, attachment_id) = (instance.to_owned(), attachment.map(str::to_owned));
        let attachments = vec![Attachment { instance_id, attachment_id, device: None }];
        Disk { disk_id: "cd-1".into(), attachments, ..Disk::default() }
    }

    #[test]
    fn what_is_published_stays_so_until_it_is_taken_away() {
        let (published, disk) = (PublishModes::default(), DiskId::parse("cd-1").unwrap());
        assert!(!published.publish(&on("evm-1", None), "evm-1", false));
        assert!(!published.publish(&on("evm-1", None), "evm-1", true));
        assert!(published.publish(&on("evm-2", None), "evm-2", true));
        published.unpublish(&disk);
        assert!(!published.publish(&on("evm-2", None), "evm-2", false));
    }

    /// Finding D8.
    #[test]
    fn what_another_controller_has_put_there_anew_is_published_anew() {
        let published = PublishModes::default();
        assert!(!published.publish(&on("evm-1", Some("a")), "evm-1", false));
        assert!(!published.publish(&on("evm-1", Some("a")), "evm-1", true), "the same time");
        assert!(!published.publish(&on("evm-1", None), "evm-1", true), "not told is not another");
        assert!(published.publish(&on("evm-1", Some("b")), "evm-1", true));
    }
}
