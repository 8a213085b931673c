//! `bench-calls`: what a volume's life costs in calls of the cloud's API.
//!
//! The controller runs in this process behind its real socket, with the profile it is shipped with (10 requests a second,
//! 20 at once, looks at 1 s and then slower); the cloud is the simulator with its default latencies. Counted is what the
//! simulator has logged. All lives run side by side, each with a controller and a cloud of its own.

// The numbers are what this program is for.
#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ecx::Profile;
use ecx::api::Op;
use ecx_sim::LogEntry;
use ecx_sim::config::{InstanceConfig, RegionConfig};
use ecx_sim::{Config, Sim};
use futures::future::{join, join_all, try_join_all};
use sanity_tests::in_process::InProcess;
use sanity_tests::rig::{self, Error};
use sanity_tests::sidecar::{Claim, Reply, Request, RetryPolicy, Sidecar};

const REGIONS: [&str; 3] = ["zj-shaoxing-2", "fj-xiamen-4", "hi-haikou-6"];

/// "At once", as the issue of this bench has it.
const MANY: usize = 50;

/// A kind of life.
#[derive(Clone, Copy)]
struct Life {
    volumes: usize,
    /// Instances in each region; the volumes are spread over them.
    instances: usize,
    /// The StorageClass names one region, as in the guide; else the provisioner prefers a random one.
    class: bool,
    /// Node ids are addresses, `<region>.<ip>`; else instances, `<region>/<instance>`.
    address: bool,
    /// The profile says that a region's list is whole and fresh, as the simulator's is; else each disk is asked by itself before it
    /// counts as gone or free.
    proof: bool,
}

/// Calls of one volume's life alone, and of each of fifty at once, that must not be passed: by volumes of the guide's ordinary class,
/// which names its region, on machines of their own, where lists are proof.
const GOALS: (f64, f64) = (12.0, 4.4);

/// The four phases of a life that reach the cloud.
const PHASES: [&str; 4] = ["create", "attach", "detach", "delete"];

/// What a life has cost.
struct Cost {
    life: Life,
    phases: Vec<BTreeMap<Op, usize>>,
    seconds: Vec<f64>,
}

fn write(op: Op) -> bool {
    matches!(op, Op::CreateDisk | Op::AttachDisk | Op::DetachDisk | Op::DeleteDisk)
}

fn count(log: &[LogEntry]) -> BTreeMap<Op, usize> {
    let mut calls = BTreeMap::new();
    for entry in log {
        *calls.entry(entry.op).or_default() += 1;
    }
    calls
}

fn machine(region: usize, index: usize) -> (String, String) {
    (format!("evm-{region}-{index}"), format!("10.{region}.0.{}", index + 1))
}

fn cloud(instances: usize) -> Result<Sim, Error> {
    let machines = |region: usize| {
        let one = |index| {
            let (id, ip) = machine(region, index);
            InstanceConfig { id, ip, max_disks: 100 }
        };
        (0..instances).map(one).collect::<Vec<_>>()
    };
    let mut config = Config::default();
    for (region, code) in REGIONS.into_iter().enumerate() {
        let RegionConfig { stock, quota_gib, .. } = config.regions[code].clone();
        config
            .regions
            .insert(code.to_owned(), RegionConfig { stock, quota_gib, instances: machines(region) });
    }
    Ok(Sim::start(config)?)
}

async fn controller(sim: &Sim, lists_are_proof: bool) -> Result<InProcess, Error> {
    // A life of a minute in a moment: no read is from before the attach, as in a pod's life that is longer than reads lag.
    let profile = Profile { base_url: sim.url(), lists_are_proof, reads_lag_ms: 0, ..Profile::default() };
    Ok(InProcess::start(profile, sim.credentials(), REGIONS).await?)
}

impl Life {
    fn claim(&self, index: usize) -> Claim {
        let regions = REGIONS.map(str::to_owned).to_vec();
        let mut preferred = regions.clone();
        preferred.rotate_left(index % regions.len());
        let class = HashMap::from([("region".to_owned(), REGIONS[0].to_owned())]);
        Claim {
            name: format!("pvc-{index}"),
            gib: 20,
            parameters: if self.class { class } else { HashMap::new() },
            requisite: regions,
            preferred,
        }
    }

