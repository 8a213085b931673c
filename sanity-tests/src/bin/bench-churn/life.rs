//! The lives of all volumes: four phases, each with as many callers at once as the sidecars have workers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use eck_csi::volume::Region;
use ecx::Profile;
use ecx::api::Op;
use ecx_sim::config::{InstanceConfig, Latency, RegionConfig};
use ecx_sim::{Config, Local, Rate};
use futures::stream::{self, StreamExt as _};
use sanity_tests::direct::Direct;
use sanity_tests::sidecar::{Claim, is_retryable};
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status};

use crate::memory::Memory;
use crate::{Failure, PER_MACHINE};

/// `--worker-threads` and `--timeout` of the sidecars in `deploy/charts/eck-csi`.
pub(crate) const WORKERS: usize = 100;
const DEADLINE: Duration = Duration::from_secs(300);

/// The sidecars' first pause before they ask again.
const PAUSE: Duration = Duration::from_secs(1);

/// Calls for one wish, after which it will never be fulfilled.
const CALLS: u32 = 20;

/// What the cloud allows one account (ecx/API.md B.8).
pub(crate) const RATE: Rate = Rate { per_second: 10.0, burst: 20.0 };

pub(crate) struct Plan {
    pub(crate) volumes: usize,
    pub(crate) regions: usize,
    pub(crate) latency: Option<u64>,
    pub(crate) workers: usize,
}

/// A phase of all lives.
#[derive(Serialize, Deserialize)]
pub(crate) struct Phase {
    pub(crate) name: String,
    pub(crate) seconds: f64,
    pub(crate) calls: BTreeMap<Op, u64>,
}

/// What the lives cost.
#[derive(Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) volumes: usize,
    pub(crate) machines: usize,
    pub(crate) regions: usize,
    pub(crate) phases: Vec<Phase>,
    /// Requests that the cloud refused for the rate.
    pub(crate) throttled: u64,
    /// Calls of the controller that had to be made again.
    pub(crate) again: u64,
    /// Real time.
    pub(crate) wall: f64,
    /// MiB of this process: at the start, with cloud, controller and callers at their peak.
    pub(crate) start: f64,
    pub(crate) peak: f64,
}

fn machines(plan: &Plan) -> usize {
    plan.volumes.div_ceil(PER_MACHINE).max(plan.regions)
}

fn codes(plan: &Plan) -> Vec<String> {
    (0..plan.regions).map(|number| format!("zj-shaoxing-{number}")).collect()
}

fn cloud(plan: &Plan) -> Result<Local, Failure> {
    let each = machines(plan).div_ceil(plan.regions);
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
    let regions = codes(plan).into_iter().enumerate().map(|(number, code)| (code, region(number)));
    let latency = plan.latency.map_or_else(Latency::default, |ms| Latency {
        create: ms,
        attach: ms,
        detach: ms,
        delete: ms,
        ..Latency::default()
    });
    let config = Config { regions: regions.collect(), rate: Some(RATE), latency, ..Config::default() };
    Ok(Local::new(config)?)
}

/// A volume and its machine, which the scheduler has chosen (`WaitForFirstConsumer`).
#[derive(Clone)]
struct Volume {
    claim: Claim,
    node: String,
    id: String,
}

fn volumes(plan: &Plan) -> Vec<Volume> {
    let codes = codes(plan);
    let each = machines(plan).div_ceil(plan.regions);
    let volume = |number: usize| {
        let machine = number % machines(plan);
        let (region, index) = (machine % plan.regions, machine / plan.regions % each);
        let here = vec![codes[region].clone()];
        let (requisite, preferred) = (here.clone(), here);
        let claim =
            Claim { name: format!("pvc-{number}"), gib: 20, requisite, preferred, ..Claim::default() };
        let node = format!("{}.10.{region}.{}.{}", codes[region], index / 200, index % 200 + 1);
        Volume { claim, node, id: String::new() }
    };
    (0..plan.volumes).map(volume).collect()
}

pub(crate) fn run(plan: &Plan) -> Result<Figures, Failure> {
    let (start, began) = (Memory::now()?, std::time::Instant::now());
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let mut figures = runtime.block_on(live(plan))?;
    figures.wall = began.elapsed().as_secs_f64();
    (figures.start, figures.peak) = (start.resident, Memory::now()?.peak);
    Ok(figures)
}

async fn live(plan: &Plan) -> Result<Figures, Failure> {
    let cloud = cloud(plan)?;
    cloud.begin();
    let regions = codes(plan).iter().map(|code| Region::parse("region", code)).collect::<Result<_, _>>()?;
    let profile = Profile { base_url: "http://ecx-sim".to_owned(), ..Profile::default() };
    let controller = Direct::new(&cloud, profile, 1, regions);
    let again = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let (mut all, mut phases) = (volumes(plan), Vec::new());
    for name in ["create", "attach", "detach", "delete"] {
        let (began, before) = (Instant::now(), cloud.calls());
        let work = |volume: Volume| {
            let (controller, again) = (controller.clone(), Arc::clone(&again));
            async move { persist(&controller, name, volume, &again).await }
        };
        let ended: Vec<_> = stream::iter(all).map(work).buffer_unordered(plan.workers).collect().await;
        all = ended.into_iter().collect::<Result<_, _>>().map_err(|status: Status| status.to_string())?;
        let mut calls = cloud.calls();
        calls.iter_mut().for_each(|(op, n)| *n -= before.get(op).copied().unwrap_or(0));
        phases.push(Phase { name: name.to_owned(), seconds: began.elapsed().as_secs_f64(), calls });
    }
    if cloud.look(|world| !world.disks.is_empty() || world.bought != plan.volumes as u64) {
        return Err("not every volume was one disk, and gone in the end".into());
    }
    Ok(Figures {
        volumes: plan.volumes,
        machines: machines(plan),
        regions: plan.regions,
        phases,
        throttled: controller.throttled(),
        again: again.load(std::sync::atomic::Ordering::Relaxed),
        wall: 0.0,
        start: 0.0,
        peak: 0.0,
    })
}

/// Asks until it is done, as a sidecar does.
async fn persist(
    controller: &Direct,
    phase: &str,
    mut volume: Volume,
    again: &std::sync::atomic::AtomicU64,
) -> Result<Volume, Status> {
    let mut pause = PAUSE;
    for turn in 0..CALLS {
        let (id, node) = (volume.id.clone(), volume.node.clone());
        let call = async {
            match phase {
                "create" => controller.create(&volume.claim, turn).await.map(|made| made.id),
                "attach" => controller.publish(id.clone(), node).await.map(|()| id),
                "detach" => controller.unpublish(id.clone(), node).await.map(|()| id),
                _ => controller.delete(id.clone()).await.map(|()| id),
            }
        };
        let late = |_| Status::new(Code::DeadlineExceeded, "the caller gave up");
        match timeout(DEADLINE, call).await.map_err(late).and_then(|told| told) {
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
    Err(Status::deadline_exceeded(format!("{} {phase}: asked {CALLS} times", volume.claim.name)))
}
