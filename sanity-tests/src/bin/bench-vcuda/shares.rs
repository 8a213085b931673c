//! What share of the card containers get.

use std::io;

use crate::machine::{Got, Job, Machine};
use crate::report::Report;

const MS: u64 = 1_000_000;

/// Lengths of the kernels in ns.
const LENGTHS: [u64; 6] = [MS / 100, MS / 10, MS, 10 * MS, 100 * MS, 500 * MS];

/// Goal: mean error of the shares, in percentage points of the card.
const GOAL_POINTS: f64 = 3.0;

/// Goal: time of the work with shares over its time without limits.
const GOAL_TIME: f64 = 1.05;

/// The errors of a table.
#[derive(Default)]
struct Errors(Vec<f64>);

impl Errors {
    fn add(&mut self, job: Job, got: Got) {
        self.0.push((got.share - f64::from(job.percent)).abs());
    }

    fn close(&self, report: &mut Report, table: &str) -> io::Result<()> {
        let worst = self.0.iter().copied().fold(0.0, f64::max);
        let mean = self.0.iter().sum::<f64>() / self.0.len() as f64;
        report.goal(&format!("{table}: mean absolute error in points"), mean, GOAL_POINTS, 2)?;
        report.say(&format!("worst of {}: {worst:.2} points\n", self.0.len()))
    }
}

/// Every table; each measurement takes at least so many seconds, and no kernel is longer than `longest_ms`.
pub(crate) fn all(machine: &Machine, report: &mut Report, seconds: f64, longest_ms: u64) -> io::Result<()> {
    let lengths: Vec<u64> = LENGTHS.into_iter().filter(|length| *length <= longest_ms * MS).collect();
    alone(machine, report, seconds, &lengths)?;
    ways(machine, report, seconds)?;
    together(machine, report, seconds, &lengths)?;
    mixed(machine, report, seconds)?;
    conserving(machine, report, seconds)?;
    fixed_work(machine, report, seconds)
}

/// How long to measure so that a share is made of enough kernels.
fn long_enough(seconds: f64, percent: u32, kernel_ns: u64) -> f64 {
    // Six kernels at their share.
    seconds.max(6.0 * kernel_ns as f64 / 1e9 * 100.0 / f64::from(percent))
}

fn job(percent: u32, mode: &'static str, kernel_ns: u64) -> Job {
    Job { percent, mode, kernel_ns, kernels: None, conserving: false }
}

/// Runs containers beside each other; what each gets is told in percent of what the same program gets of the card without limits.
/// One that launches kernels of ten microseconds one by one uses half of a real card whoever holds it to what, and half of that is
/// its half.
fn shares(machine: &Machine, jobs: &[Job], seconds: f64) -> io::Result<Vec<Got>> {
    let mut got = machine.run(jobs, seconds)?;
    for (job, got) in jobs.iter().zip(&mut got) {
        got.share *= 100.0 / machine.whole(*job, long_enough(1.0, 100, job.kernel_ns))?;
    }
    Ok(got)
}

/// The head of a table with a column for each length.
fn head(report: &mut Report, first: &str, lengths: &[u64]) -> io::Result<()> {
    let columns = lengths.iter().map(|length| format!("{:9}", *length as f64 / MS as f64));
    report.say(&format!("{first:24}{}", columns.collect::<String>()))
}

fn alone(machine: &Machine, report: &mut Report, seconds: f64, lengths: &[u64]) -> io::Result<()> {
    report.say("all shares: in percent of what the same program gets of the card without limits\n")?;
    report.say("one container: share got, by length of its kernels in ms\n")?;
    head(report, "asked", lengths)?;
    let mut errors = Errors::default();
    for percent in [10, 25, 50, 75] {
        for mode in ["async", "sync"] {
            let mut row = format!("{:24}", format!("{percent} % {mode}"));
            for kernel_ns in lengths {
                let job = job(percent, mode, *kernel_ns);
                let got = shares(machine, &[job], long_enough(seconds, percent, *kernel_ns))?[0];
                errors.add(job, got);
                row += &format!("{:9.2}", got.share);
            }
            report.say(&row)?;
        }
    }
    report.say("")?;
    errors.close(report, "alone")
}

