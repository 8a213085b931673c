//! `bench-regions`: what regions that hang or fail cost the others. Of 21 regions one is well; volumes are made, attached, detached and
//! deleted there, one life each few seconds, while claims of the other regions are asked for and get no answer, or a failure. In virtual
//! time: the same run gives the same figures on every machine. The last line is the worst ratio of the slowest calls to those of a run
//! in which nothing hangs and nobody asks for anything else.

// The numbers are what this program is for.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use eck_csi::volume::Region;
use ecx::Profile;
use ecx_sim::config::{InstanceConfig, RegionConfig};
use ecx_sim::{Config, Effect, Fault, Local};
use sanity_tests::direct::Direct;
use sanity_tests::sidecar::Claim;
use tokio::time::{Instant, sleep, timeout};
use tonic::Status;

/// The slowest call in a hundred may take so many times what it takes alone.
const GOAL: f64 = 1.1;

/// All regions; the first is well.
const REGIONS: usize = 21;

/// How many of them do not work.
const BROKEN: [usize; 3] = [1, 8, 20];

/// Lives in the region that is well.
const LIVES: usize = 200;

/// From the beginning of one life to that of the next.
const APART: Duration = Duration::from_secs(5);

/// `--timeout` of the chart's sidecars, and the longest pause between two tries of a claim that cannot be had.
const CALL: Duration = Duration::from_secs(300);
const RETRY: Duration = Duration::from_secs(60);

/// Longer than any client waits.
const HANG: Effect = Effect::Delay { ms: 3_600_000 };

const FAIL: Effect = Effect::Http { status: 503 };

/// Times of the calls by their names.
type Times = BTreeMap<&'static str, Vec<Duration>>;

fn code(number: usize) -> String {
    format!("region-{number}")
}

fn cloud() -> Result<Local, ecx_sim::StartError> {
    let region = |number| {
        let instances = vec![InstanceConfig {
            id: format!("evm-{number}"),
            ip: format!("10.0.{number}.1"),
            max_disks: 100,
        }];
        let stock = BTreeMap::from([("SAS".to_owned(), 1_000_000)]);
        (code(number), RegionConfig { stock, quota_gib: 1_000_000, instances })
    };
    let cloud = Local::new(Config { regions: (1..=REGIONS).map(region).collect(), ..Config::default() })?;
    cloud.begin();
    Ok(cloud)
}

/// The last `broken` regions do this with every request.
fn break_regions(cloud: &Local, broken: usize, effect: &Effect) {
    for number in REGIONS - broken + 1..=REGIONS {
        // The code stands in quotes or at the end of a query, and begins no other one.
        for text in [format!("\"{}\"", code(number)), format!("regionID={}", code(number))] {
            cloud.fault(Fault { op: None, contains: Some(text), skip: 0, count: 0, effect: effect.clone() });
        }
    }
}

/// A claim whose pod is on a node of the region.
fn claim(name: String, region: usize) -> Claim {
    let only = vec![code(region)];
    Claim { name, gib: 20, requisite: only.clone(), preferred: only, ..Claim::default() }
}

/// One volume's life in the region that is well; how long each call took.
async fn life(controller: Direct, number: usize) -> Result<[(&'static str, Duration); 4], Status> {
    let node = format!("{}.10.0.1.1", code(1));
    let began = Instant::now();
    let volume = controller.create(&claim(format!("pvc-{number}"), 1), 0).await?.id;
    let created = began.elapsed();
    controller.publish(volume.clone(), node.clone()).await?;
    let published = began.elapsed();
    controller.unpublish(volume.clone(), node).await?;
    let unpublished = began.elapsed();
    controller.delete(volume).await?;
    let deleted = began.elapsed();
    Ok([
        ("create", created),
        ("attach", published - created),
        ("detach", unpublished - published),
        ("delete", deleted - unpublished),
    ])
}

/// A claim of a region that does not work, asked for as the provisioner does.
async fn asked_for_ever(controller: Direct, region: usize) {
    let claim = claim(format!("pvc-of-{region}"), region);
    loop {
        let _given_up = timeout(CALL, controller.create(&claim, 0)).await;
        sleep(RETRY).await;
    }
}

/// The times of all lives while so many regions do not work.
async fn lives(broken: usize, effect: &Effect) -> Result<Times, Box<dyn std::error::Error>> {
    let cloud = cloud()?;
    break_regions(&cloud, broken, effect);
    let profile = Profile { base_url: "http://ecx-sim".to_owned(), ..Profile::default() };
    let regions: Result<Vec<Region>, _> =
        (1..=REGIONS).map(|number| Region::parse("region", &code(number))).collect();
    let controller = Direct::new(&cloud, profile, 1, regions?);
    let others: Vec<_> = (REGIONS - broken + 1..=REGIONS)
        .map(|region| tokio::spawn(asked_for_ever(controller.clone(), region)))
        .collect();
    let mut running = Vec::new();
    for number in 0..LIVES {
        running.push(tokio::spawn(life(controller.clone(), number)));
        sleep(APART).await;
    }
    let mut times = Times::new();
    for life in running {
        for (call, took) in life.await?? {
            times.entry(call).or_default().push(took);
        }
    }
    others.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(times)
}

/// The time that one call in a hundred is not within.
fn p99(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_mul(99) / 100).copied().unwrap_or_default()
}

/// A run in a runtime of its own, whose clock stands while anything can be done.
fn run(broken: usize, effect: &Effect) -> Result<Times, Box<dyn std::error::Error>> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build()?.block_on(lives(broken, effect))
}

fn measure() -> Result<f64, Box<dyn std::error::Error>> {
    let alone = run(0, &HANG)?;
    let shown = |times: &Times| {
        let each = times.iter().map(|(call, times)| format!("{call} {:.2} s", p99(times).as_secs_f64()));
        each.collect::<Vec<_>>().join(", ")
    };
    println!("p99 of {LIVES} lives, alone: {}", shown(&alone));
    let mut worst: f64 = 0.0;
    for (word, effect) in [("hang", HANG), ("fail", FAIL)] {
        for broken in BROKEN {
            let times = run(broken, &effect)?;
            println!("{broken} of {REGIONS} regions {word}: {}", shown(&times));
            for (call, times) in &times {
                let before = alone.get(call).map(|times| p99(times)).unwrap_or_default();
                worst = worst.max(p99(times).as_secs_f64() / before.as_secs_f64());
            }
        }
    }
    Ok(worst)
}

fn main() -> ExitCode {
    match measure() {
        Ok(worst) => {
            println!("worst p99 beside regions that hang or fail: {worst:.2} x alone (goal: {GOAL} x)");
            if worst <= GOAL { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            println!("nothing was measured: {error}");
            ExitCode::FAILURE
        }
    }
}
