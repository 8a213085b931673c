//! RPCs that do nothing, per second, over the real socket; the node has one core for itself, the caller another.

use std::path::Path;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use proto::csi::v1 as pb;
use proto::csi::v1::identity_client::IdentityClient;
use proto::csi::v1::node_client::NodeClient;
use sanity_tests::rig::{Error, io, rpc};
use serve::uds;
use tonic::transport::Channel;

use crate::figures::{Goals, Series};
use crate::start;
use crate::system::{cores, run};

/// How long each load lasts.
const LOAD: Duration = Duration::from_millis(1500);

/// A load before each one that counts.
const WARM_UP: Duration = Duration::from_millis(200);

/// RPCs per second on one core.
const GOAL: f64 = 2000.0;

/// Connections, and RPCs that run at once on each.
const SHAPES: [(usize, usize); 3] = [(1, 1), (1, 16), (16, 1)];

#[derive(Debug, Clone, Copy)]
pub(crate) enum Call {
    Probe,
    Capabilities,
}

impl Call {
    fn name(self) -> &'static str {
        match self {
            Self::Probe => "Identity.Probe",
            Self::Capabilities => "NodeGetCapabilities",
        }
    }

    pub(crate) async fn once(self, channel: &Channel) -> Result<(), Error> {
        let channel = channel.clone();
        match self {
            Self::Probe => IdentityClient::new(channel).probe(pb::ProbeRequest {}).await.map(drop),
            Self::Capabilities => {
                let request = pb::NodeGetCapabilitiesRequest {};
                NodeClient::new(channel).node_get_capabilities(request).await.map(drop)
            }
        }
        .map_err(rpc(self.name()))
    }
}

/// One caller, one RPC after the other; the microseconds of each.
async fn caller(call: Call, channel: &Channel, until: Instant) -> Result<Series, Error> {
    let mut series = Series::default();
    loop {
        let started = Instant::now();
        if started >= until {
            return Ok(series);
        }
        call.once(channel).await?;
        series.push(started.elapsed().as_secs_f64() * 1e6);
    }
}

async fn load(call: Call, channels: &[Channel], each: usize, time: Duration) -> Result<Series, Error> {
    let until = Instant::now() + time;
    let callers = channels.iter().flat_map(|c| std::iter::repeat_n(c, each));
    let all = try_join_all(callers.map(|channel| caller(call, channel, until))).await?;
    Ok(all.into_iter().fold(Series::default(), |mut sum, series| {
        sum.extend(series);
        sum
    }))
}

/// Time that the process has been running on a core, all threads together.
fn on_core(pid: u32) -> Result<Duration, Error> {
    let tasks = format!("/proc/{pid}/task");
    let mut sum = 0;
    for task in std::fs::read_dir(&tasks).map_err(io(tasks.clone()))?.flatten() {
        // A thread that ended meanwhile has nothing to add.
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        sum += text.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(sum))
}

/// Holds this process to some cores; its programs inherit that.
fn pin(cores: &str) -> Result<(), Error> {
    run("taskset", &["--all-tasks", "--pid", "--cpu-list", cores, &std::process::id().to_string()]).map(drop)
}

pub(crate) async fn report(program: &Path, folder: &Path, goals: &mut Goals) -> Result<(), Error> {
    let all = cores()?;
    let numbers = || all.split([',', '-']);
    let (first, last) = (numbers().next().unwrap_or("0"), numbers().next_back().unwrap_or("0"));
    println!(
        "\n2. RPCs that do nothing, over the unix socket; node pinned to core {first}, caller to core {last}"
    );
    println!(
        "   {:<20} {:>5} {:>8}  {:>8} {:>9} {:>9}  {:>12}",
        "", "conns", "at once", "RPC/s", "p50 µs", "p99 µs", "node µs/RPC"
    );
    let (mut process, _) = start::node(&["taskset", "--cpu-list", first], program, folder).await?;
    pin(last)?;
    let socket = folder.join("csi.sock");
    for call in [Call::Probe, Call::Capabilities] {
        for (connections, each) in SHAPES {
            let channels = try_join_all((0..connections).map(|_| uds::connect(&socket))).await?;
            load(call, &channels, each, WARM_UP).await?;
            let (started, before) = (Instant::now(), on_core(process.id())?);
            let series = load(call, &channels, each, LOAD).await?;
            let (took, busy) = (started.elapsed(), on_core(process.id())?.saturating_sub(before));
            let count = series.len() as f64;
            let rate = count / took.as_secs_f64();
            let what = format!("{}, {connections} × {each}", call.name());
            println!(
                "   {:<20} {connections:>5} {:>8}  {rate:>8.0} {:>9.0} {:>9.0}  {:>12.1}   {}",
                call.name(),
                connections * each,
                series.median(),
                series.quantile(0.99),
                busy.as_secs_f64() * 1e6 / count,
                goals.note(&what, &format!("≥ {GOAL:.0}/s"), rate >= GOAL),
            );
        }
    }
    pin(&all)?;
    Ok(process.kill()?)
}
