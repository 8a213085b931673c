//! The operations.

use serde::{Deserialize, Serialize};

/// The operations, by the names and in the order of ecx/API.md B.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Op {
    /// 1: order a disk.
    CreateDisk,
    /// 2: order a disk with a snapshot's content.
    CreateDiskFromSnapshot,
    /// 3: refund a disk.
    DeleteDisk,
    /// 4: one disk by id.
    GetDisk,
    /// 5: disks by name.
    FindDiskByName,
    /// 6: a region's disks, paged.
    ListDisks,
    /// 7: attach to an instance.
    AttachDisk,
    /// 8: detach from an instance.
    DetachDisk,
    /// 9: grow.
    ResizeDisk,
    /// 10: state of a job.
    GetJob,
    /// 11: state of an order.
    GetOrder,
    /// 12: take a snapshot.
    CreateSnapshot,
    /// 13: delete a snapshot.
    DeleteSnapshot,
    /// 14: snapshots, paged.
    ListSnapshots,
    /// 15: a region's disk types.
    ListDiskTypes,
    /// 16: whether a disk could be ordered.
    CheckStock,
    /// 17: a region's instances.
    ListInstances,
    /// 18: a disk's description.
    UpdateDisk,
    /// 19: a disk's type and speed. No such call is known of ECX: only a profile that names its path has it.
    ModifyDisk,
}

impl Op {
    /// All, in the order of ecx/API.md B.3.
    pub const ALL: [Self; 19] = [
        Self::CreateDisk,
        Self::CreateDiskFromSnapshot,
        Self::DeleteDisk,
        Self::GetDisk,
        Self::FindDiskByName,
        Self::ListDisks,
        Self::AttachDisk,
        Self::DetachDisk,
        Self::ResizeDisk,
        Self::GetJob,
        Self::GetOrder,
        Self::CreateSnapshot,
        Self::DeleteSnapshot,
        Self::ListSnapshots,
        Self::ListDiskTypes,
        Self::CheckStock,
        Self::ListInstances,
        Self::UpdateDisk,
        Self::ModifyDisk,
    ];

    /// True for the operations that are sent as a POST with a JSON body.
    pub fn is_post(self) -> bool {
        use Op::*;
        matches!(
            self,
            CreateDisk
                | CreateDiskFromSnapshot
                | DeleteDisk
                | AttachDisk
                | DetachDisk
                | ResizeDisk
                | CreateSnapshot
                | DeleteSnapshot
                | ListInstances
                | UpdateDisk
                | ModifyDisk
        )
    }

    /// True for the operations that only tell something: a success that tells nothing is no answer to them.
    pub fn reads(self) -> bool {
        use Op::*;
        matches!(
            self,
            GetDisk
                | FindDiskByName
                | ListDisks
                | GetJob
                | GetOrder
                | ListSnapshots
                | ListDiskTypes
                | CheckStock
                | ListInstances
        )
    }

    /// True for the operations that have `deleteDiskWithInstance`: what they leave untold a pool may take for true.
    pub fn may_bind_a_disk_to_a_machine(self) -> bool {
        matches!(self, Self::CreateDisk | Self::CreateDiskFromSnapshot | Self::AttachDisk)
    }

    /// True if sending the same request twice does no more than sending it once: reads, writes that carry a client token, and
    /// those that set a value. A disk that is ordered twice is paid twice where the cloud does not keep its word about tokens, so who
    /// orders looks for it first. Attach and detach have no token (ecx/API.md §3), a snapshot's deletion neither, and that of its
    /// creation counts only while the disk has no other.
    pub fn repeatable(self) -> bool {
        !matches!(
            self,
            Self::CreateDisk
                | Self::CreateDiskFromSnapshot
                | Self::AttachDisk
                | Self::DetachDisk
                | Self::CreateSnapshot
                | Self::DeleteSnapshot
        )
    }
}