/// Other ways to launch and to wait.
fn ways(machine: &Machine, report: &mut Report, seconds: f64) -> io::Result<()> {
    report.say("one container of 30 %, by the way it launches and waits\n")?;
    let mut errors = Errors::default();
    for (what, mode, kernel_ns) in [
        ("graphs of ten kernels, 0.1 ms each", "graph", MS),
        ("graphs of ten kernels, 1 ms each", "graph", 10 * MS),
        ("the thread's own stream, 0.1 ms", "thread", MS / 10),
        ("the default stream, 1 ms", "default", MS),
        ("2,000 launches, then a wait, 0.01 ms", "burst", MS / 100),
        ("2,000 launches, then a wait, 0.1 ms", "burst", MS / 10),
        ("one big kernel, then a wait, 500 ms", "sync", 500 * MS),
        ("asks until it is done, 1 ms", "query", MS),
        ("waits for an event, 1 ms", "event", MS),
        ("a new stream for each kernel, 1 ms", "destroy", MS),
    ] {
        let job = job(30, mode, kernel_ns);
        let got = shares(machine, &[job], long_enough(seconds, 30, kernel_ns))?[0];
        errors.add(job, got);
        report
            .say(&format!("{what:40}{:6.2} %, longest wait of a launch {:6.0} ms", got.share, got.held_ms))?;
    }
    report.say("")?;
    errors.close(report, "ways to launch")
}

/// Containers beside each other, all with kernels of one length.
fn together(machine: &Machine, report: &mut Report, seconds: f64, lengths: &[u64]) -> io::Result<()> {
    report.say("several containers on one card, half of which wait for each kernel: shares, and the longest\nwait of a launch of any of them in ms\n")?;
    head(report, "asked", lengths)?;
    let cases: [&[u32]; 6] = [&[50, 50], &[25, 75], &[10, 25, 50], &[25, 25, 50], &[25; 4], &[20; 5]];
    let mut errors = Errors::default();
    for percents in cases {
        let mut rows: Vec<String> =
            percents.iter().map(|percent| format!("{percent:3} %{:19}", "")).collect();
        let mut waits = format!("{:24}", "  longest wait");
        for kernel_ns in lengths {
            let modes = ["async", "sync"].into_iter().cycle();
            let jobs: Vec<Job> =
                percents.iter().zip(modes).map(|(percent, mode)| job(*percent, mode, *kernel_ns)).collect();
            let smallest = percents.iter().copied().min().unwrap_or(100);
            let got = shares(machine, &jobs, long_enough(seconds, smallest, *kernel_ns))?;
            for ((job, got), row) in jobs.iter().zip(&got).zip(&mut rows) {
                errors.add(*job, *got);
                *row += &format!("{:9.2}", got.share);
            }
            waits += &format!("{:9.0}", longest(&got));
        }
        rows.iter().chain([&waits]).try_for_each(|row| report.say(row))?;
        report.say("")?;
    }
    errors.close(report, "together")
}

fn longest(got: &[Got]) -> f64 {
    got.iter().map(|got| got.held_ms).fold(0.0, f64::max)
}

/// Containers beside each other that have nothing in common.
fn mixed(machine: &Machine, report: &mut Report, seconds: f64) -> io::Result<()> {
    report.say("several containers, each with kernels of its own\n")?;
    let cases: [&[Job]; 4] = [
        &[job(50, "sync", MS / 100), job(50, "async", 10 * MS)],
        &[job(10, "async", MS), job(25, "sync", 10 * MS), job(50, "graph", MS)],
        &[
            job(20, "burst", MS / 100),
            job(20, "async", MS / 10),
            job(20, "sync", MS),
            job(20, "graph", 10 * MS),
            job(20, "async", 100 * MS),
        ],
        // The longest that anybody may hold a card, beside the shortest.
        &[job(50, "sync", MS / 10), job(50, "sync", 500 * MS)],
    ];
    let mut errors = Errors::default();
    for jobs in cases {
        let time = jobs.iter().map(|job| long_enough(2.0 * seconds, job.percent, job.kernel_ns));
        let got = shares(machine, jobs, time.fold(0.0, f64::max))?;
        for (job, got) in jobs.iter().zip(&got) {
            errors.add(*job, *got);
            let (percent, kernel) = (job.percent, job.kernel_ns as f64 / MS as f64);
            let (mode, share, wait) = (job.mode, got.share, got.held_ms);
            report.say(&format!(
                "{percent:4} % {mode:5} {kernel:6} ms: {share:6.2} %, longest wait of a launch {wait:6.0} ms"
            ))?;
        }
        report.say(&format!("  Jain index of got over asked: {:.4}\n", jain(jobs, &got)))?;
    }
    errors.close(report, "mixed")
}

