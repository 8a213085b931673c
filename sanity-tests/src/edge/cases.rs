//! What is tried on virtual nodes. A case says what was seen, or fails with words.

use futures::future::BoxFuture;

use super::guest::Image;
use super::site::Trouble;

mod life;
mod luks;
mod many;
mod power;
mod serials;

/// What a case ends with: a few words about what was seen.
pub type Seen = Result<String, Trouble>;

/// A case.
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// It is short, and run by `hack/edge core`.
    pub core: bool,
    /// Runs it.
    pub run: fn(&Image) -> BoxFuture<'_, Seen>,
}

macro_rules! case {
    ($name:literal, $core:literal, $run:path) => {
        Case { name: $name, core: $core, run: |image| Box::pin($run(image)) }
    };
}

/// Every case.
pub const CASES: [Case; 17] = [
    case!("each-file-system-goes-from-machine-to-machine", true, life::from_machine_to_machine),
    case!("a-disk-grows-under-its-file-system", false, life::grows),
    case!("a-node-that-is-cut-off-serves-on-after-its-container-was-restarted", true, life::cut_off),
    case!("a-disk-is-torn-out-under-writes", true, life::torn_out),
    case!("power-cut-in-mkfs", false, power::in_mkfs),
    case!("power-cut-in-mount", false, power::in_mount),
    case!("power-cut-in-expand", false, power::in_expand),
    case!("power-cut-while-writing-ext4", true, power::writing_ext4),
    case!("power-cut-while-writing-xfs", false, power::writing_xfs),
    case!("an-encrypted-volume-goes-from-machine-to-machine", true, luks::from_machine_to_machine),
    case!("an-encrypted-volume-keeps-to-its-key", false, luks::keys),
    case!("an-encrypted-volume-grows-and-is-copied", false, luks::grows_and_is_copied),
    case!("an-encrypted-disk-is-torn-out-and-its-header-restored", false, luks::survives),
    case!("power-cut-in-encryption", false, luks::power),
    case!("serials-wrong-missing-cut-and-doubled", true, serials::all),
    case!("reboot-with-disks-in-another-order", false, many::another_order),
    case!("a-hundred-disks-on-one-machine", false, many::hundred),
];