    fn node(&self, index: usize, region: &str) -> String {
        let number = REGIONS.iter().position(|code| *code == region).unwrap_or_default();
        let (id, ip) = machine(number, index % self.instances);
        if self.address { format!("{region}.{ip}") } else { format!("{region}/{id}") }
    }

    async fn live(self) -> Result<Cost, Error> {
        let sim = cloud(self.instances)?;
        let controller = controller(&sim, self.proof).await?;
        let sidecar = Sidecar::new(controller.channel());
        let mut cost = Cost { life: self, phases: Vec::new(), seconds: Vec::new() };
        let creates = (0..self.volumes).map(|index| Request::Create(self.claim(index))).collect();
        let mut volumes = Vec::new();
        for reply in cost.phase(&sim, &sidecar, creates).await? {
            let Reply::Created { volume, region, .. } = reply else {
                return Err(Error::check("CreateVolume returned no volume"));
            };
            let node = self.node(volumes.len(), &region);
            volumes.push((volume, node));
        }
        let each = |request: fn(String, String) -> Request| {
            volumes.iter().map(|(volume, node)| request(volume.clone(), node.clone())).collect::<Vec<_>>()
        };
        cost.phase(&sim, &sidecar, each(|volume, node| Request::Publish { volume, node })).await?;
        cost.phase(&sim, &sidecar, each(|volume, node| Request::Unpublish { volume, node })).await?;
        cost.phase(&sim, &sidecar, each(|volume, _| Request::Delete { volume })).await?;
        if sim.look(|world| world.disks.len()) != 0 {
            return Err(Error::check("a disk is left in the cloud"));
        }
        Ok(cost)
    }
}

impl Cost {
    /// Asks all at once, and counts.
    async fn phase(
        &mut self,
        sim: &Sim,
        sidecar: &Sidecar,
        requests: Vec<Request>,
    ) -> Result<Vec<Reply>, Error> {
        let long = Duration::from_secs(300);
        let policy = RetryPolicy {
            first_deadline: long,
            later_deadline: long,
            max_calls: 1,
            ..RetryPolicy::default()
        };
        let (before, started) = (sim.log().len(), Instant::now());
        let reply =
            try_join_all(requests.iter().map(|request| sidecar.call(request, &policy, |_| ()))).await?;
        self.seconds.push(started.elapsed().as_secs_f64());
        self.phases.push(count(&sim.log()[before..]));
        Ok(reply)
    }

    fn calls(&self, counted: impl Fn(Op) -> bool) -> usize {
        self.phases.iter().flatten().filter(|(op, _)| counted(**op)).map(|(_, n)| n).sum()
    }

    fn print(&self) {
        let Life { volumes, instances, class, address, proof } = self.life;
        let region = if class { "class's region" } else { "random region" };
        let node = if address { "<region>.<ip>" } else { "<region>/<instance>" };
        let proof = if proof { "lists" } else { "each disk" };
        let per = |calls: usize| calls as f64 / volumes as f64;
        let (writes, reads) = (self.calls(write), self.calls(|op| !write(op)));
        println!(
            "{volumes:>3} on {:<3} {region:<15} {node:<20} {proof:<9} {:>5} {writes:>6} {reads:>5}   {:>5.2} = {:.2} + {:.2}   {:>5.1} s",
            instances.min(volumes),
            writes + reads,
            per(writes + reads),
            per(writes),
            per(reads),
            self.seconds.iter().sum::<f64>()
        );
    }

    /// Calls of one volume.
    fn each(&self) -> f64 {
        self.calls(|_| true) as f64 / self.life.volumes as f64
    }

    /// Whether there is a goal for it. Where each disk is asked by itself there is none: what is proven then is worth a call.
    fn has_goal(&self) -> bool {
        self.life.proof && self.life.class && self.life.instances >= self.life.volumes
    }

    fn is_cheap(&self) -> bool {
        let goal = if self.life.volumes == 1 { GOALS.0 } else { GOALS.1 };
        !self.has_goal() || self.each() <= goal
    }

