//! The machine, as the node's operations see it: devices by serial, their content, file systems, encryption, mounts.
//!
//! Imports point one way: `error`, `device`, `content` ← `sysfs`, `opened`, `path` ← `mount`, `filesystem`, `luks`, … ← `machine`.

pub mod content;
pub mod device;
pub mod error;
pub mod filesystem;
pub mod luks;
pub mod machine;
pub mod mounted;
pub mod mountinfo;
pub mod sysfs;

mod command;
mod events;
#[cfg(test)]
pub(crate) mod fake;
mod foreign;
mod mount;
mod opened;
mod path;
mod wait;

pub use content::{Content, Depth, Foreign, Formatted, FsId};
pub use device::{Device, Mapping};
pub use error::{DeviceError, FsError, HostError, LuksError, MountError};
pub use filesystem::{Check, Format, SLACK};
pub use luks::{Header, MappingOptions, NewHeader};
pub use machine::{Devices, Encryption, Filesystems, Host, Linux, Machine, Mounts};
pub use mounted::FsStats;
pub use mountinfo::MountTable;
