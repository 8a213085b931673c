//! The cloud, the controller, and the machines of one case.

use std::path::{Path, PathBuf};
use std::time::Duration;

use eck_csi::driver::GIB;
use ecx_sim::config::{InstanceConfig, Latency, PlaneKind, RegionConfig};
use ecx_sim::{Config, Sim};
use tonic::Code;

use super::guest::{Cold, Guest, Image, Plan};
use crate::in_process::InProcess;
use crate::kubelet::{Kubelet, Volume, VolumeUse};
use crate::sidecar::{Claim, Reply, Request, RetryPolicy, Sidecar};

/// The region of all machines.
pub const REGION: &str = "fj-xiamen-4";
/// Machines, by the cloud's id and address.
pub const MACHINES: [(&str, &str); 2] = [("evm-edge0", "172.16.0.6"), ("evm-edge1", "172.16.0.7")];

/// What went wrong, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(String);

impl Trouble {
    /// From anything that can be read.
    pub fn new(what: impl ToString) -> Self {
        Self(what.to_string())
    }
}

macro_rules! trouble_from {
    ($($kind:ty),*) => {
        $(impl From<$kind> for Trouble {
            fn from(error: $kind) -> Self {
                Self(serve::chain::chain(&error))
            }
        })*
    };
}
trouble_from!(
    std::io::Error,
    crate::in_process::StartError,
    ecx_sim::server::StartError,
    ecx_sim::plane::PlaneError
);

impl From<tonic::Status> for Trouble {
    fn from(status: tonic::Status) -> Self {
        Self(format!("{:?}: {}", status.code(), status.message()))
    }
}

/// Fails with the words if it is not so.
pub fn must(so: bool, words: impl ToString) -> Result<(), Trouble> {
    if so { Ok(()) } else { Err(Trouble::new(words)) }
}

/// All of it. Dropping it stops everything.
pub struct Site {
    /// The cloud.
    pub sim: Sim,
    sidecar: Sidecar,
    _controller: InProcess,
    image: Image,
    folder: PathBuf,
    ports: usize,
    _kept: tempfile::TempDir,
}

/// Where a volume is staged and published inside of a machine.
pub fn staged(volume: &Volume) -> PathBuf {
    Path::new("/var/lib/kubelet/staging").join(&volume.id)
}

/// Where a pod sees it.
pub fn published(volume: &Volume) -> PathBuf {
    Path::new("/var/lib/kubelet/pods").join(&volume.id)
}

impl Site {
    /// A cloud with two machines that are off, which can take so many disks each.
    pub async fn start(image: &Image, ports: usize) -> Result<Self, Trouble> {
        let kept = tempfile::Builder::new().prefix("eck-edge.").tempdir()?;
        let folder = kept.path().to_owned();
        let instances =
            MACHINES.map(|(id, ip)| InstanceConfig { id: id.into(), ip: ip.into(), max_disks: ports });
        let stock = [("SAS".to_owned(), 1_000_000)].into();
        let region = RegionConfig { stock, quota_gib: 1_000_000, instances: instances.into() };
        let latency =
            Latency { reply: 0, create: 5, attach: 5, detach: 5, delete: 5, resize: 5, snapshot: 5 };
        let sim = Sim::start(Config {
            data_plane: PlaneKind::Qemu,
            state_dir: Some(folder.join("cloud")),
            nodes_dir: Some(folder.join("nodes")),
            unit_bytes: GIB,
            regions: [(REGION.to_owned(), region)].into(),
            latency,
            ..Config::default()
        })?;
        let controller = InProcess::start(sim.profile(), sim.credentials(), [REGION]).await?;
        let sidecar = Sidecar::new(controller.channel());
        Ok(Self { sim, sidecar, _controller: controller, image: image.clone(), folder, ports, _kept: kept })
    }

    fn plan(&self, machine: usize) -> Plan {
        let (id, ip) = MACHINES[machine];
        Plan { node: format!("{REGION}.{ip}"), folder: self.folder.join("nodes").join(id), ports: self.ports }
    }

