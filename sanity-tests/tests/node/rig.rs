//! A cloud without latencies, a controller, and one or two nodes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

use ecx_sim::plane::sysfs;
use parking_lot::Mutex;
use sanity_tests::kubelet::{Kubelet, Volume};
use sanity_tests::sidecar::{Claim, Reply, Request, RetryPolicy};
use sanity_tests::stack::{Stack, StackConfig};
use tonic::{Code, Status};

/// Fast: the product's own pace is for real clouds.
const PROFILE: &str = "rate_per_second = 1000.0\nburst = 1000.0\nreads_lag_ms = 0\n[poll]\nfirst_ms = 10\nfactor = 1.5\nmax_ms = 50\ngive_up_ms = 20000\n";

/// The simulator's own regions, without its latencies.
const CLOUD: &str =
    "[latency]\nreply = 0\ncreate = 1\nattach = 1\ndetach = 1\ndelete = 1\nresize = 1\nsnapshot = 1\n";

pub(crate) struct Rig {
    pub(crate) stack: Stack,
    folder: tempfile::TempDir,
    /// The devices of unplugged disks, by serial.
    unplugged: Mutex<HashMap<String, String>>,
}

/// Runs a program that must succeed; returns its output.
pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).output().unwrap();
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// Asserts that an RPC has failed with this code and a message that contains `text`; returns the message.
#[track_caller]
pub(crate) fn assert_refused<T: std::fmt::Debug>(
    result: Result<T, Status>,
    code: Code,
    text: &str,
) -> String {
    let status = result.unwrap_err();
    assert_eq!(status.code(), code, "{}", status.message());
    assert!(status.message().contains(text), "{:?} lacks {text:?}", status.message());
    status.message().to_owned()
}

impl Rig {
    pub(crate) async fn start(machines: usize) -> Self {
        let folder = tempfile::Builder::new().prefix("eck-node-test.").tempdir().unwrap();
        let (profile, cloud) = (folder.path().join("profile.toml"), folder.path().join("cloud.toml"));
        std::fs::write(&profile, PROFILE).unwrap();
        std::fs::write(&cloud, CLOUD).unwrap();
        let mut config = StackConfig::one_region(machines);
        config.simulator_flags = vec!["--config".into(), cloud.to_str().unwrap().into()];
        config.controller_flags = vec!["--ecx-profile".into(), profile.to_str().unwrap().into()];
        let stack = Stack::start(&config, folder.path()).await.unwrap();
        std::fs::create_dir(folder.path().canonicalize().unwrap().join("kubelet")).unwrap();
        Self { stack, folder, unplugged: Mutex::default() }
    }

    pub(crate) fn kubelet(&self, node: usize) -> Kubelet {
        self.stack.nodes[node].kubelet.clone()
    }

    /// A path in the kubelet's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("kubelet").join(name)
    }

    /// The folder in which the node keeps its state.
    pub(crate) fn state_folder(&self, node: usize) -> PathBuf {
        let (_region, instance) = self.stack.nodes[node].id.split_once('/').unwrap();
        self.folder.path().canonicalize().unwrap().join(instance)
    }

    pub(crate) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// Calls the controller with retries.
    pub(crate) async fn call(&self, request: Request) -> Result<Reply, Status> {
        self.stack.sidecar().call(&request, &RetryPolicy::default(), |_| ()).await
    }

    /// A new volume of 20 GiB, attached to the node.
    pub(crate) async fn volume(&self, name: &str, node: usize) -> Volume {
        let claim = Claim { name: name.to_owned(), gib: 20, ..Claim::default() };
        let created = self.stack.sidecar().create(&claim, 0).await.unwrap();
        let mut volume =
            Volume { id: created.volume_id, context: created.volume_context, ..Volume::default() };
        self.attach(&mut volume, node).await;
        volume
    }

    pub(crate) async fn attach(&self, volume: &mut Volume, node: usize) {
        let request = Request::Publish { volume: volume.id.clone(), node: self.stack.nodes[node].id.clone() };
        let Reply::Published(context) = self.call(request).await.unwrap() else { panic!("not published") };
        volume.publish_context = context;
    }

    pub(crate) async fn detach(&self, volume: &Volume, node: usize) {
        let (volume, node) = (volume.id.clone(), self.stack.nodes[node].id.clone());
        self.call(Request::Unpublish { volume, node }).await.unwrap();
    }

    /// Expands the volume's disk in the cloud.
    pub(crate) async fn expand(&self, volume: &Volume, gib: u64) -> Reply {
        self.call(Request::Expand { volume: volume.id.clone(), gib }).await.unwrap()
    }

    /// The loop device of the volume on the node.
    pub(crate) fn device(&self, volume: &Volume, node: usize) -> String {
        let serial = volume.id.trim_start_matches("cd-");
        self.stack.nodes[node].device(serial).expect("the disk is attached")
    }

    /// The file under the volume's loop device.
    pub(crate) fn backing_file(&self, volume: &Volume, node: usize) -> PathBuf {
        let name = self.device(volume, node).trim_start_matches("/dev/").to_owned();
        std::fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")).unwrap().trim().into()
    }

    /// Removes the volume's disk from the node's sysfs, as when it is unplugged.
    pub(crate) fn unplug_disk(&self, volume: &Volume, node: usize) {
        let (name, serial) = (self.device(volume, node), volume.id.trim_start_matches("cd-"));
        let name = name.trim_start_matches("/dev/");
        sysfs::unplug(&self.stack.nodes[node].root, name).unwrap();
        self.unplugged.lock().insert(serial.to_owned(), name.to_owned());
    }

    /// Adds it again.
    pub(crate) fn replug_disk(&self, volume: &Volume, node: usize) {
        let serial = volume.id.trim_start_matches("cd-");
        let name = self.unplugged.lock().remove(serial).expect("the disk was unplugged");
        sysfs::plug(&self.stack.nodes[node].root, &name, serial).unwrap();
    }

    /// Asserts that no mount is left, stops all programs, and asserts that no loop device is left.
    pub(crate) async fn finish(mut self) {
        let folder = self.folder.path().canonicalize().unwrap();
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        assert!(!mounts.contains(folder.to_str().unwrap()), "something is still mounted");
        self.stack.stop().await.unwrap();
        let loops = run("losetup", &["--list", "--noheadings", "--output", "BACK-FILE"]);
        assert!(!loops.contains(folder.to_str().unwrap()), "{loops}");
    }
}

impl Drop for Rig {
    /// Removes the mounts and devices of a test that failed; after [`Rig::finish`] there are none.
    fn drop(&mut self) {
        let Ok(folder) = self.folder.path().canonicalize() else { return };
        let script = "awk -v d=\"$1/\" 'index($2, d) == 1 {print $2}' /proc/self/mounts | sort -r | xargs -r -n1 umount; \
            losetup -l -n -O NAME,BACK-FILE | awk -v d=\"$1/\" 'index($2, d) == 1 {print $1}' | xargs -r -n1 losetup -d";
        let _ = Command::new("sh").args(["-c", script, "sh"]).arg(folder).status();
    }
}
