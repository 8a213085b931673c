//! `hack/simulate`: the controller under seeded schedules in virtual time (`sanity_tests::simulation`), on every CPU.

// What it prints is what it is for.
#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use clap::Parser;
use sanity_tests::simulation::{Broken, CannotRun, Counts, Outcome, run};

/// Runs seeded schedules of requests, faults and crashes against the controller and the simulated cloud
#[derive(Parser)]
struct Args {
    /// Seeds to run, from the first on
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// One seed alone, twice, with its whole schedule: the same each time
    #[arg(long)]
    seed: Option<u64>,
    /// Runs on after a seed that fails
    #[arg(long)]
    keep_going: bool,
}

/// What many schedules came to.
#[derive(Default)]
struct Total {
    schedules: u64,
    counts: Counts,
    virtual_ms: u64,
    failed: Vec<Outcome>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let ended = match args.seed {
        Some(seed) => replay(seed),
        None => all(&args),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn replay(seed: u64) -> Result<bool, CannotRun> {
    let (first, second) = (run(seed, None)?, run(seed, None)?);
    let same = first == second;
    println!("seed {seed}: hash {:016x}, then {:016x}", first.hash, second.hash);
    println!("{}, {:.0} virtual s", first.counts, first.lasted_ms as f64 / 1000.0);
    show(&first);
    if !same {
        let differ = first.schedule.iter().zip(&second.schedule).position(|(one, other)| one != other);
        let line = differ.unwrap_or(first.schedule.len().min(second.schedule.len()));
        let of = |outcome: &Outcome| outcome.schedule.get(line).cloned().unwrap_or_default();
        println!("FAILED: the second run was another one, from line {line} on:");
        println!("{}\n{}", of(&first), of(&second));
    }
    Ok(same && first.broken.is_none())
}

fn all(args: &Args) -> Result<bool, CannotRun> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (next, stop, began) = (AtomicU64::new(0), AtomicBool::new(false), Instant::now());
    let work = || {
        let mut total = Total::default();
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= args.seeds {
                break;
            }
            let outcome = run(args.first + number, None)?;
            total.schedules += 1;
            total.counts.add(&outcome.counts);
            total.virtual_ms += outcome.lasted_ms;
            if outcome.broken.is_some() {
                total.failed.push(outcome);
                stop.store(!args.keep_going, Ordering::Relaxed);
            }
        }
        Ok::<_, CannotRun>(total)
    };
    let ended = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join()).collect::<Vec<_>>()
    });
    let mut total = Total::default();
    for part in ended {
        // A worker that panicked has said so already.
        let Ok(part) = part else { return Ok(false) };
        let part = part?;
        total.schedules += part.schedules;
        total.counts.add(&part.counts);
        total.virtual_ms += part.virtual_ms;
        total.failed.extend(part.failed);
    }
    total.failed.sort_by_key(|outcome| outcome.seed);
    report(&total, threads, began.elapsed().as_secs_f64());
    Ok(total.failed.is_empty())
}

fn report(total: &Total, threads: usize, seconds: f64) {
    total.failed.iter().for_each(show);
    let (hours, rate) = (total.virtual_ms as f64 / 3_600_000.0, total.schedules as f64 / seconds);
    println!(
        "{} schedules in {seconds:.1} s on {threads} threads: {rate:.1} schedules per second, {hours:.0} virtual hours",
        total.schedules
    );
    println!("{}", total.counts);
    println!("{} passed, {} failed", total.schedules - total.failed.len() as u64, total.failed.len());
}

fn show(outcome: &Outcome) {
    for line in &outcome.schedule {
        println!("{line}");
    }
    match &outcome.broken {
        Some(Broken { invariant, seen }) => {
            println!("seed {} breaks {invariant:?}: {seen}", outcome.seed);
            println!("again: hack/simulate --seed {}", outcome.seed);
        }
        None => println!("every invariant held"),
    }
}