/// 1 if all got the same part of what they asked for; Jain, Chiu, Hawe 1984.
fn jain(jobs: &[Job], got: &[Got]) -> f64 {
    let parts = jobs.iter().zip(got).map(|(job, got)| got.share / f64::from(job.percent));
    let (sum, squares) = parts.fold((0.0, 0.0), |(sum, squares), part| (sum + part, squares + part * part));
    sum * sum / (jobs.len() as f64 * squares)
}

/// Containers that may use what nobody else wants.
fn conserving(machine: &Machine, report: &mut Report, seconds: f64) -> io::Result<()> {
    report.say(
        "work-conserving, all want all they can get: each should have its share, and all of them the card\n",
    )?;
    let mut short = 0.0_f64;
    let mut unused = 0.0_f64;
    for percents in [&[10][..], &[20, 60], &[10, 25, 50], &[10; 5]] {
        for kernel_ns in [MS / 10, 10 * MS] {
            let wants = |percent: &u32| Job { conserving: true, ..job(*percent, "async", kernel_ns) };
            let jobs: Vec<Job> = percents.iter().map(wants).collect();
            let got = machine.run(&jobs, 2.0 * seconds)?;
            let mut row = format!("{:6} ms: ", kernel_ns as f64 / MS as f64);
            for (job, got) in jobs.iter().zip(&got) {
                short = short.max(f64::from(job.percent) - got.share);
                row += &format!("{} % has {:.1}, ", job.percent, got.share);
            }
            let sum: f64 = got.iter().map(|got| got.share).sum();
            unused = unused.max(100.0 - sum);
            report.say(&format!("{row}all {sum:.1}; longest wait of a launch {:.0} ms", longest(&got)))?;
        }
    }
    report.say("")?;
    report.goal("work-conserving: points below its share, the worst", short, GOAL_POINTS, 2)?;
    report.say(&format!("points of the card that nobody had, the worst: {unused:.1}\n"))
}

/// The card's time for the same work, with shares that leave nothing over and without limits.
fn fixed_work(machine: &Machine, report: &mut Report, seconds: f64) -> io::Result<()> {
    report.say("fixed work, shares that sum to 100: time over the same work without limits\n")?;
    let mut worst = 0.0_f64;
    for containers in [2, 4, 5] {
        for (mode, kernel_ns) in
            [("async", MS / 10), ("async", MS), ("sync", MS), ("sync", 10 * MS), ("graph", 10 * MS)]
        {
            let all = seconds * 1e9 / kernel_ns as f64;
            let kernels = Some((all / f64::from(containers)) as u64);
            let job = |percent| Job { kernels, ..job(percent, mode, kernel_ns) };
            let count = containers as usize;
            let free = took(&machine.run(&vec![job(0); count], 60.0)?);
            let got = machine.run(&vec![job(100 / containers); count], 60.0)?;
            let held = took(&got);
            worst = worst.max(held / free);
            report.say(&format!(
                "{containers} containers {mode:5} {:4} ms: {held:6.0} ms / {free:6.0} ms = {:.3}",
                kernel_ns as f64 / MS as f64,
                held / free
            ))?;
        }
    }
    report.say("")?;
    report.goal("fixed work: time over that without limits, the worst", worst, GOAL_TIME, 3)?;
    report.say("")
}

/// From the first one's begin to the last one's end.
fn took(got: &[Got]) -> f64 {
    let begin = got.iter().map(|got| got.begin_ms).fold(f64::MAX, f64::min);
    got.iter().map(|got| got.end_ms).fold(0.0, f64::max) - begin
}
