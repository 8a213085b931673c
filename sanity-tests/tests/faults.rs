//! Whatever goes wrong on the way to the cloud, at the end there is exactly one disk or none, on one machine or none.
//!
//! Each operation's conversation with the cloud is recorded once; then each of its steps is hit by each fault, with the
//! controller in this process (`matrix`) and with the shipped program killed by SIGKILL (`killed`). `races` and `seeds`
//! let many things happen at once.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

#[path = "faults/killed.rs"]
mod killed;
#[path = "faults/matrix.rs"]
mod matrix;
#[path = "faults/races.rs"]
mod races;
#[path = "faults/scene.rs"]
mod scene;
#[path = "faults/seeds.rs"]
mod seeds;
#[path = "faults/verdict.rs"]
mod verdict;

/// Cases of all tests of this run so far.
static CASES: AtomicUsize = AtomicUsize::new(0);

/// Judges a group of cases, each with its name: prints how many there were, and fails with all that failed.
fn report(group: &str, cases: Vec<(String, Result<(), String>)>) {
    let so_far = CASES.fetch_add(cases.len(), Ordering::SeqCst) + cases.len();
    // Written past the test harness, which would swallow it.
    let line = format!("faults: {} cases of {group}, {so_far} cases so far\n", cases.len());
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    let failed = cases.into_iter().filter_map(|(name, end)| end.err().map(|why| format!("{name}: {why}")));
    let failed: Vec<String> = failed.collect();
    assert!(failed.is_empty(), "{} cases of {group} failed:\n{}", failed.len(), failed.join("\n"));
}
