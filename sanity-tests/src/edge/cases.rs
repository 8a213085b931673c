//! The cases that run on virtual nodes. A case returns what it has observed in a few words, or an error.

use futures::future::BoxFuture;

use super::guest::Image;
use crate::rig::Error;

mod life;
mod luks;
mod many;
mod power;
mod serials;

/// A case.
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// It is short and runs in `hack/edge core`.
    pub core: bool,
    /// Runs it.
    pub run: fn(&Image) -> BoxFuture<'_, Result<String, Error>>,
}

macro_rules! case {
    ($name:literal, $core:literal, $run:path) => {
        Case { name: $name, core: $core, run: |image| Box::pin($run(image)) }
    };
}

/// Every case.
pub const CASES: [Case; 17] = [
    case!("each-file-system-goes-from-machine-to-machine", true, life::from_machine_to_machine),
    case!("a-disk-grows-under-its-file-system", false, life::expand),
    case!("a-node-that-is-cut-off-serves-on-after-its-container-was-restarted", true, life::without_network),
    case!("a-disk-is-torn-out-under-writes", true, life::disk_unplugged),
    case!("power-cut-in-mkfs", false, power::during_mkfs),
    case!("power-cut-in-mount", false, power::during_mount),
    case!("power-cut-in-expand", false, power::during_expand),
    case!("power-cut-while-writing-ext4", true, power::while_writing_ext4),
    case!("power-cut-while-writing-xfs", false, power::while_writing_xfs),
    case!("an-encrypted-volume-goes-from-machine-to-machine", true, luks::from_machine_to_machine),
    case!("an-encrypted-volume-keeps-to-its-key", false, luks::keys),
    case!("an-encrypted-volume-grows-and-is-copied", false, luks::expand_and_copy),
    case!(
        "an-encrypted-disk-is-torn-out-and-its-header-restored",
        false,
        luks::disk_unplugged_and_header_restored
    ),
    case!("power-cut-in-encryption", false, luks::power_cut),
    case!("serials-wrong-missing-cut-and-doubled", true, serials::all),
    case!("reboot-with-disks-in-another-order", false, many::other_boot_order),
    case!("a-hundred-disks-on-one-machine", false, many::hundred_disks),
];
