//! The node half: from CSI's Node service to devices, file systems and mounts. It never talks to the cloud.
//!
//! ```text
//! service ─▶ request ─▶ stage, publish, expand, stats, health    one operation a file: look, decide, act; plain blocking code
//!                          └─▶ host (trait) ─▶ host/linux ─▶ sysfs, events, device, content, filesystem, mount
//! trim: the weekly fstrim
//! registration: the kubelet learns of the CSI socket
//! ```

pub mod args;
mod crypt;
pub mod error;
mod expand;
pub mod fsid;
mod health;
pub mod host;
mod key;
mod known;
pub mod metrics;
mod options;
mod publish;
pub mod registration;
pub mod request;
mod response;
pub mod run;
pub mod service;
mod stage;
mod stats;
mod trim;
