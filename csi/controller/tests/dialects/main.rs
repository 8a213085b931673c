//! The controller before a cloud that is not the simulator: every dialect of `second-cloud` × every operation. The invariants
//! are those of `judge.rs`, and none may be broken.
//!
//! `DIALECT=name` runs one row alone and tells each call; the cloud's clock is tokio's, paused.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod call;
mod hopeless;
mod judge;
mod rig;
mod scenes;
mod sidecar;
mod table;

use second_cloud::{DIALECTS, Dialect};

use rig::Rig;
use scenes::Operation;
use table::Table;

/// What an operation breaks in a dialect, by words; in a runtime of its own, whose end ends what never would.
fn cell(name: &'static str, dialect: Dialect, operation: Operation) -> Vec<String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { scenes::run(&mut Rig::new(name, dialect), operation).await })
}

#[test]
fn every_dialect_keeps_the_invariants_in_every_operation() {
    let only = std::env::var("DIALECT").ok();
    let mut table = Table::default();
    for (name, dialect) in DIALECTS.iter().flat_map(|family| family.iter()) {
        if only.as_deref().is_none_or(|only| only == *name) {
            let broken = Operation::ALL.map(|operation| cell(name, dialect(), operation));
            table.add(name, broken.into());
        }
    }
    table.print();
    let broken = table.broken();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
