//! What is to be made for a disk, or why it must not be: a pure function.

use eck_csi::cluster::{ClusterIdentity, OtherCluster};
use eck_csi::driver::{DRIVER_NAME, MIN_DISK_GIB, TOPOLOGY_REGION};
use eck_csi::volume::Region;
use ecx::api::{Disk, Group};
use kube::api::DynamicObject;

use super::objects::AdoptRequest;
use crate::cluster::{name, text};

/// What was seen.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The disk, if one of the regions has it.
    pub disk: Option<(Region, Disk)>,
    /// The cluster's regions: all were asked.
    pub regions: Vec<Region>,
    /// Which cluster it is.
    pub cluster: ClusterIdentity,
    /// Every PersistentVolume, of any driver.
    pub volumes: Vec<DynamicObject>,
    /// The claim of the name, if there is one.
    pub claim: Option<DynamicObject>,
    /// The StorageClass of the name, if there is one.
    pub class: Option<DynamicObject>,
    /// The namespace exists.
    pub namespace: bool,
    /// Every node.
    pub nodes: Vec<DynamicObject>,
}

/// What is made.
#[derive(Debug, Clone, PartialEq)]
pub struct AdoptPlan {
    /// The PersistentVolume, unless it is there.
    pub volume: Option<DynamicObject>,
    /// The claim, unless it is there.
    pub claim: Option<DynamicObject>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The cloud has no such disk.
    #[error("disk {disk} is in none of the cluster's regions: {regions}")]
    NoDisk {
        /// The disk.
        disk: String,
        /// Where it was looked for.
        regions: String,
    },
    /// A machine boots from it.
    #[error("disk {0} is a system disk: a machine boots from it")]
    System(String),
    /// Smaller than any volume.
    #[error("disk {disk} has {gib} GiB; allowed: {MIN_DISK_GIB} at least")]
    Small {
        /// The disk.
        disk: String,
        /// Its size.
        gib: u64,
    },
    /// Somebody has it.
    #[error(
        "disk {disk} is attached to {holders}: detach it there first, after its file systems are unmounted"
    )]
    Attached {
        /// The disk.
        disk: String,
        /// Machines.
        holders: String,
    },
    /// Its state.
    #[error("disk {disk} is in the cloud's state {state}; allowed: available or detached")]
    State {
        /// The disk.
        disk: String,
        /// The state.
        state: String,
    },
    /// Another cluster's. The controller would not attach it, so no volume is made of it: the cloud takes no label on a disk that exists
    /// (ecx/API.md B.3), and a mark cannot be changed.
    #[error(
        "disk {disk} is another cluster's: {other}; if that cluster goes on, take a snapshot of the disk and adopt the disk that is \
         made from it, which carries no mark"
    )]
    Owner {
        /// The disk.
        disk: String,
        /// Whose it is.
        other: Box<OtherCluster>,
    },
    /// It is a volume already.
    #[error(
        "disk {disk} is volume {volume} already, for claim {claim}; `kubectl patch` a Released one (deploy/examples/released-pv.yaml)"
    )]
    IsVolume {
        /// The disk.
        disk: String,
        /// The volume.
        volume: String,
        /// Whose it is.
        claim: String,
    },
    /// A name is taken.
    #[error("--volume: a PersistentVolume {0} exists, of another disk")]
    VolumeTaken(String),
    /// A name is taken.
    #[error("--claim: a claim {claim} exists in {namespace}, and takes {takes}")]
    ClaimTaken {
        /// The claim.
        claim: String,
        /// Its namespace.
        namespace: String,
        /// What it is about.
        takes: String,
    },
    /// Nowhere to put the claim.
    #[error("--namespace: {0} does not exist")]
    Namespace(String),
    /// A class that would have another driver make the volume.
    #[error(
        "--storage-class: {class} is of {provisioner}; allowed: a class of {DRIVER_NAME}, or a name that no StorageClass has"
    )]
    Class {
        /// The class.
        class: String,
        /// Its provisioner.
        provisioner: String,
    },
}

