//! Four phases for all volumes: create, attach, detach, delete; each with as many callers at once as the sidecars have workers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use eck_csi::volume::Region;
use ecx::Profile;
use ecx::api::Op;
use ecx_sim::config::{InstanceConfig, Latency, RegionConfig};
use ecx_sim::{Config, Local, Rate, StartError};
use futures::stream::{self, StreamExt as _};
use sanity_tests::direct::Direct;
use sanity_tests::rig::Error;
use sanity_tests::sidecar::{Claim, is_retryable};
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status};

use crate::memory::Memory;

/// Volumes per machine: the goal is 5,000 volumes on 500 machines.
const VOLUMES_PER_MACHINE: usize = 10;

/// `--worker-threads` and `--timeout` of the sidecars in `deploy/charts/eck-csi`.
pub(crate) const WORKERS: usize = 100;
const DEADLINE: Duration = Duration::from_secs(300);

/// The sidecars' first pause before they retry.
const PAUSE: Duration = Duration::from_secs(1);

/// Calls of one request at most.
const MAX_CALLS: u32 = 20;

/// What the cloud allows one account (ecx/API.md B.8).
pub(crate) const RATE: Rate = Rate { per_second: 10.0, burst: 20.0 };

pub(crate) struct Workload {
    pub(crate) volumes: usize,
    pub(crate) regions: usize,
    pub(crate) latency: Option<u64>,
    pub(crate) workers: usize,
    /// The profile says so.
    pub(crate) lists_are_proof: bool,
    /// The cloud throttles nobody.
    pub(crate) unlimited: bool,
}

/// A phase of all lives.
#[derive(Serialize, Deserialize)]
pub(crate) struct Phase {
    pub(crate) name: String,
    pub(crate) seconds: f64,
    pub(crate) calls: BTreeMap<Op, u64>,
}

/// What all volumes cost.
#[derive(Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) volumes: usize,
    pub(crate) machines: usize,
    pub(crate) regions: usize,
    pub(crate) unlimited: bool,
    pub(crate) phases: Vec<Phase>,
    /// Requests that the cloud refused for the rate.
    pub(crate) throttled: u64,
    /// Calls of the controller that had to be made again.
    pub(crate) again: u64,
    /// Real time in seconds.
    pub(crate) wall: f64,
    /// MiB of this process: at the start, and at the peak with cloud, controller and callers.
    pub(crate) start: f64,
    pub(crate) peak: f64,
}

fn machines(workload: &Workload) -> usize {
    workload.volumes.div_ceil(VOLUMES_PER_MACHINE).max(workload.regions)
}

fn codes(workload: &Workload) -> Vec<String> {
    (0..workload.regions).map(|number| format!("zj-shaoxing-{number}")).collect()
}

fn cloud(workload: &Workload) -> Result<Local, StartError> {
    let each = machines(workload).div_ceil(workload.regions);
    let machine = |region: usize, index: usize| InstanceConfig {
        id: format!("evm-{region}-{index}"),
        ip: format!("10.{region}.{}.{}", index / 200, index % 200 + 1),
        max_disks: 100,
    };
    let region = |number: usize| RegionConfig {
        stock: BTreeMap::from([("SAS".to_owned(), 1_000_000)]),
        quota_gib: 1_000_000,
        instances: (0..each).map(|index| machine(number, index)).collect(),
    };
    let regions = codes(workload).into_iter().enumerate().map(|(number, code)| (code, region(number)));
    let latency = workload.latency.map_or_else(Latency::default, |ms| Latency {
        create: ms,
        attach: ms,
        detach: ms,
        delete: ms,
        ..Latency::default()
    });
    let rate = (!workload.unlimited).then_some(RATE);
    let config = Config { regions: regions.collect(), rate, latency, ..Config::default() };
    Local::new(config)
}

/// A volume and its machine, which the scheduler has chosen (`WaitForFirstConsumer`).
#[derive(Clone)]
struct Volume {
    claim: Claim,
    node: String,
    id: String,
}

