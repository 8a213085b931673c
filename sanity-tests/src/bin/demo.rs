//! `hack/demo`: one volume's whole life on real block devices, a line per step with its time and what it proved.
//!
//! Proofs come from elsewhere than the driver: the kernel's files, `blkid`, `sha256sum`, the simulator's own state.

// Its output is what it is for.
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use eck_csi::driver::GIB;
use sanity_tests::kubelet::{Volume, VolumeUse};
use sanity_tests::rig::{self, Error, ensure, io, rpc};
use sanity_tests::sidecar::{Claim, Reply, Request, RetryPolicy};
use sanity_tests::stack::{Stack, StackConfig};
use tonic::Code;

/// MiB that are written into the volume.
const PAYLOAD: u32 = 64;

/// `CAP_SYS_RESOURCE` (include/uapi/linux/capability.h): the kernel wants it of who grows a mounted ext file system.
const CAP_SYS_RESOURCE: u32 = 24;

/// The default file system where it can be grown while mounted; some sandboxes' root lacks the capability.
fn file_system() -> &'static str {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    if bits >> CAP_SYS_RESOURCE & 1 == 1 { "ext4" } else { "xfs" }
}

/// Prints a line for each step.
struct Steps {
    number: usize,
}

impl Steps {
    fn done(&mut self, started: Instant, what: &str, proof: &str) {
        self.number += 1;
        println!("{:>2}  {:>7.0} ms  {what:<34} {proof}", self.number, started.elapsed().as_secs_f64() * 1e3);
    }
}