/// All checks, and what is made.
pub fn decide(request: &AdoptRequest, facts: &Facts) -> Result<AdoptPlan, Refusal> {
    let (region, disk) = fit_disk(request, facts)?;
    let have_volume = check_volumes(request, facts)?;
    let have_claim = check_claim(request, facts)?;
    let provisioner = facts.class.as_ref().map(|class| text(&class.data["provisioner"]).unwrap_or_default());
    if let Some(provisioner) = provisioner.filter(|provisioner| provisioner != DRIVER_NAME) {
        return Err(Refusal::Class { class: request.class.clone(), provisioner });
    }
    if !facts.namespace {
        return Err(Refusal::Namespace(request.namespace.clone()));
    }
    let there = |node: &DynamicObject| {
        let labels = node.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get(TOPOLOGY_REGION)).is_some_and(|value| value == region.as_str())
    };
    let mut warnings = Vec::new();
    if !facts.nodes.iter().any(there) {
        warnings.push(format!(
            "no node of the cluster is in {region}: a pod that uses the claim will wait for one"
        ));
    }
    if request.reclaim == "Delete" {
        warnings.push(format!("disk {} will be deleted, with its data, when the claim is", request.disk));
    }
    Ok(AdoptPlan {
        volume: (!have_volume).then(|| request.persistent_volume(region, disk.disk_size)),
        claim: (!have_claim).then(|| request.persistent_volume_claim(disk.disk_size)),
        warnings,
    })
}

fn fit_disk<'a>(request: &AdoptRequest, facts: &'a Facts) -> Result<(&'a Region, &'a Disk), Refusal> {
    let id = request.disk.to_string();
    let Some((region, disk)) = &facts.disk else {
        let regions: Vec<&str> = facts.regions.iter().map(Region::as_str).collect();
        return Err(Refusal::NoDisk { disk: id, regions: regions.join(", ") });
    };
    if disk.is_system_volume == Some(true) {
        return Err(Refusal::System(id));
    }
    if disk.disk_size < MIN_DISK_GIB {
        return Err(Refusal::Small { disk: id, gib: disk.disk_size });
    }
    // A run that was cut off between volume and claim goes on whatever a pod has done with the volume since.
    let ours = facts
        .volumes
        .iter()
        .any(|volume| volume.data["spec"]["csi"]["volumeHandle"] == request.disk.as_str());
    let holders = disk.holders();
    if !ours && !holders.is_empty() {
        return Err(Refusal::Attached { disk: id, holders: holders.join(", ") });
    }
    if !ours && disk.disk_status.group() != Group::Settled {
        return Err(Refusal::State { disk: id, state: disk.disk_status.as_str().to_owned() });
    }
    match facts.cluster.whose(disk.label_pairs()).other() {
        Some(other) => Err(Refusal::Owner { disk: id, other }),
        None => Ok((region, disk)),
    }
}

/// Whether the very volume is there.
fn check_volumes(request: &AdoptRequest, facts: &Facts) -> Result<bool, Refusal> {
    let of_disk = |volume: &&DynamicObject| {
        let csi = &volume.data["spec"]["csi"];
        csi["driver"] == DRIVER_NAME && csi["volumeHandle"] == request.disk.as_str()
    };
    let Some(volume) = facts.volumes.iter().find(of_disk) else {
        let taken = facts.volumes.iter().any(|volume| name(volume) == request.volume);
        return if taken { Err(Refusal::VolumeTaken(request.volume.clone())) } else { Ok(false) };
    };
    let reference = &volume.data["spec"]["claimRef"];
    let ours = name(volume) == request.volume
        && reference["name"] == request.claim.as_str()
        && reference["namespace"] == request.namespace.as_str()
        && volume.data["status"]["phase"] != "Released";
    if ours {
        return Ok(true);
    }
    let claim = match text(&reference["name"]) {
        Some(claim) => format!("{}/{claim}", text(&reference["namespace"]).unwrap_or_default()),
        None => "none".to_owned(),
    };
    Err(Refusal::IsVolume { disk: request.disk.to_string(), volume: name(volume).to_owned(), claim })
}

/// Whether the very claim is there.
fn check_claim(request: &AdoptRequest, facts: &Facts) -> Result<bool, Refusal> {
    let Some(claim) = &facts.claim else { return Ok(false) };
    let takes = match text(&claim.data["spec"]["volumeName"]) {
        Some(volume) if volume == request.volume => return Ok(true),
        Some(volume) => format!("volume {volume}"),
        None => "no volume by name".to_owned(),
    };
    Err(Refusal::ClaimTaken { claim: request.claim.clone(), namespace: request.namespace.clone(), takes })
}

#[cfg(test)]
mod tests;