fn volumes(workload: &Workload) -> Vec<Volume> {
    let codes = codes(workload);
    let each = machines(workload).div_ceil(workload.regions);
    let volume = |number: usize| {
        let machine = number % machines(workload);
        let (region, index) = (machine % workload.regions, machine / workload.regions % each);
        let regions = vec![codes[region].clone()];
        let (requisite, preferred) = (regions.clone(), regions);
        let claim =
            Claim { name: format!("pvc-{number}"), gib: 20, requisite, preferred, ..Claim::default() };
        let node = format!("{}.10.{region}.{}.{}", codes[region], index / 200, index % 200 + 1);
        Volume { claim, node, id: String::new() }
    };
    (0..workload.volumes).map(volume).collect()
}

pub(crate) fn run(workload: &Workload) -> Result<Figures, Error> {
    let (start, began) = (Memory::now()?, std::time::Instant::now());
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let mut figures = runtime.block_on(live(workload))?;
    figures.wall = began.elapsed().as_secs_f64();
    (figures.start, figures.peak) = (start.resident, Memory::now()?.peak);
    Ok(figures)
}

async fn live(workload: &Workload) -> Result<Figures, Error> {
    let cloud = cloud(workload)?;
    cloud.begin();
    let regions = codes(workload).iter().map(|code| Region::parse("region", code)).collect::<Result<_, _>>();
    let regions = regions.map_err(Error::check)?;
    let lists_are_proof = workload.lists_are_proof;
    let profile = Profile { base_url: "http://ecx-sim".to_owned(), lists_are_proof, ..Profile::default() };
    let controller = Direct::new(&cloud, profile, 1, regions);
    let again = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let (mut all, mut phases) = (volumes(workload), Vec::new());
    for name in ["create", "attach", "detach", "delete"] {
        let (began, before) = (Instant::now(), cloud.calls());
        let work = |volume: Volume| {
            let (controller, again) = (controller.clone(), Arc::clone(&again));
            async move { call_with_retries(&controller, name, volume, &again).await }
        };
        let ended: Vec<_> = stream::iter(all).map(work).buffer_unordered(workload.workers).collect().await;
        all = ended.into_iter().collect::<Result<_, _>>()?;
        let mut calls = cloud.calls();
        calls.iter_mut().for_each(|(op, n)| *n -= before.get(op).copied().unwrap_or(0));
        phases.push(Phase { name: name.to_owned(), seconds: began.elapsed().as_secs_f64(), calls });
    }
    if cloud.look(|world| !world.disks.is_empty() || world.bought != workload.volumes as u64) {
        return Err(Error::check("not every volume had exactly one disk, which was deleted"));
    }
    Ok(Figures {
        volumes: workload.volumes,
        machines: machines(workload),
        regions: workload.regions,
        unlimited: workload.unlimited,
        phases,
        throttled: controller.throttled(),
        again: again.load(std::sync::atomic::Ordering::Relaxed),
        wall: 0.0,
        start: 0.0,
        peak: 0.0,
    })
}

/// Retries until the call succeeds, as a sidecar does.
async fn call_with_retries(
    controller: &Direct,
    phase: &str,
    mut volume: Volume,
    again: &std::sync::atomic::AtomicU64,
) -> Result<Volume, Status> {
    let mut pause = PAUSE;
    for attempt in 0..MAX_CALLS {
        let (id, node) = (volume.id.clone(), volume.node.clone());
        let call = async {
            match phase {
                "create" => controller.create(&volume.claim, attempt).await.map(|made| made.id),
                "attach" => controller.publish(id.clone(), node).await.map(|()| id),
                "detach" => controller.unpublish(id.clone(), node).await.map(|()| id),
                _ => controller.delete(id.clone()).await.map(|()| id),
            }
        };
        let late = |_| Status::new(Code::DeadlineExceeded, "the caller gave up");
        match timeout(DEADLINE, call).await.map_err(late).and_then(|result| result) {
            Ok(id) => {
                volume.id = id;
                return Ok(volume);
            }
            Err(status) if !is_retryable(status.code()) => return Err(status),
            Err(_) => {
                again.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                sleep(pause).await;
                pause *= 2;
            }
        }
    }
    Err(Status::deadline_exceeded(format!("{} {phase}: called {MAX_CALLS} times", volume.claim.name)))
}
