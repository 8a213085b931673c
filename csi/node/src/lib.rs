//! The node half: from CSI's Node service to devices, file systems and mounts. It never talks to the cloud.
//!
//! ```text
//! service ─▶ request ─▶ stage, publish, expand, stats, health    one operation a file: look, decide, act; plain blocking code
//!                          └─▶ host (trait) ─▶ host/linux ─▶ sysfs, events, device, content, filesystem, mount
//! trim: the weekly fstrim
//! registration: the kubelet learns of the CSI socket
//! ```

pub mod args;
pub mod driver;
pub mod error;
mod expand;
mod fields;
mod finding;
pub mod fsid;
mod health;
mod history;
pub mod host;
mod key;
pub mod metrics;
mod open_volume;
mod options;
mod probes;
mod publish;
pub mod registration;
pub mod request;
mod response;
pub mod run;
pub mod service;
mod slots;
mod stage;
mod stats;
mod trim;
mod unpublish;
mod unstage;
