//! NodeStageVolume and NodeUnstageVolume over the bare `mkfs`, `mount` and `umount` of the same device.
//!
//! Both sides take turns, A B A B, on one loop device. Before each turn the whole device is discarded: the file below it is
//! one hole again and nothing of it is in the page cache, so neither side finds what the other left. The bare side calls
//! mount(2) and umount(2) itself: less than any driver could do.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use eck_csi::volume::VolumeId;
use eck_csi_node::fsid;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use sanity_tests::kubelet::{Kubelet, Volume, VolumeUse};
use sanity_tests::rig::{Error, io, rpc};
use sanity_tests::sidecar::{Claim, Reply, Request, RetryPolicy};
use sanity_tests::stack::{Node, Stack, StackConfig};

use crate::figures::{Goals, Series};
use crate::system::run;

/// Pairs of each kind; one more, the first, warms up and does not count.
const PAIRS: usize = 20;

/// What the driver may add, in milliseconds, by the median.
const GOAL_MS: f64 = 20.0;

/// One operation, both ways.
#[derive(Default)]
struct Pairs {
    bare: Series,
    driver: Series,
    added: Series,
}

impl Pairs {
    fn push(&mut self, bare: f64, driver: f64) {
        self.bare.push(bare);
        self.driver.push(driver);
        self.added.push(driver - bare);
    }
}

/// Milliseconds of one turn.
struct Turn {
    format: f64,
    leave_formatted: f64,
    mount: f64,
    leave_mounted: f64,
}

/// A disk that is attached to the node, and the node.
struct Bench {
    kubelet: Kubelet,
    volume: Volume,
    uuid: String,
    device: String,
    /// The sparse file below the device.
    file: PathBuf,
    bare: PathBuf,
    staging: PathBuf,
}

