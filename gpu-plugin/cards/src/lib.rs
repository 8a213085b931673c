//! A machine's cards: what there is, what happens to them, and whether new work may go there. The only door to NVML.
//!
//! Everything blocks and nothing here starts a runtime: the plugin keeps it on a thread of its own.
//!
//! | module | what |
//! |---|---|
//! | [`driver`] | the trait [`Driver`] and what it tells |
//! | [`nvml`] | [`Nvml`], the driver that is real (or the fake library of `gpu-plugin/fake-driver`) |
//! | [`xid`] | NVIDIA's error numbers and what each means for a card |
//! | [`health`] | the state machine of one card, pure |
//! | [`health_tracker`] | every card with its state: events in, `ideal_gpu` cards out, pure but for the probe |
//! | [`capacity`] | what the node says about a card: memory times overcommitment, the label |
//!
//! Imports point one way: `driver`, `xid` ← `health`, `capacity` ← `health_tracker`; `driver` ← `nvml`.

pub mod capacity;
pub mod driver;
pub mod health;
pub mod health_tracker;
pub mod nvml;
pub mod xid;

pub use capacity::{Overcommit, label_value};
pub use driver::{CardEvent, CardUsage, Driver, DriverError, Found, ProcessUsage};
pub use health::{Health, Reason, State};
pub use health_tracker::HealthTracker;
pub use nvml::Nvml;