    fn print_phases(&self) {
        for ((phase, calls), seconds) in PHASES.iter().zip(&self.phases).zip(&self.seconds) {
            let calls: Vec<String> = calls.iter().map(|(op, n)| format!("{op:?} {n}")).collect();
            println!("    {phase}: {} ({seconds:.1} s)", calls.join(", "));
        }
    }
}

/// What a hundred retries of a running attach add to its calls.
async fn retries() -> Result<(usize, usize), Error> {
    let life = Life { volumes: 1, instances: 1, class: true, address: false, proof: false };
    let sim = cloud(1)?;
    let controller = controller(&sim, life.proof).await?;
    let sidecar = Sidecar::new(controller.channel());
    let long = Duration::from_secs(60);
    let Reply::Created { volume, region, .. } =
        sidecar.call_once(&Request::Create(life.claim(0)), 0, long).await?
    else {
        return Err(Error::check("CreateVolume returned no volume"));
    };
    let publish = Request::Publish { volume, node: life.node(0, &region) };
    let before = sim.log().len();
    let asked = |log: &[LogEntry]| log.iter().any(|entry| entry.op == Op::AttachDisk);
    let again = async {
        while !asked(&sim.log()[before..]) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        join_all((1..=100).map(|attempt| sidecar.call_once(&publish, attempt, long))).await
    };
    let (first, rest) = join(sidecar.call_once(&publish, 0, long), again).await;
    first?;
    let joined = rest.iter().filter(|ended| ended.is_ok()).count();
    Ok((joined, sim.log().len() - before))
}

/// Figures that other drivers publish, each with its source.
const PEERS: &str = "\
Other drivers, as published:
  aws-ebs-csi-driver#2029       5,000 pods: 22,632 mutating calls / 5,000 volumes = 4.53 each, 11-13 % throttled; reads come on top
  aws-ebs-csi-driver#1965       900 volumes modified in 60 s: 5,500 reads unbatched = 6.1 each; batched 114-231 = 0.13-0.26 each
  alibaba-cloud-csi-driver#1819 2 API writes for each attach
  hetznercloud/csi-driver#346   6 volumes used up 3,600 calls an hour
  (none has published the calls of a volume's whole life)";

async fn bench() -> Result<bool, Error> {
    let mut lives = Vec::new();
    for (volumes, instances) in [(1, 1), (MANY, MANY), (MANY, 2)] {
        for (class, address) in [(true, false), (true, true), (false, false), (false, true)] {
            for proof in [true, false] {
                lives.push(Life { volumes, instances, class, address, proof });
            }
        }
    }
    let (costs, retried) = join(try_join_all(lives.into_iter().map(Life::live)), retries()).await;
    let (costs, (joined, calls)) = (costs?, retried?);
    println!(
        "Calls of the ECX API for a volume's life: create, attach, detach, delete. Stage, publish, unpublish and unstage"
    );
    println!(
        "on the node cost none: the node program cannot reach the cloud. Writes have a floor of 4 a volume.\n"
    );
    println!(
        "volumes    StorageClass    node id              proof     calls writes reads   each  = writes + reads   time"
    );
    println!("on instances of a region");
    costs.iter().for_each(Cost::print);
    println!("\nBy phase, the guide's ordinary class and node ids with the instance:");
    for cost in costs.iter().filter(|cost| cost.life.class && !cost.life.address) {
        println!("  {} on {}", cost.life.volumes, cost.life.instances);
        cost.print_phases();
    }
    println!(
        "\n{joined} retries of one running attach: {calls} calls in all, so {} more than without\n",
        calls - 3
    );
    println!("{PEERS}");
    let most = |one: bool| {
        let of = costs.iter().filter(|cost| cost.has_goal() && (cost.life.volumes == 1) == one);
        of.map(Cost::each).fold(0.0, f64::max)
    };
    println!(
        "\nthe class's region, where lists are proof: {:.2} calls for one volume (goal {}), {:.2} for each of {MANY} (goal {})",
        most(true),
        GOALS.0,
        most(false),
        GOALS.1
    );
    Ok(costs.iter().all(Cost::is_cheap))
}

fn main() -> ExitCode {
    rig::run(bench())
}