/// The milliseconds that `work` takes.
async fn timed<E>(work: impl Future<Output = Result<(), E>>) -> Result<f64, E> {
    let started = Instant::now();
    work.await?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

/// The name of the one disk that the machine shows.
fn shown(node: &Node) -> Result<String, Error> {
    let block = node.root.join("sys/block");
    let mut entries = std::fs::read_dir(&block).map_err(io(block.display().to_string()))?.flatten();
    let first = entries.next().ok_or_else(|| Error::Check("the machine shows no disk".to_owned()))?;
    Ok(first.file_name().to_string_lossy().into_owned())
}

impl Bench {
    async fn attach(stack: &Stack, folder: &Path) -> Result<Self, Error> {
        let claim = Claim { name: "pvc-bench".to_owned(), gib: 20, ..Claim::default() };
        let made = stack.sidecar().create(&claim, 0).await.map_err(rpc("CreateVolume"))?;
        let node = &stack.nodes[0];
        let request = Request::Publish { volume: made.volume_id.clone(), node: node.id.clone() };
        let reply = stack.sidecar().call(&request, &RetryPolicy::default(), |_| ()).await;
        let Reply::Published(publish_context) = reply.map_err(rpc("ControllerPublishVolume"))? else {
            return Err(Error::Check("no publish context".to_owned()));
        };
        let name = shown(node)?;
        let backing = format!("/sys/block/{name}/loop/backing_file");
        let file = std::fs::read_to_string(&backing).map_err(io(backing))?;
        let id = VolumeId::parse(made.volume_id.clone()).map_err(|e| Error::Check(e.to_string()))?;
        let (bare, staging) = (folder.join("bare"), folder.join("staging"));
        for folder in [&bare, &staging] {
            std::fs::create_dir(folder).map_err(io(folder.display().to_string()))?;
        }
        Ok(Self {
            kubelet: node.kubelet.clone(),
            volume: Volume {
                id: made.volume_id,
                context: made.volume_context,
                publish_context,
                ..Volume::default()
            },
            uuid: fsid::filesystem_uuid(&id).to_string(),
            device: format!("/dev/{name}"),
            file: PathBuf::from(file.trim()),
            bare,
            staging,
        })
    }

    /// Makes the device blank and its file a hole.
    fn blank(&self) -> Result<(), Error> {
        run("blkdiscard", &["--force", &self.device])?;
        let file = std::fs::File::open(&self.file).map_err(io(self.file.display().to_string()))?;
        // What the discard changed in the file system below is written now, not during the turn.
        file.sync_all().map_err(io("sync"))?;
        let blocks = file.metadata().map_err(io("look at the disk's file"))?.blocks();
        if blocks == 0 {
            return Ok(());
        }
        Err(Error::Check(format!("{blocks} blocks of the disk's file are left after a discard")))
    }

    /// As the driver does it: `make` in csi/node/src/host/filesystem.rs.
    fn mkfs(&self, fs: &str) -> Result<(), Error> {
        match fs {
            "xfs" => {
                let uuid = format!("uuid={}", self.uuid);
                run("mkfs.xfs", &["-q", "-K", "-m", &uuid, &self.device])?
            }
            _ => run("mkfs.ext4", &["-q", "-E", "nodiscard", "-m", "0", "-U", &self.uuid, &self.device])?,
        };
        Ok(())
    }

    fn mount(&self, fs: &str) -> Result<(), Error> {
        let options = (fs == "xfs").then_some("nouuid");
        let done = mount(Some(self.device.as_str()), &self.bare, Some(fs), MsFlags::empty(), options);
        done.map_err(|errno| io("mount")(errno.into()))
    }

    fn umount(&self) -> Result<(), Error> {
        umount2(&self.bare, MntFlags::UMOUNT_NOFOLLOW).map_err(|errno| io("umount")(errno.into()))
    }

    async fn bare(&self, fs: &str) -> Result<Turn, Error> {
        self.blank()?;
        Ok(Turn {
            format: timed(async { self.mkfs(fs).and_then(|()| self.mount(fs)) }).await?,
            leave_formatted: timed(async { self.umount() }).await?,
            mount: timed(async { self.mount(fs) }).await?,
            leave_mounted: timed(async { self.umount() }).await?,
        })
    }

    async fn stage(&self, fs: &str) -> Result<f64, Error> {
        let wanted = VolumeUse::mount(fs);
        let stage = timed(self.kubelet.stage(&self.volume, &self.staging, &wanted));
        stage.await.map_err(rpc("NodeStageVolume"))
    }

    async fn unstage(&self) -> Result<f64, Error> {
        let unstage = timed(self.kubelet.unstage(&self.volume, &self.staging));
        unstage.await.map_err(rpc("NodeUnstageVolume"))
    }

    async fn driver(&self, fs: &str) -> Result<Turn, Error> {
        self.blank()?;
        Ok(Turn {
            format: self.stage(fs).await?,
            leave_formatted: self.unstage().await?,
            mount: self.stage(fs).await?,
            leave_mounted: self.unstage().await?,
        })
    }
}

async fn compare(bench: &Bench, fs: &str, goals: &mut Goals) -> Result<(), Error> {
    let (mut format, mut mount, mut leave) = (Pairs::default(), Pairs::default(), Pairs::default());
    for turn in 0..=PAIRS {
        let bare = bench.bare(fs).await?;
        let driver = bench.driver(fs).await?;
        if turn > 0 {
            format.push(bare.format, driver.format);
            mount.push(bare.mount, driver.mount);
            leave.push(bare.leave_formatted, driver.leave_formatted);
            leave.push(bare.leave_mounted, driver.leave_mounted);
        }
    }
    let rows = [
        ("stage, blank disk", "mkfs+mount", format),
        ("stage, has its fs", "mount", mount),
        ("unstage", "umount", leave),
    ];
    for (what, beside, pairs) in rows {
        row(fs, what, beside, &pairs, goals);
    }
    Ok(())
}

fn row(fs: &str, what: &str, beside: &str, pairs: &Pairs, goals: &mut Goals) {
    let (bare, driver, added) = (&pairs.bare, &pairs.driver, &pairs.added);
    let name = format!("{fs}: {what}");
    let verdict = goals.note(&name, &format!("≤ {GOAL_MS} ms"), added.median() <= GOAL_MS);
    println!(
        "   {name:<24} {beside:<11} {:>4} {:>7.1} {:>7.1}  {:>7.1} {:>7.1}  {:>+7.1} {:>+7.1}   {verdict}",
        added.len(),
        bare.median(),
        bare.quantile(0.95),
        driver.median(),
        driver.quantile(0.95),
        added.median(),
        added.quantile(0.95),
    );
}

pub(crate) async fn report(folder: &Path, goals: &mut Goals) -> Result<(), Error> {
    println!("\n1. Time that the driver adds, in ms: 20 GiB, a loop device over a sparse file, A B A B");
    println!(
        "   {:<24} {:<11} {:>4} {:>15}  {:>15}  {:>15}",
        "driver (RPC)", "bare", "n", "bare p50/p95", "driver p50/p95", "added p50/p95"
    );
    let mut stack = Stack::start(&StackConfig::one_region(1), folder).await?;
    let bench = Bench::attach(&stack, folder).await?;
    for fs in ["ext4", "xfs"] {
        compare(&bench, fs, goals).await?;
    }
    drop(bench);
    Ok(stack.stop().await?)
}
