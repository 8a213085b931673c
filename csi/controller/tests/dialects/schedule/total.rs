//! Many schedules, on every CPU.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use second_cloud::Millis;

use super::play::{Outcome, run};

/// What many schedules came to.
#[derive(Debug, Default)]
pub(crate) struct Total {
    pub(crate) schedules: u64,
    pub(crate) failed: Vec<Outcome>,
    pub(crate) calls: u64,
    pub(crate) requests: usize,
    pub(crate) handovers: u64,
    pub(crate) kills: u64,
    pub(crate) repairs: u64,
    lasted: Millis,
    seconds: f64,
}

/// Runs the schedules of these seeds.
pub(crate) fn total(seeds: Range<u64>) -> Total {
    let (next, began) = (AtomicU64::new(seeds.start), Instant::now());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let seed = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds.end);
        std::iter::from_fn(seed).map(run).collect::<Vec<_>>()
    };
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let mut all = Total { seconds: began.elapsed().as_secs_f64(), ..Total::default() };
    outcomes.into_iter().for_each(|outcome| all.count(outcome));
    all.failed.sort_by_key(|outcome| outcome.seed);
    all
}

impl Total {
    fn count(&mut self, outcome: Outcome) {
        self.schedules += 1;
        self.calls += outcome.calls;
        self.requests += outcome.requests;
        self.handovers += outcome.handovers;
        self.kills += outcome.kills;
        self.repairs += outcome.repairs;
        self.lasted += outcome.lasted;
        if !outcome.broken.is_empty() {
            self.failed.push(outcome);
        }
    }

    /// The last line is what `hack/simulate` shows.
    pub(crate) fn print(&self) {
        for outcome in &self.failed {
            for broken in &outcome.broken {
                eprintln!("seed {} ({}): {broken}", outcome.seed, outcome.dialect);
            }
        }
        let Self { schedules, calls, requests, handovers, kills, repairs, seconds, .. } = self;
        let hours = self.lasted / 3_600_000;
        eprintln!(
            "{calls} calls, {requests} requests to the cloud, {handovers} hand-overs, {kills} kills, {repairs} repairs by hand"
        );
        eprintln!(
            "{schedules} schedules before dialects in {seconds:.1} s ({hours} virtual hours), {} broken",
            self.failed.len()
        );
    }
}
