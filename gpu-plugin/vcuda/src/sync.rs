//! What the lock-free parts are made of: the standard library's types, or loom's where `--cfg loom` builds their models.
//!
//! A model runs the real code in every order in which its threads can run, and with every value that the memory model lets a load
//! return. The models are the tests in `loom_tests.rs` beside the code:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test --release -p vcuda --lib loom_tests
//! ```

#[cfg(loom)]
mod loom_atomics;

#[cfg(loom)]
pub(crate) use loom::sync::{Condvar, Mutex};
#[cfg(loom)]
pub(crate) use loom::thread::{Thread, current, park};
#[cfg(loom)]
pub(crate) use loom_atomics::{AtomicBool, AtomicU32, AtomicU64};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
#[cfg(not(loom))]
pub(crate) use std::sync::{Condvar, Mutex};
#[cfg(not(loom))]
pub(crate) use std::thread::{Thread, current, park};

/// Runs a model in all orders in which a thread is interrupted three times at most. Without a bound it takes minutes where threads have
/// many steps; nearly all faults show with two (loom's documentation).
#[cfg(all(test, loom))]
pub(crate) fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}
