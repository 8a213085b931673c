//! From a CSI volume name to a disk name, and from a disk to the subject of an order's client token.

use eck_csi::cluster::{ClusterIdentity, Mark, OtherCluster};
use eck_csi::volume::DiskId;
use ecx::api::Disk;
use uuid::Uuid;

/// Namespace of hashed names: a UUID v4 drawn once; changing it would lose the disks of volumes under way.
const NAMESPACE: Uuid = Uuid::from_u128(0x2b61_7e0c_9d5e_4f0a_8b3a_5f60_2c91_77d4);

/// The disk name of a volume: the name itself where the cloud allows it (2–63 of `[A-Za-z0-9-]`, ECX-API B.5), else a
/// UUID v5 of it. Deterministic, so that a retry finds the disk.
pub(crate) fn disk_name(volume: &str) -> String {
    let plain = volume.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if plain && (2..=63).contains(&volume.len()) && !volume.starts_with('-') {
        volume.to_owned()
    } else {
        format!("eck-{}", Uuid::new_v5(&NAMESPACE, volume.as_bytes()))
    }
}

/// Whether the disk carries a cluster's mark, whichever.
pub(crate) fn is_marked(disk: &Disk) -> bool {
    Mark::of(disk.label_pairs()).is_some()
}

/// Another cluster than this one whose mark the disk carries: then it is that cluster's, whatever handle or name leads to it.
pub(crate) fn other_cluster(disk: &Disk, cluster: &ClusterIdentity) -> Option<Box<OtherCluster>> {
    cluster.whose(disk.label_pairs()).other()
}

/// The name of the snapshot through which the volume is cloned. It is gone when the clone is there.
pub(crate) fn clone_name(volume: &str) -> String {
    format!("eck-clone-{}", Uuid::new_v5(&NAMESPACE, volume.as_bytes()).simple())
}

/// The id of the group snapshot of this name.
pub(crate) fn group_id(name: &str) -> String {
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).simple().to_string()
}

/// The name of a disk's snapshot in the group: of the disk there is room for half a hash (ECX-API §3: 63 characters).
pub(crate) fn member_name(group: &str, disk: &DiskId) -> String {
    let hash = Uuid::new_v5(&NAMESPACE, disk.as_str().as_bytes()).simple().to_string();
    format!("g-{group}-{}", hash.get(..16).unwrap_or(&hash))
}

/// The id of the group that a snapshot of this name belongs to.
pub(crate) fn group_of_member(name: &str) -> Option<String> {
    let (id, disk) = name.strip_prefix("g-")?.split_once('-')?;
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    (id.len() == 32 && disk.len() == 16 && hex(id) && hex(disk)).then(|| id.to_owned())
}

/// What the client token of an order about a disk is made from: the first attempt's is the disk's alone, later ones count, so
/// that an order that failed can be ordered anew.
pub(crate) fn order_subject(disk: &DiskId, attempt: u32) -> String {
    numbered(disk.as_str(), attempt)
}

/// The same for anything that is ordered.
pub(crate) fn numbered(what: &str, attempt: u32) -> String {
    if attempt == 1 { what.to_owned() } else { format!("{what}#{attempt}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_the_cloud_refuses_are_hashed() {
        assert_eq!(disk_name("pvc-0f3f1d9e"), "pvc-0f3f1d9e");
        for other in ["x", "-a", "pvc.1", "盘", &"v".repeat(64), &"v".repeat(128)] {
            let hashed = disk_name(other);
            assert!(hashed.starts_with("eck-") && hashed.len() == 40, "{hashed}");
            assert_eq!(hashed, disk_name(other));
        }
    }
}
