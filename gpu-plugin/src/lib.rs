//! The arithmetic of cards and slices, used by the scheduler and by the node alike, so that what one accepts the other does
//! too. Plain data and pure functions: no Kubernetes client, no NVML, no clock.
//!
//! Imports point one way: `quantity` and `container_paths` import nothing; `names` ← (`card`, `slot`, `ask`, `accounting`) ← `plan` ←
//! `usage` ← `place`, `decision`; `pod` needs `ask`, `place` and `quantity`; `limits` needs `card` and `names` only.

pub mod accounting;
pub mod arbiter_protocol;
pub mod ask;
pub mod card;
pub mod container_paths;
pub mod decision;
pub mod limits;
pub mod names;
pub mod place;
pub mod plan;
pub mod pod;
pub mod quantity;
pub mod slot;
pub mod usage;
