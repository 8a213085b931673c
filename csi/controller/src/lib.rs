//! The controller half: from CSI's Controller service to the ECX API. It never touches a device.
//!
//! ```text
//! service ─▶ request ─▶ create, delete, attach, detach, expand, list, capacity   one operation a file: look, decide, act
//!                          └─▶ driver: reads (shared), places (disk → region), nodes (node → instance), slots ─▶ ecx
//! ```

pub mod args;
mod attach;
mod capacity;
mod create;
mod delete;
mod detach;
pub mod driver;
mod error;
mod expand;
mod list;
mod metrics;
mod name;
mod nodes;
mod orders;
mod parameters;
mod places;
mod reads;
mod request;
pub mod run;
pub mod service;
mod slots;