    /// The machines' folders.
    pub fn nodes(&self) -> PathBuf {
        self.folder.join("nodes")
    }

    /// Where a disk's bytes are.
    pub fn file(&self, disk: &str) -> PathBuf {
        self.folder.join("cloud/disks").join(disk)
    }

    /// Switches a machine on with the disks that the cloud has attached to it, in the order of their ids or the reverse.
    pub fn boot(&self, machine: usize, reversed: bool) -> Result<Guest, Trouble> {
        let id = MACHINES[machine].0;
        let mut disks: Vec<Cold> = self.sim.look(|world| {
            let here = world.disks.values().filter(|record| record.holder.as_deref() == Some(id));
            let cold = |disk: &str| Cold {
                disk: disk.to_owned(),
                file: self.file(disk),
                serial: disk.trim_start_matches("cd-").to_owned(),
            };
            here.map(|record| cold(&record.disk.disk_id)).collect()
        });
        if reversed {
            disks.reverse();
        }
        Guest::boot(&self.image, &self.plan(machine), &disks)
    }

    /// A new volume.
    pub async fn create(&self, name: &str, fs: &str) -> Result<Volume, Trouble> {
        self.create_of(name, &[("fsType", fs)]).await
    }

    /// A new volume of a class with these parameters.
    pub async fn create_of(&self, name: &str, parameters: &[(&str, &str)]) -> Result<Volume, Trouble> {
        let parameters = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let claim = Claim { name: name.to_owned(), gib: 20, parameters, ..Claim::default() };
        let made = self.sidecar.create(&claim, 0).await?;
        Ok(Volume { id: made.volume_id, context: made.volume_context, ..Volume::default() })
    }

    async fn call(&self, request: &Request) -> Result<Reply, Trouble> {
        Ok(self.sidecar.call(request, &RetryPolicy::default(), |_| {}).await?)
    }

    /// Attaches it to a machine.
    pub async fn attach(&self, volume: &mut Volume, machine: usize) -> Result<(), Trouble> {
        let node = format!("{REGION}/{}", MACHINES[machine].0);
        match self.call(&Request::Publish { volume: volume.id.clone(), node }).await? {
            Reply::Published(context) => volume.publish_context = context,
            other => return Err(Trouble::new(format!("{other:?}"))),
        }
        Ok(())
    }

    /// Takes it from a machine.
    pub async fn detach(&self, volume: &Volume, machine: usize) -> Result<(), Trouble> {
        let node = format!("{REGION}/{}", MACHINES[machine].0);
        self.call(&Request::Unpublish { volume: volume.id.clone(), node }).await.map(drop)
    }

    /// Makes it larger in the cloud.
    pub async fn grow(&self, volume: &Volume, gib: u64) -> Result<(), Trouble> {
        self.call(&Request::Expand { volume: volume.id.clone(), gib }).await.map(drop)
    }
}

/// Stages and publishes, asked again while the node says that it may yet work, as the kubelet does.
pub async fn mount(kubelet: &Kubelet, volume: &Volume, wanted: &VolumeUse) -> Result<(), Trouble> {
    let mut last = None;
    for _ in 0..20 {
        match kubelet.stage(volume, &staged(volume), wanted).await {
            Ok(()) => {
                return Ok(kubelet.publish(volume, &staged(volume), &published(volume), wanted).await?);
            }
            Err(status)
                if matches!(status.code(), Code::Unavailable | Code::Aborted | Code::DeadlineExceeded) =>
            {
                last = Some(status);
            }
            Err(status) => return Err(status.into()),
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Err(last.map_or_else(|| Trouble::new("never asked"), Trouble::from))
}

/// Takes it from the pod and from the machine.
pub async fn unmount(kubelet: &Kubelet, volume: &Volume) -> Result<(), Trouble> {
    kubelet.unpublish(volume, &published(volume)).await?;
    Ok(kubelet.unstage(volume, &staged(volume)).await?)
}
