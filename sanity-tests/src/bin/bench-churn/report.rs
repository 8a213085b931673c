//! The figures beside what was to be reached.

use ecx::api::Op;

use crate::life::{Figures, RATE};

/// Writes without which no volume lives: order, attach, detach, refund.
const WRITES: usize = 4;

/// Goal: time over that which the rate limit allows for the writes.
const TIMES: f64 = 1.2;

/// Goal: refused requests of a hundred that the cloud takes, while the controller learns the rate and afterwards.
const REFUSED: f64 = 5.0;

/// Goal: against a cloud that throttles nobody, the time beside that against one which enforces the rate that the controller begins with.
const FASTER: f64 = 0.8;

/// Growth that is linear: cost and time of a volume at the largest number, beside those at a tenth of it. What is once
/// for all, the burst and the last waits, weighs less the more volumes there are.
const LINEAR: f64 = 1.1;

impl Figures {
    fn calls(&self, counted: impl Fn(Op) -> bool) -> u64 {
        let each = self.phases.iter().flat_map(|phase| &phase.calls);
        each.filter(|(op, _)| counted(**op)).map(|(_, n)| n).sum()
    }

    fn seconds(&self) -> f64 {
        self.phases.iter().map(|phase| phase.seconds).sum()
    }

    /// The time that the rate alone takes for the writes.
    fn limit(&self) -> f64 {
        ((self.volumes * WRITES) as f64 - RATE.burst).max(0.0) / RATE.per_second
    }

    fn per(&self, calls: u64) -> f64 {
        calls as f64 / self.volumes as f64
    }
}

fn write(op: Op) -> bool {
    matches!(op, Op::CreateDisk | Op::AttachDisk | Op::DetachDisk | Op::DeleteDisk)
}

/// Prints all; true if every goal is met.
pub(crate) fn print(all: &[Figures]) -> bool {
    println!(
        "volumes machines regions    time   limit  times   calls = writes + reads   429s  again   peak MiB (start)  real time"
    );
    for figures in all {
        let (writes, reads) = (figures.calls(write), figures.calls(|op| !write(op)));
        println!(
            "{:>7} {:>8} {:>7} {:>6.0}s {:>6.0}s {:>6.2}   {:>5.2} = {:>6.2} + {:>5.2} {:>6} {:>6}   {:>8.1} ({:>5.1}) {:>9.1}s{}",
            figures.volumes,
            figures.machines,
            figures.regions,
            figures.seconds(),
            figures.limit(),
            figures.seconds() / figures.limit(),
            figures.per(writes + reads),
            figures.per(writes),
            figures.per(reads),
            figures.throttled,
            figures.again,
            figures.peak,
            figures.start,
            figures.wall,
            if figures.unlimited { "  a cloud that throttles nobody" } else { "" },
        );
    }
    for figures in all {
        println!("{} volumes in {} regions:", figures.volumes, figures.regions);
        for phase in &figures.phases {
            let calls = phase.calls.iter().filter(|(_, n)| **n > 0).map(|(op, n)| format!("{op:?} {n}"));
            println!("    {}: {} ({:.0} s)", phase.name, calls.collect::<Vec<_>>().join(", "), phase.seconds);
        }
    }
    let goals = goals(all);
    for (goal, met) in &goals {
        println!("{} {goal}", if *met { "met:   " } else { "MISSED:" });
    }
    goals.iter().all(|(_, met)| *met)
}

fn goals(all: &[Figures]) -> Vec<(String, bool)> {
    let mut goals = Vec::new();
    let (unlimited, all): (Vec<_>, Vec<_>) = all.iter().partition(|f| f.unlimited);
    for free in unlimited {
        let Some(held) = all.iter().find(|f| f.volumes == free.volumes && f.regions == free.regions) else {
            continue;
        };
        let share = free.seconds() / held.seconds();
        let what = format!(
            "{} volumes without a limit: {share:.2} x the time within the limit, at most {FASTER}",
            free.volumes
        );
        goals.push((what, share <= FASTER));
    }
    let largest = all.iter().map(|f| f.volumes).max().unwrap_or(0);
    for most in all.iter().filter(|f| f.volumes == largest) {
        let refused = 100.0 * most.throttled as f64 / most.calls(|_| true) as f64;
        let what = format!(
            "{largest} volumes in {} regions: {refused:.1} requests of a hundred refused, at most {REFUSED}",
            most.regions
        );
        goals.push((what, refused <= REFUSED));
        let times = most.seconds() / most.limit();
        let what = format!(
            "{} volumes in {} regions: {times:.2} x the limit of the rate, at most {TIMES}",
            largest, most.regions
        );
        goals.push((what, times <= TIMES));
        let fewer = all.iter().filter(|f| f.regions == most.regions && f.volumes < largest);
        let Some(before) = fewer.max_by_key(|f| f.volumes) else { continue };
        let grown = |of: fn(&Figures) -> f64| of(most) / of(before);
        let (calls, time) = (grown(|f| f.per(f.calls(|_| true))), grown(|f| f.seconds() / f.volumes as f64));
        let what = format!(
            "from {} to {largest} volumes in {} regions: {calls:.2} x the calls and {time:.2} x the time of a volume, at most {LINEAR}",
            before.volumes, most.regions
        );
        goals.push((what, calls <= LINEAR && time <= LINEAR));
    }
    goals
}
