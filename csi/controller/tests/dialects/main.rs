//! The controller before a cloud that is not the simulator: every dialect of `second-cloud` × every operation. The invariants
//! are those of `judge.rs`; what breaks them today stands in `known.rs`, a list that may only shrink.
//!
//! `DIALECT=name` runs one row alone and tells each call; the cloud's clock is tokio's, paused. `SEED=n` does so with one schedule;
//! `SEEDS=n` and `FIRST=n` run others than the first few (`hack/simulate`).

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod call;
mod hopeless;
mod judge;
mod known;
mod over_http;
mod rig;
mod scenes;
mod schedule;
mod sidecar;
mod table;

use second_cloud::{DIALECTS, Dialect, Named};

use rig::Rig;
use scenes::Operation;
use table::{Row, Table};

/// What an operation breaks in a dialect, by words; in a runtime of its own, whose end ends what never would.
fn cell(name: &'static str, dialect: Dialect, operation: Operation) -> Vec<String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { scenes::run(&mut Rig::new(name, dialect), operation).await })
}

fn row((name, dialect): Named) -> Row {
    let broken = Operation::ALL.map(|(operation, scene)| {
        if hopeless::not_run(name, operation) { Vec::new() } else { cell(name, dialect(), scene) }
    });
    (name, broken.into())
}

/// A family of dialects × every operation: the table, and what of it is neither right nor known.
fn judge_family(named: &[Named]) {
    let only = std::env::var("DIALECT").ok();
    let asked = |named: &&Named| only.as_deref().is_none_or(|only| only == named.0);
    let table = Table::of(named.iter().filter(asked).map(|named| row(*named)).collect());
    table.print(known::KNOWN);
    let wrong = table.against(known::KNOWN);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_the_paper_says_keeps_the_invariants() {
    judge_family(DIALECTS[0]);
}

#[test]
fn replies_of_every_look_keep_the_invariants() {
    judge_family(DIALECTS[1]);
}

#[test]
fn lists_of_every_kind_keep_the_invariants() {
    judge_family(DIALECTS[2]);
}

#[test]
fn disks_told_in_other_words_keep_the_invariants() {
    judge_family(DIALECTS[3]);
}

#[test]
fn orders_and_jobs_of_every_course_keep_the_invariants() {
    judge_family(DIALECTS[4]);
}

#[test]
fn refusals_of_every_wording_keep_the_invariants() {
    judge_family(DIALECTS[5]);
}

#[test]
fn machines_keys_and_strangers_keep_the_invariants() {
    judge_family(DIALECTS[6]);
}

/// Those of replies, lists, words and refusals: what orders and machines do is the same on every way.
#[tokio::test]
async fn a_life_over_http_keeps_the_invariants() {
    let broken = over_http::lives(&[DIALECTS[0], DIALECTS[1], DIALECTS[2], DIALECTS[3], DIALECTS[5]]).await;
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_list_of_exceptions_is_about_cells_that_exist_once() {
    let all = || DIALECTS.iter().flat_map(|family| family.iter().map(|(name, _)| *name));
    let exempt = hopeless::HOPELESS.iter().map(|row| row.dialect);
    let exempt = exempt.chain(hopeless::UNKNOWABLE.iter().map(|(dialect, _)| *dialect));
    let listed = known::KNOWN.iter().map(|row| row.dialect).filter(|dialect| *dialect != known::EVERY);
    for dialect in listed.chain(exempt).chain(all()) {
        assert_eq!(all().filter(|name| *name == dialect).count(), 1, "{dialect}");
    }
    let mut cells: Vec<(&str, &str)> = known::KNOWN.iter().flat_map(known::Known::cells).collect();
    for (dialect, operation) in &cells {
        let known = Operation::ALL.iter().any(|(name, _)| name == operation);
        assert!(known && !hopeless::not_run(dialect, operation), "{dialect} {operation}");
    }
    let number = cells.len();
    cells.sort_unstable();
    cells.dedup();
    assert_eq!(cells.len(), number, "a cell is listed twice");
}

/// Schedules of a run of the tests.
const SCHEDULES: u64 = 400;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn schedules_of_every_kind_keep_the_invariants() {
    let (first, count) = match variable("SEED") {
        Some(seed) => (seed, 1),
        None => (variable("FIRST").unwrap_or(0), variable("SEEDS").unwrap_or(SCHEDULES)),
    };
    let total = schedule::total(first..first + count);
    total.print();
    assert!(total.failed.is_empty(), "{} schedules are broken", total.failed.len());
    // They do test something.
    if count >= SCHEDULES {
        assert!(total.kills > count / 4 && total.handovers > count / 4, "{total:?}");
        assert!(total.calls > 10 * count && total.requests > 40 * count as usize, "{total:?}");
    }
}

#[test]
fn a_seed_gives_the_same_schedule_again() {
    for seed in 0..20 {
        assert_eq!(schedule::run(seed), schedule::run(seed), "seed {seed}");
    }
}
