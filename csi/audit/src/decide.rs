//! From facts to findings: a pure function.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use eck_csi::cluster::{ClusterIdentity, Whose};
use eck_csi_kubernetes::Millis;
use ecx::api::{DiskState, Group};

use crate::cloud::{Cloud, Placed};
use crate::cluster::{Attachment, Cluster, Volume};
use crate::finding::{Finding, FindingKind};

/// What the facts are judged by.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The cluster.
    pub cluster: &'a ClusterIdentity,
    /// The time of day.
    pub now: Millis,
    /// What is younger is still under way.
    pub grace: Duration,
}

impl Terms<'_> {
    /// Whether something that began then should be done by now.
    fn overdue(&self, since: Millis) -> bool {
        let grace = Millis::try_from(self.grace.as_millis()).unwrap_or(Millis::MAX);
        self.now.saturating_sub(since) >= grace
    }

    fn minutes(&self, since: Millis) -> Millis {
        self.now.saturating_sub(since) / 60_000
    }
}

/// The facts, found quickly.
struct Facts<'a> {
    cluster: &'a Cluster,
    cloud: &'a Cloud,
    terms: &'a Terms<'a>,
    disks: HashMap<&'a str, &'a Placed>,
    /// By disk; those that are being deleted included.
    volumes: HashMap<&'a str, Vec<&'a Volume>>,
}

/// Everything that has drifted, in the order of kinds and disks.
pub fn decide(cluster: &Cluster, cloud: &Cloud, terms: &Terms<'_>) -> Vec<Finding> {
    let disks = cloud.disks.iter().map(|placed| (placed.disk.disk_id.as_str(), placed)).collect();
    let mut volumes: HashMap<&str, Vec<&Volume>> = HashMap::new();
    for volume in &cluster.volumes {
        volumes.entry(&volume.disk).or_default().push(volume);
    }
    let facts = Facts { cluster, cloud, terms, disks, volumes };
    let of_disks = cloud.disks.iter().flat_map(|placed| {
        let nobodys = nobodys_disk(&facts, placed);
        nobodys.into_iter().chain(volumes_disk(&facts, placed)).chain(unwanted(&facts, placed))
    });
    let of_volumes = cluster.volumes.iter().filter_map(|volume| missing_disk(&facts, volume));
    let of_attachments = cluster.attachments.iter().filter_map(|attachment| drifted(&facts, attachment));
    let mut findings: Vec<Finding> = of_disks.chain(of_volumes).chain(of_attachments).collect();
    findings.sort_by(|a, b| a.key().cmp(&b.key()));
    findings
}

/// A disk that no volume names.
fn nobodys_disk(facts: &Facts<'_>, placed: &Placed) -> Option<Finding> {
    let (disk, id) = (&placed.disk, placed.disk.disk_id.as_str());
    if facts.volumes.contains_key(id) || disk.disk_status == DiskState::Deleting {
        return None;
    }
    // A list that does not show all may be wrong in what it shows too, and this finding is what disks are deleted by.
    if !facts.cloud.shows_all_disks(Some(placed.region.as_str())) {
        return None;
    }
    // The provisioner calls the disk of a claim pvc-<uid of the claim>, and makes the volume after the disk.
    let claim = disk.disk_name.strip_prefix("pvc-");
    // A claim whose volume has another disk waits for this one no more: it was ordered twice.
    let served = || facts.cluster.volumes.iter().any(|volume| volume.name == disk.disk_name);
    let wanted = claim.is_some_and(|uid| facts.cluster.claims.contains(uid)) && !served();
    let made = disk.create_time.unwrap_or(0);
    if wanted || !facts.terms.overdue(made) {
        return None;
    }
    let (kind, whose) = match placed.whose(facts.terms.cluster) {
        Whose::Ours(mark) => (FindingKind::UnclaimedDisk, format!("carries the mark of {mark}")),
        Whose::Others(_) => return None,
        // A disk made from a snapshot carries no mark: the cloud's order has no room for one (ecx/API.md B.3, op 2).
        Whose::Unmarked if claim.is_some_and(is_uid) => {
            (FindingKind::OrphanDisk, "has a provisioner's name and no cluster's mark".to_owned())
        }
        Whose::Unmarked => return None,
    };
    let (size, state) = (disk.disk_size, disk.disk_status.as_str());
    let held = match disk.holders().as_slice() {
        [] => String::new(),
        holders => format!(" to {}", holders.join(", ")),
    };
    let message = format!(
        "disk {id} ({}, {size} GiB, {state}{held}) in {} {whose}, and no volume names it",
        disk.disk_name, placed.region
    );
    Some(Finding { region: Some(placed.region.to_string()), ..Finding::new(kind, id, message) })
}