fn sh(program: &str, args: &[&str]) -> Result<String, Error> {
    let output = Command::new(program).args(args).output();
    let output = output.map_err(io(program))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(Error::Check(format!("{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

fn checksum(file: &Path) -> Result<String, Error> {
    Ok(sh("sha256sum", &[&file.to_string_lossy()])?.split(' ').next().unwrap_or_default().to_owned())
}

/// What the steps share.
struct Life {
    stack: Stack,
    folder: PathBuf,
    steps: Steps,
    volume: Volume,
    fs: &'static str,
    serial: String,
    uuid: String,
    checksum: String,
}

impl Life {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join("kubelet").join(name)
    }

    fn device(&self, node: usize) -> Result<String, Error> {
        let shown = self.stack.nodes[node].device(&self.serial);
        shown.ok_or_else(|| Error::Check(format!("the machine shows no disk with serial {}", self.serial)))
    }

    async fn run(&mut self) -> Result<(), Error> {
        self.create().await?;
        self.attach(0).await?;
        self.stage(0).await?;
        let first = self.publish(0, "pod-1").await?;
        self.write(&first)?;
        let second = self.publish(0, "pod-2").await?;
        self.read(&second, "the second pod of this node")?;
        self.grow(0, &first).await?;
        self.refusals(1).await?;
        self.leave(0, &[&first, &second]).await?;
        self.attach(1).await?;
        self.stage(1).await?;
        let third = self.publish(1, "pod-3").await?;
        self.read(&third, "a pod of the other node")?;
        self.leave(1, &[&third]).await?;
        self.delete().await?;
        self.stop().await
    }

    async fn create(&mut self) -> Result<(), Error> {
        let claim =
            Claim { name: "pvc-0f3f1d9e-0acf-4a0e-a5d4-8fb1f43e62e5".into(), gib: 20, ..Claim::default() };
        let started = Instant::now();
        let made = self.stack.sidecar().create(&claim, 0).await.map_err(rpc("CreateVolume"))?;
        self.volume =
            Volume { id: made.volume_id.clone(), context: made.volume_context, ..Volume::default() };
        made.volume_id.trim_start_matches("cd-").clone_into(&mut self.serial);
        let proof = format!("disk {} of {} GiB", made.volume_id, made.capacity_bytes as u64 / GIB);
        self.steps.done(started, "create: ordered from the cloud", &proof);
        let started = Instant::now();
        let again = self.stack.sidecar().create(&claim, 0).await.map_err(rpc("CreateVolume"))?;
        ensure(again.volume_id == self.volume.id, format!("a retry made {}", again.volume_id))?;
        self.steps.done(started, "create again: the same request", "the same disk");
        Ok(())
    }

    async fn attach(&mut self, node: usize) -> Result<(), Error> {
        let started = Instant::now();
        let (volume, node_id) = (self.volume.id.clone(), self.stack.nodes[node].id.clone());
        let request = Request::Publish { volume, node: node_id.clone() };
        let reply = self.stack.sidecar().call(&request, &RetryPolicy::default(), |_| ()).await;
        let Reply::Published(context) = reply.map_err(rpc("ControllerPublishVolume"))? else {
            return Err(Error::Check("no publish context".to_owned()));
        };
        self.volume.publish_context = context;
        let device = self.device(node)?;
        let proof = format!("serial {} is {device} on {node_id}", self.serial);
        self.steps.done(started, &format!("attach to node {}", node + 1), &proof);
        Ok(())
    }

    async fn stage(&mut self, node: usize) -> Result<(), Error> {
        let (started, staging) = (Instant::now(), self.path("globalmount"));
        let kubelet = self.stack.nodes[node].kubelet.clone();
        let staged = kubelet.stage(&self.volume, &staging, &VolumeUse::mount(self.fs)).await;
        staged.map_err(rpc("NodeStageVolume"))?;
        let device = self.device(node)?;
        let uuid = sh("blkid", &["-p", "-s", "UUID", "-o", "value", &device])?;
        let what = if self.uuid.is_empty() {
            "stage: blank, so formatted, mounted"
        } else {
            ensure(uuid == self.uuid, format!("the file system is another one, {uuid}"))?;
            "stage: its file system mounted"
        };
        self.steps.done(started, what, &format!("{} {uuid}", self.fs));
        self.uuid = uuid;
        Ok(())
    }

    async fn publish(&mut self, node: usize, pod: &str) -> Result<PathBuf, Error> {
        let (started, target) = (Instant::now(), self.path(pod));
        let kubelet = self.stack.nodes[node].kubelet.clone();
        let staging = self.path("globalmount");
        let published = kubelet.publish(&self.volume, &staging, &target, &VolumeUse::mount(self.fs)).await;
        published.map_err(rpc("NodePublishVolume"))?;
        let source = sh("findmnt", &["-n", "-o", "SOURCE,FSTYPE,OPTIONS", &target.to_string_lossy()])?;
        self.steps.done(started, &format!("publish to {pod}"), &source);
        Ok(target)
    }

    fn write(&mut self, pod: &Path) -> Result<(), Error> {
        let (started, file) = (Instant::now(), pod.join("database"));
        let text = file.to_string_lossy();
        sh(
            "dd",
            &["if=/dev/urandom", &format!("of={text}"), "bs=1M", &format!("count={PAYLOAD}"), "conv=fsync"],
        )?;
        self.checksum = checksum(&file)?;
        self.steps.done(started, &format!("write {PAYLOAD}MiB"), &format!("sha256 {}", &self.checksum[..16]));
        Ok(())
    }

    fn read(&mut self, pod: &Path, who: &str) -> Result<(), Error> {
        let started = Instant::now();
        let checksum = checksum(&pod.join("database"))?;
        ensure(checksum == self.checksum, format!("the data is another, sha256 {checksum}"))?;
        self.steps.done(
            started,
            &format!("read in {who}"),
            &format!("sha256 {}: unchanged", &checksum[..16]),
        );
        Ok(())
    }

    async fn grow(&mut self, node: usize, pod: &Path) -> Result<(), Error> {
        let started = Instant::now();
        let request = Request::Expand { volume: self.volume.id.clone(), gib: 30 };
        let reply = self.stack.sidecar().call(&request, &RetryPolicy::default(), |_| ()).await;
        let Reply::Expanded { bytes } = reply.map_err(rpc("ControllerExpandVolume"))? else {
            return Err(Error::Check("no size".to_owned()));
        };
        let grown = self.stack.nodes[node].kubelet.expand(&self.volume, pod, bytes).await;
        grown.map_err(rpc("NodeExpandVolume"))?;
        let size = sh("df", &["--output=size", "-h", &pod.to_string_lossy()])?;
        let size = size.lines().last().unwrap_or_default().trim().to_owned();
        self.steps.done(started, "grow to 30 GiB, mounted", &format!("df shows {size}"));
        Ok(())
    }

    /// Requests that must be refused while the volume is in use on the first node.
    async fn refusals(&mut self, other: usize) -> Result<(), Error> {
        let started = Instant::now();
        let (volume, node) = (self.volume.id.clone(), self.stack.nodes[other].id.clone());
        let policy = RetryPolicy { max_calls: 1, ..RetryPolicy::default() };
        let request = Request::Publish { volume: volume.clone(), node };
        let refused = self.stack.sidecar().call(&request, &policy, |_| ()).await;
        let refused = refused.err().filter(|s| s.code() == Code::FailedPrecondition);
        ensure(refused.is_some(), "the disk was attached twice".to_owned())?;
        let deleted = self.stack.sidecar().call(&Request::Delete { volume }, &policy, |_| ()).await;
        let deleted = deleted.err().filter(|s| s.code() == Code::FailedPrecondition);
        ensure(deleted.is_some(), "an attached disk was deleted".to_owned())?;
        self.steps.done(started, "attach elsewhere, delete: refused", "FAILED_PRECONDITION, twice");
        Ok(())
    }

    async fn leave(&mut self, node: usize, pods: &[&Path]) -> Result<(), Error> {
        let (started, staging) = (Instant::now(), self.path("globalmount"));
        let kubelet = self.stack.nodes[node].kubelet.clone();
        for pod in pods {
            kubelet.unpublish(&self.volume, pod).await.map_err(rpc("NodeUnpublishVolume"))?;
        }
        kubelet.unstage(&self.volume, &staging).await.map_err(rpc("NodeUnstageVolume"))?;
        let text = self.folder.to_string_lossy().into_owned();
        let mounts = std::fs::read_to_string("/proc/self/mounts").map_err(io("/proc/self/mounts"))?;
        ensure(!mounts.contains(&text), "something is still mounted".to_owned())?;
        self.steps.done(started, "unpublish, unstage", "no mount is left, nobody holds the disk");
        let started = Instant::now();
        let (volume, id) = (self.volume.id.clone(), self.stack.nodes[node].id.clone());
        let request = Request::Unpublish { volume, node: id };
        let reply = self.stack.sidecar().call(&request, &RetryPolicy::default(), |_| ()).await;
        reply.map_err(rpc("ControllerUnpublishVolume"))?;
        let gone = self.stack.nodes[node].device(&self.serial).is_none();
        ensure(gone, "the machine still shows the disk".to_owned())?;
        self.steps.done(
            started,
            &format!("detach from node {}", node + 1),
            "the machine shows no such serial",
        );
        Ok(())
    }

    async fn delete(&mut self) -> Result<(), Error> {
        let started = Instant::now();
        let request = Request::Delete { volume: self.volume.id.clone() };
        let reply = self.stack.sidecar().call(&request, &RetryPolicy::default(), |_| ()).await;
        reply.map_err(rpc("DeleteVolume"))?;
        let disks = std::fs::read_dir(self.folder.join("cloud/disks")).map_err(io("the cloud's disks"))?;
        let left = disks.count();
        ensure(left == 0, format!("{left} disks are left in the cloud"))?;
        self.steps.done(started, "delete", "no disk is left in the cloud");
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), Error> {
        let started = Instant::now();
        self.stack.stop().await?;
        self.steps.done(started, "stop on SIGTERM", "every program ended by itself");
        Ok(())
    }
}

/// The steps depend on each other, so the first one that fails ends the demo.
async fn live(folder: PathBuf) -> Result<(), Error> {
    let started = Instant::now();
    let stack = Stack::start(&StackConfig::one_region(2), &folder).await?;
    let mut steps = Steps { number: 0 };
    let names: Vec<&str> = stack.nodes.iter().map(|n| n.id.as_str()).collect();
    steps.done(started, "start cloud, controller, two nodes", &names.join(", "));
    std::fs::create_dir_all(folder.join("kubelet")).map_err(io("the kubelet's folder"))?;
    let fs = file_system();
    if fs != "ext4" {
        println!(
            "    (root here lacks CAP_SYS_RESOURCE, without which no mounted ext4 grows: {fs} is shown)"
        );
    }
    let (volume, empty) = (Volume::default(), String::new);
    let mut life =
        Life { stack, folder, steps, volume, fs, serial: empty(), uuid: empty(), checksum: empty() };
    let result = life.run().await;
    result.map_err(|error| Error::Step(life.steps.number + 1, Box::new(error)))
}

fn main() -> ExitCode {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let Some(folder) = folder else {
        println!("usage: demo FOLDER; see hack/demo");
        return ExitCode::from(2);
    };
    rig::run(async { live(folder).await.map(|()| true) })
}
