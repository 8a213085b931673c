//! Whole lives of volumes while faults come at random, and while the controller dies at random; a seed names each case.

use std::time::Duration;

use ecx_sim::config::Latency;
use ecx_sim::{Config, Sim};
use futures::StreamExt as _;
use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sanity_tests::in_process::InProcess;
use sanity_tests::sidecar::{Claim, Reply, Request, RetryPolicy, Sidecar};

use crate::killed::{Shipped, program};
use crate::scene::{GIB, GROWN, REGIONS, profile};
use crate::verdict::{quiet, until};

/// Seeds of faults alone, and of faults with deaths, which cost a process each.
const SEEDS: u64 = 48;
const DEADLY_SEEDS: u64 = 12;

/// Share of the cloud's requests that are hit.
const RATE: f64 = 0.15;

/// Volumes of one case, at once, on two machines of a region.
const VOLUMES: usize = 4;

/// Deaths in one case.
const DEATHS: usize = 5;

/// Cases that run side by side: they mostly wait.
const AT_ONCE: usize = 12;

fn cloud(seed: u64) -> Sim {
    let ms = 10;
    let latency =
        Latency { reply: 0, create: ms, attach: ms, detach: ms, delete: ms, resize: ms, snapshot: ms };
    let (fault_seed, fault_rate) = (Some(seed), RATE);
    Sim::start(Config { latency, fault_seed, fault_rate, ..Config::default() }).unwrap()
}

/// A volume's life; each step has to succeed in the end.
async fn life(sidecar: &Sidecar, index: usize, seed: u64) -> Result<(), String> {
    // An odd seed's callers give up early at first.
    let first = Duration::from_millis(if seed % 2 == 1 { 15 } else { 30_000 });
    let policy = RetryPolicy { first_deadline: first, max_calls: 400, ..RetryPolicy::default() };
    let regions = REGIONS.map(str::to_owned).to_vec();
    let (requisite, preferred) = (regions.clone(), regions);
    let claim = Claim { name: format!("pvc-{index}"), gib: GIB, requisite, preferred, ..Claim::default() };
    let step = async |request: Request| {
        let reply = sidecar.call(&request, &policy, |_| ()).await;
        reply.map_err(|status| format!("{request:?} ended with {status:?}"))
    };
    let Reply::Created { volume, region, .. } = step(Request::Create(claim)).await? else {
        return Err("CreateVolume did not return a volume".to_owned());
    };
    let machine = &Config::default().regions[&region].instances[index % 2];
    let node = if seed.is_multiple_of(3) {
        format!("{region}.{}", machine.ip)
    } else {
        format!("{region}/{}", machine.id)
    };
    step(Request::Publish { volume: volume.clone(), node: node.clone() }).await?;
    let grown = step(Request::Expand { volume: volume.clone(), gib: GROWN }).await?;
    if grown != (Reply::Expanded { bytes: i64::try_from(GROWN << 30).unwrap() }) {
        return Err(format!("{grown:?}"));
    }
    step(Request::Unpublish { volume: volume.clone(), node }).await?;
    step(Request::Delete { volume }).await.map(drop)
}

async fn lives(sidecar: &Sidecar, seed: u64) -> Result<(), String> {
    let ended = join_all((0..VOLUMES).map(|index| life(sidecar, index, seed))).await;
    ended.into_iter().collect()
}

/// Each volume was bought once, attached once, and nothing is left.
async fn judge(sim: &Sim) -> Result<(), String> {
    quiet(sim).await?;
    let fresh = Sim::start(Config::default()).unwrap();
    let stock =
        |sim: &Sim| sim.look(|world| world.regions.values().map(|r| r.stock.clone()).collect::<Vec<_>>());
    if stock(sim) != stock(&fresh) {
        return Err(format!("stock is missing: {:?}", stock(sim)));
    }
    sim.look(|world| match (world.disks.len(), usize::try_from(world.bought).unwrap()) {
        (0, VOLUMES) => Ok(()),
        (left, bought) => Err(format!("{bought} disks bought, {left} left: {:?}", world.disks)),
    })
}

#[tokio::test]
async fn faults_at_random_over_whole_lives() {
    let run = |seed: u64| async move {
        let sim = cloud(seed);
        let controller = InProcess::start(profile(&sim), sim.credentials(), REGIONS).await.unwrap();
        let ended = lives(&Sidecar::new(controller.channel()), seed).await;
        let ended = match ended {
            Ok(()) => judge(&sim).await,
            other => other,
        };
        (format!("seed {seed}"), ended)
    };
    let ended = futures::stream::iter(0..SEEDS).map(run).buffer_unordered(AT_ONCE).collect().await;
    crate::report("random faults by seed", ended);
}

/// Kills the controller when the cloud has heard so many more requests of it, again and again.
async fn deaths(sim: &Sim, shipped: &mut Shipped, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..DEATHS {
        let at = sim.log().len() + random.random_range(1..12);
        let _ = until(Duration::from_secs(2), || sim.log().len() >= at).await;
        shipped.kill();
        // A client of the socket connects to the next one by itself.
        let _ = shipped.start().await;
    }
}

#[tokio::test]
async fn faults_and_sigkill_at_random_over_whole_lives() {
    let program = program();
    let run = |seed: u64| {
        let program = program.clone();
        async move {
            let sim = cloud(seed);
            let mut shipped = Shipped::new(&program, &sim);
            let sidecar = shipped.start().await;
            let (ended, ()) = futures::join!(lives(&sidecar, seed), deaths(&sim, &mut shipped, seed));
            let ended = match ended {
                Ok(()) => judge(&sim).await,
                other => other,
            };
            (format!("seed {seed}"), ended)
        }
    };
    let ended = futures::stream::iter(0..DEADLY_SEEDS).map(run).buffer_unordered(AT_ONCE).collect().await;
    crate::report("random faults and SIGKILL by seed", ended);
}
