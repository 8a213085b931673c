//! Random schedules of pods that ask for cards: whatever happens in whatever order, each container has exactly the cards that
//! were decided for it, nothing is given twice, the kubelet refuses nothing, and in the end everything is free.
//!
//! A schedule is a small cluster and a random sequence of events on it until every pod has been placed and deleted.
//! `GPU_RANDOM_SEED=n` runs the schedule of that seed alone; `GPU_RANDOM_SCHEDULES=n` runs another number.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod agent;
mod api;
mod check;
mod counts;
mod draw;
mod living;
mod replica;
mod scene;
mod schedule;
mod scheduling;
mod site;
mod sockets;
mod world;

use std::path::Path;
use std::time::Instant;

use self::counts::{Compared, Counts};
use self::world::World;

/// Schedules of one run in process; issue 4 wants at least so many.
const SCHEDULES: u64 = 10_000;

/// Schedules over sockets: about a second each.
const OVER_SOCKETS: u64 = 24;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Where plugins keep what they keep: in memory, since they write through to the disk.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let root = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("gpu-random").tempdir_in(root).unwrap()
}

/// One schedule. Its time goes by as fast as there is nothing to do.
fn schedule(seed: u64) -> (Counts, Compared) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let folder = folder();
    runtime.unwrap().block_on(async { World::new(seed, folder.path()).await.run().await })
}

/// Runs the schedules of these seeds on one thread.
fn run(seeds: impl Iterator<Item = u64>) -> (u64, Counts, Compared) {
    let (mut schedules, mut total, mut compared) = (0, Counts::default(), Compared::default());
    for seed in seeds {
        match std::panic::catch_unwind(|| schedule(seed)) {
            Ok((counts, also)) => {
                total.add(&counts);
                compared.add(&also);
            }
            Err(_) => panic!("schedule failed; it is replayed by GPU_RANDOM_SEED={seed}"),
        }
        schedules += 1;
    }
    (schedules, total, compared)
}

#[test]
fn gpu_random_schedules_in_process() {
    let started = Instant::now();
    if let Some(seed) = number("GPU_RANDOM_SEED") {
        let (_, counts, compared) = run(seed..=seed);
        println!("seed {seed}: {counts:?}, {compared:?}");
        return;
    }
    let schedules = number("GPU_RANDOM_SCHEDULES").unwrap_or(SCHEDULES);
    // Two threads, one for each of the cores that CI has.
    let halves = [0, schedules / 2, schedules];
    let runs: Vec<_> = halves.windows(2).map(|half| (half[0], half[1])).collect();
    let outcomes: Vec<(u64, Counts, Compared)> = std::thread::scope(|scope| {
        let threads: Vec<_> = runs.iter().map(|(from, to)| scope.spawn(move || run(*from..*to))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (mut done, mut total, mut compared) = (0, Counts::default(), Compared::default());
    for (schedules, counts, also) in &outcomes {
        done += schedules;
        total.add(counts);
        compared.add(also);
    }
    println!(
        "{done} schedules, seeds 0 to {}, in {:.1} s: {total:?}",
        schedules - 1,
        started.elapsed().as_secs_f64()
    );
    println!(
        "each as decided: {} containers with slices, {} with whole cards; {} sums of a card within it; all and no more: \
         {} ledgers, {} books; nothing left: {} nodes and schedulers",
        compared.slices, compared.whole, compared.cards, compared.ledgers, compared.books, compared.empty
    );
    assert_eq!(done, schedules);
}

#[test]
fn gpu_random_schedules_over_sockets() {
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let seeds = match number("GPU_RANDOM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("GPU_RANDOM_OVER_SOCKETS").unwrap_or(OVER_SOCKETS),
    };
    let (mut created, mut placed) = (0, 0);
    for seed in seeds.clone() {
        println!("over sockets, GPU_RANDOM_SEED={seed}");
        let (more, of_them) = runtime.block_on(scene::run(seed));
        (created, placed) = (created + more, placed + of_them);
    }
    let (seconds, schedules) = (started.elapsed().as_secs_f64(), seeds.count());
    println!("{schedules} schedules over sockets in {seconds:.1} s: {created} pods, {placed} placed");
}
