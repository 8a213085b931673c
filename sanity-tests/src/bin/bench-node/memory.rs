//! Memory of the node and of the controller: idle, after RPCs that do nothing, and with as many volumes as a node holds.

use std::path::{Path, PathBuf};

use eck_csi::driver::MAX_DISKS_PER_NODE;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use sanity_tests::kubelet::{Kubelet, Volume, VolumeUse};
use sanity_tests::rig::{Error, io, rpc};
use sanity_tests::sidecar::{Claim, Reply, Request, RetryPolicy};
use sanity_tests::stack::{Stack, StackConfig};
use serve::uds;

use crate::calls::Call;
use crate::figures::Goals;

/// RPCs that do nothing.
const NO_OPS: usize = 1000;

/// Volumes that are worked on at once.
const AT_ONCE: usize = 8;

/// The cloud here answers at once: its waits are not what is measured.
const CLOUD: &str = "[latency]\nreply = 0\ncreate = 0\nattach = 0\ndetach = 0\ndelete = 0\n";

/// How the controller calls such a cloud: without pauses.
const PROFILE: &str = "rate_per_second = 10000.0\nburst = 1000.0\nreads_lag_ms = 0\n[poll]\nfirst_ms = 2\nfactor = 1.0\nmax_ms = 2\n";

/// What the kernel says of a process, in MiB.
struct Memory {
    resident: f64,
    proportional: f64,
    peak: f64,
    threads: u64,
}

impl Memory {
    fn read(pid: u32) -> Result<Self, Error> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            std::fs::read_to_string(&path).map_err(io(path))
        };
        let (status, rollup) = (read("status")?, read("smaps_rollup")?);
        let number = |text: &str, key: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        let mib = |kib: u64| kib as f64 / 1024.0;
        Ok(Self {
            resident: mib(number(&status, "VmRSS")),
            proportional: mib(number(&rollup, "Pss")),
            peak: mib(number(&status, "VmHWM")),
            threads: number(&status, "Threads"),
        })
    }
}

/// Prints how the two programs stand now; the goals in MiB, none where nothing was promised.
fn print_memory(
    when: &str,
    stack: &Stack,
    wanted: (Option<f64>, f64),
    goals: &mut Goals,
) -> Result<(), Error> {
    let (node, controller) = (&stack.nodes[0].process, &stack.controller);
    let rows = [("node", node.id(), wanted.0), ("controller", controller.id(), Some(wanted.1))];
    for (name, pid, goal) in rows {
        let memory = Memory::read(pid)?;
        let what = format!("memory of the {name}, {when}");
        let verdict = goal.map(|goal| goals.note(&what, &format!("< {goal} MiB"), memory.resident < goal));
        println!(
            "   {when:<34} {name:<10} {:>7.1} {:>7.1} {:>7.1} {:>7}   {}",
            memory.resident,
            memory.proportional,
            memory.peak,
            memory.threads,
            verdict.unwrap_or_default(),
        );
    }
    Ok(())
}

/// A volume on its way, and where it is mounted.
struct Place {
    volume: Volume,
    staging: PathBuf,
    target: PathBuf,
}

/// Creates, attaches, stages and publishes one volume.
async fn bring(stack: &Stack, folder: &Path, number: u32) -> Result<Place, Error> {
    let claim = Claim { name: format!("pvc-bench-{number}"), gib: 20, ..Claim::default() };
    let made = stack.sidecar().create(&claim, 0).await.map_err(rpc("CreateVolume"))?;
    let node = &stack.nodes[0];
    let request = Request::Publish { volume: made.volume_id.clone(), node: node.id.clone() };
    let reply = stack.sidecar().call(&request, &RetryPolicy::default(), |_| ()).await;
    let Reply::Published(publish_context) = reply.map_err(rpc("ControllerPublishVolume"))? else {
        return Err(Error::Check("no publish context".to_owned()));
    };
    let volume =
        Volume { id: made.volume_id, context: made.volume_context, publish_context, ..Volume::default() };
    let home = folder.join("kubelet").join(number.to_string());
    std::fs::create_dir_all(&home).map_err(io("kubelet folder"))?;
    let place = Place { volume, staging: home.join("globalmount"), target: home.join("mount") };
    let (volume, wanted) = (&place.volume, VolumeUse::mount("ext4"));
    let kubelet = &node.kubelet;
    kubelet.stage(volume, &place.staging, &wanted).await.map_err(rpc("NodeStageVolume"))?;
    let published = kubelet.publish(volume, &place.staging, &place.target, &wanted).await;
    published.map_err(rpc("NodePublishVolume"))?;
    kubelet.stats(volume, &place.target).await.map_err(rpc("NodeGetVolumeStats"))?;
    Ok(place)
}

async fn leave(kubelet: &Kubelet, place: Place) -> Result<(), Error> {
    kubelet.unpublish(&place.volume, &place.target).await.map_err(rpc("NodeUnpublishVolume"))?;
    kubelet.unstage(&place.volume, &place.staging).await.map_err(rpc("NodeUnstageVolume"))
}

/// The same Probes to both programs, as the liveness probe does.
async fn no_ops(folder: &Path) -> Result<(), Error> {
    let sockets = std::fs::read_dir(folder).map_err(io("folder"))?.flatten().map(|entry| entry.path());
    for socket in sockets.filter(|path| path.extension().is_some_and(|e| e == "sock")) {
        let channel = uds::connect(&socket).await?;
        for _ in 0..NO_OPS {
            Call::Probe.once(&channel).await?;
        }
    }
    Ok(())
}

fn stack_config(folder: &Path) -> Result<StackConfig, Error> {
    std::fs::create_dir_all(folder).map_err(io("folder"))?;
    let (cloud, profile) = (folder.join("cloud.toml"), folder.join("profile.toml"));
    std::fs::write(&cloud, CLOUD).map_err(io("cloud.toml"))?;
    std::fs::write(&profile, PROFILE).map_err(io("profile.toml"))?;
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let mut config = StackConfig::one_region(1);
    config.simulator_flags = vec!["--config".to_owned(), text(cloud)];
    config.controller_flags = vec!["--ecx-profile".to_owned(), text(profile)];
    Ok(config)
}

pub(crate) async fn report(folder: &Path, goals: &mut Goals) -> Result<(), Error> {
    let mut stack = Stack::start(&stack_config(folder)?, folder).await?;
    println!("\n3. Memory in MiB: resident (VmRSS), its share (Pss), the most ever (VmHWM); threads");
    println!("   {:<34} {:<10} {:>7} {:>7} {:>7} {:>7}", "", "", "VmRSS", "Pss", "VmHWM", "threads");
    print_memory("idle after the start", &stack, (Some(12.0), 25.0), goals)?;
    no_ops(folder).await?;
    print_memory("after 1,000 Probes", &stack, (Some(12.0), 25.0), goals)?;
    let bring = |number| bring(&stack, folder, number);
    let places = stream::iter(0..MAX_DISKS_PER_NODE).map(bring).buffer_unordered(AT_ONCE);
    let places: Vec<Place> = places.try_collect().await?;
    print_memory(&format!("{} volumes mounted and asked", places.len()), &stack, (Some(20.0), 25.0), goals)?;
    let kubelet = &stack.nodes[0].kubelet;
    stream::iter(places.into_iter().map(Ok)).try_for_each_concurrent(AT_ONCE, |p| leave(kubelet, p)).await?;
    print_memory("all unmounted again", &stack, (None, 25.0), goals)?;
    Ok(stack.stop().await?)
}
