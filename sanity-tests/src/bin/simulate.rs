//! `hack/simulate`: the controller under seeded schedules in virtual time (`sanity_tests::simulation`), on every CPU.

// What it prints is what it is for.
#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use clap::Parser;
use sanity_tests::simulation::{Counts, Outcome, SetupError, Violation, run};

/// Runs seeded schedules of requests, faults and crashes against the controller and the simulated cloud
#[derive(Parser)]
struct Args {
    /// Seeds to run, from the first on
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// One seed only, run twice, with all its events
    #[arg(long)]
    seed: Option<u64>,
    /// Continues after a seed that fails
    #[arg(long)]
    keep_going: bool,
}

/// The result of many schedules.
#[derive(Default)]
struct Total {
    schedules: u64,
    counts: Counts,
    virtual_ms: u64,
    failed: Vec<Outcome>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.seed {
        Some(seed) => replay(seed),
        None => all(&args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn replay(seed: u64) -> Result<bool, SetupError> {
    let (first, second) = (run(seed, None)?, run(seed, None)?);
    let same = first == second;
    println!("seed {seed}: hash {:016x}, then {:016x}", first.hash, second.hash);
    println!("{}, {:.0} virtual s", first.counts, first.lasted_ms as f64 / 1000.0);
    show(&first);
    if !same {
        let position = first.events.iter().zip(&second.events).position(|(one, other)| one != other);
        let line = position.unwrap_or(first.events.len().min(second.events.len()));
        let event = |outcome: &Outcome| outcome.events.get(line).cloned().unwrap_or_default();
        println!("FAILED: the second run was different from line {line} on:");
        println!("{}\n{}", event(&first), event(&second));
    }
    Ok(same && first.violation.is_none())
}

fn all(args: &Args) -> Result<bool, SetupError> {
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
            if outcome.violation.is_some() {
                total.failed.push(outcome);
                stop.store(!args.keep_going, Ordering::Relaxed);
            }
        }
        Ok::<_, SetupError>(total)
    };
    let ended = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join()).collect::<Vec<_>>()
    });
    let mut total = Total::default();
    for part in ended {
        // A worker that panicked has printed the reason.
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
    for line in &outcome.events {
        println!("{line}");
    }
    match &outcome.violation {
        Some(Violation { invariant, details }) => {
            println!("seed {} violates {invariant:?}: {details}", outcome.seed);
            println!("replay: hack/simulate --seed {}", outcome.seed);
        }
        None => println!("every invariant held"),
    }
}