/// A UUID as Kubernetes writes it.
fn is_uid(text: &str) -> bool {
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// A disk that volumes name.
fn volumes_disk(facts: &Facts<'_>, placed: &Placed) -> Vec<Finding> {
    let (id, region) = (placed.disk.disk_id.as_str(), Some(placed.region.to_string()));
    let volumes = facts.volumes.get(id).map_or(&[][..], Vec::as_slice);
    let volumes: Vec<&&Volume> = volumes.iter().filter(|volume| !volume.deleting).collect();
    let mut found = Vec::new();
    if let [first, _, ..] = volumes.as_slice() {
        let names: Vec<&str> = volumes.iter().map(|volume| volume.name.as_str()).collect();
        let message = format!("disk {id} is under {} volumes: {}", names.len(), names.join(", "));
        let volume = Some(first.name.clone());
        found.push(Finding {
            region: region.clone(),
            volume,
            ..Finding::new(FindingKind::SharedDisk, id, message)
        });
    }
    if let [first, ..] = volumes.as_slice()
        && placed.disk.disk_status.group() == Group::Dead
    {
        let state = placed.disk.disk_status.as_str();
        let message = format!("disk {id} of volume {} is in the cloud's state {state}", first.name);
        let volume = Some(first.name.clone());
        found.push(Finding { region, volume, ..Finding::new(FindingKind::SickDisk, id, message) });
    }
    found
}

/// A volume without a disk. A region that was not looked at, or not at all of it, says nothing; a volume that is being deleted loses its disk
/// first.
fn missing_disk(facts: &Facts<'_>, volume: &Volume) -> Option<Finding> {
    let deleted = volume.deleting || (volume.phase == "Released" && volume.reclaim == "Delete");
    let seen = facts.cloud.shows_all_disks(volume.region.as_deref());
    if deleted || !seen || facts.disks.contains_key(volume.disk.as_str()) {
        return None;
    }
    let (name, disk) = (&volume.name, &volume.disk);
    let message =
        format!("volume {name} ({}) names disk {disk}, which the cloud does not have", volume.phase);
    Some(Finding {
        region: volume.region.clone(),
        volume: Some(name.clone()),
        ..Finding::new(FindingKind::MissingDisk, disk, message)
    })
}

/// A disk on a machine where no attachment wants it.
fn unwanted(facts: &Facts<'_>, placed: &Placed) -> Vec<Finding> {
    let id = placed.disk.disk_id.as_str();
    let volumes = facts.volumes.get(id).map_or(&[][..], Vec::as_slice);
    let ours = match placed.whose(facts.terms.cluster) {
        Whose::Ours(_) => true,
        Whose::Unmarked => !volumes.is_empty(),
        // Where it is its own cluster knows, whatever volume of this one names it.
        Whose::Others(_) => false,
    };
    if !ours || placed.disk.disk_status.group() != Group::Attached {
        return Vec::new();
    }
    let names: BTreeSet<&str> = volumes.iter().map(|volume| volume.name.as_str()).collect();
    let wishes = facts.cluster.attachments.iter().filter(|wish| names.contains(wish.volume.as_str()));
    let wanted: Vec<Option<&str>> = wishes.map(|wish| machine(facts, &wish.node)).collect();
    // A node whose machine is not known may be the very one.
    if wanted.contains(&None) {
        return Vec::new();
    }
    let holders = placed.disk.holders().into_iter().filter(|holder| !wanted.contains(&Some(holder)));
    let found = holders.map(|holder| {
        let message = format!(
            "disk {id} is attached to machine {holder} in {}, and no attachment wants it there",
            placed.region
        );
        Finding {
            region: Some(placed.region.to_string()),
            volume: volumes.first().map(|volume| volume.name.clone()),
            machine: Some(holder.to_owned()),
            ..Finding::new(FindingKind::UnwantedAttach, id, message)
        }
    });
    found.collect()
}

fn machine<'a>(facts: &Facts<'a>, node: &str) -> Option<&'a str> {
    facts.cloud.machine(facts.cluster.nodes.get(node)?.id.as_ref()?)
}

/// An attachment that does not come about, does not end, or is not true.
fn drifted(facts: &Facts<'_>, attachment: &Attachment) -> Option<Finding> {
    let volume = facts.cluster.volumes.iter().find(|volume| volume.name == attachment.volume)?;
    let placed = facts.disks.get(volume.disk.as_str());
    let machine = machine(facts, &attachment.node);
    let cloud = said(facts, volume, placed.copied());
    let (kind, message) = judge(facts.terms, attachment, volume, placed.copied(), machine, &cloud)?;
    Some(Finding {
        region: placed.map(|placed| placed.region.to_string()).or_else(|| volume.region.clone()),
        volume: Some(volume.name.clone()),
        attachment: Some(attachment.name.clone()),
        machine: machine.map(str::to_owned),
        ..Finding::new(kind, &volume.disk, message)
    })
}

/// Where the cloud has the volume's disk, in words.
fn said(facts: &Facts<'_>, volume: &Volume, placed: Option<&Placed>) -> String {
    let Some(placed) = placed else {
        let all = facts.cloud.shows_all_disks(volume.region.as_deref());
        return if all { "the cloud does not have it" } else { "where it is could not be read" }.to_owned();
    };
    let state = placed.disk.disk_status.as_str();
    match placed.disk.holders().as_slice() {
        [] => format!("the cloud has it on no machine, {state}"),
        on => format!("the cloud has it on {}, {state}", on.join(", ")),
    }
}

fn judge(
    terms: &Terms<'_>,
    attachment: &Attachment,
    volume: &Volume,
    placed: Option<&Placed>,
    machine: Option<&str>,
    cloud: &str,
) -> Option<(FindingKind, String)> {
    let what = format!("disk {} of volume {} and node {}", volume.disk, volume.name, attachment.node);
    let said = attachment.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
    match (attachment.deleting, attachment.attached) {
        (Some(since), _) if terms.overdue(since) => {
            let minutes = terms.minutes(since);
            Some((FindingKind::StuckDetach, format!("{what} are to part for {minutes} min; {cloud}{said}")))
        }
        (None, false) if terms.overdue(attachment.created) => {
            let minutes = terms.minutes(attachment.created);
            Some((FindingKind::StuckAttach, format!("{what} are to meet for {minutes} min; {cloud}{said}")))
        }
        (None, true) => {
            let (placed, machine) = (placed?, machine?);
            let there = placed.disk.holders().contains(&machine);
            // A disk whose state changes may be on its way there.
            if there || placed.disk.disk_status.group() == Group::Busy {
                return None;
            }
            Some((FindingKind::FalseAttach, format!("{what} are attached in Kubernetes, and {cloud}")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
