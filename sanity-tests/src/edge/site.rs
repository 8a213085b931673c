//! The cloud, the controller, and the machines of one case.

use std::path::{Path, PathBuf};
use std::time::Duration;

use eck_csi::driver::GIB;
use ecx_sim::config::{InstanceConfig, Latency, PlaneKind, RegionConfig};
use ecx_sim::{Config, Sim};
use tonic::Code;

use super::guest::{BootDisk, Guest, GuestConfig, Image};
use crate::in_process::InProcess;
use crate::kubelet::{Kubelet, Volume, VolumeUse};
use crate::rig::Error;
use crate::sidecar::{Claim, Reply, Request, RetryPolicy, Sidecar};

/// The region of all machines.
pub const REGION: &str = "fj-xiamen-4";
/// Machines, by the cloud's id and address.
pub const MACHINES: [(&str, &str); 2] = [("evm-edge0", "172.16.0.6"), ("evm-edge1", "172.16.0.7")];

/// The cloud, the controller and two machines that are off at first. Dropping it stops everything.
pub struct Site {
    /// The cloud.
    pub sim: Sim,
    sidecar: Sidecar,
    _controller: InProcess,
    image: Image,
    folder: PathBuf,
    ports: usize,
    // Held for its life: everything is in it.
    _folder: tempfile::TempDir,
}

/// Where a volume is staged inside of a machine.
pub fn staging_path(volume: &Volume) -> PathBuf {
    Path::new("/var/lib/kubelet/staging").join(&volume.id)
}

/// Where it is published to a pod.
pub fn target_path(volume: &Volume) -> PathBuf {
    Path::new("/var/lib/kubelet/pods").join(&volume.id)
}

impl Site {
    /// Starts it; `ports` is how many disks can be attached to each machine.
    pub async fn start(image: &Image, ports: usize) -> Result<Self, Error> {
        let temp = tempfile::Builder::new().prefix("eck-edge.").tempdir()?;
        let folder = temp.path().to_owned();
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
        Ok(Self { sim, sidecar, _controller: controller, image: image.clone(), folder, ports, _folder: temp })
    }

    fn guest_config(&self, machine: usize) -> GuestConfig {
        let (id, ip) = MACHINES[machine];
        GuestConfig {
            node: format!("{REGION}.{ip}"),
            folder: self.folder.join("nodes").join(id),
            ports: self.ports,
        }
    }

    /// The folder with those of the machines.
    pub fn machines_folder(&self) -> PathBuf {
        self.folder.join("nodes")
    }

    /// The file that holds a disk's content.
    pub fn disk_file(&self, disk: &str) -> PathBuf {
        self.folder.join("cloud/disks").join(disk)
    }

    /// Boots a machine with the disks that the cloud has attached to it, in the order of their ids or the reverse.
    pub fn boot(&self, machine: usize, reversed: bool) -> Result<Guest, Error> {
        let id = MACHINES[machine].0;
        let mut disks: Vec<BootDisk> = self.sim.look(|world| {
            let attached = world.disks.values().filter(|record| record.holder.as_deref() == Some(id));
            let boot_disk = |disk: &str| BootDisk {
                disk: disk.to_owned(),
                file: self.disk_file(disk),
                serial: disk.trim_start_matches("cd-").to_owned(),
            };
            attached.map(|record| boot_disk(&record.disk.disk_id)).collect()
        });
        if reversed {
            disks.reverse();
        }
        Guest::boot(&self.image, &self.guest_config(machine), &disks)
    }

    /// Creates a volume.
    pub async fn create(&self, name: &str, fs: &str) -> Result<Volume, Error> {
        self.create_with(name, &[("fsType", fs)]).await
    }

    /// Creates a volume of a StorageClass with these parameters.
    pub async fn create_with(&self, name: &str, parameters: &[(&str, &str)]) -> Result<Volume, Error> {
        let parameters = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let claim = Claim { name: name.to_owned(), gib: 20, parameters, ..Claim::default() };
        let made = self.sidecar.create(&claim, 0).await?;
        Ok(Volume { id: made.volume_id, context: made.volume_context, ..Volume::default() })
    }

    async fn call(&self, request: &Request) -> Result<Reply, Error> {
        Ok(self.sidecar.call(request, &RetryPolicy::default(), |_| {}).await?)
    }

    /// Attaches a volume to a machine.
    pub async fn attach(&self, volume: &mut Volume, machine: usize) -> Result<(), Error> {
        let node = format!("{REGION}/{}", MACHINES[machine].0);
        match self.call(&Request::Publish { volume: volume.id.clone(), node }).await? {
            Reply::Published(context) => volume.publish_context = context,
            other => return Err(Error::check(format!("ControllerPublishVolume returned {other:?}"))),
        }
        Ok(())
    }

    /// Detaches a volume from a machine.
    pub async fn detach(&self, volume: &Volume, machine: usize) -> Result<(), Error> {
        let node = format!("{REGION}/{}", MACHINES[machine].0);
        self.call(&Request::Unpublish { volume: volume.id.clone(), node }).await.map(drop)
    }

    /// Expands a volume in the cloud.
    pub async fn expand(&self, volume: &Volume, gib: u64) -> Result<(), Error> {
        self.call(&Request::Expand { volume: volume.id.clone(), gib }).await.map(drop)
    }
}

/// Stages and publishes a volume; retries as the kubelet does.
pub async fn mount(kubelet: &Kubelet, volume: &Volume, volume_use: &VolumeUse) -> Result<(), Error> {
    let mut last = None;
    for _ in 0..20 {
        match kubelet.stage(volume, &staging_path(volume), volume_use).await {
            Ok(()) => {
                return Ok(kubelet
                    .publish(volume, &staging_path(volume), &target_path(volume), volume_use)
                    .await?);
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
    Err(last.map_or_else(|| Error::check("never staged"), Error::from))
}

/// Unpublishes and unstages a volume.
pub async fn unmount(kubelet: &Kubelet, volume: &Volume) -> Result<(), Error> {
    kubelet.unpublish(volume, &target_path(volume)).await?;
    Ok(kubelet.unstage(volume, &staging_path(volume)).await?)
}
