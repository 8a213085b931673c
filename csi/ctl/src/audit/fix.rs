//! How a finding is mended, or why not: a pure function. What could hurt a running pod or data that somebody holds is not
//! done but said.

use std::fmt;

use eck_csi::cluster::Mark;
use eck_csi::volume::Region;
use eck_csi_audit::cloud::Placed;
use eck_csi_audit::{Finding, FindingKind, Report};
use ecx::api::{Disk, DiskState, Group};

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// The disk is refunded, with its data.
    DeleteDisk {
        /// Where it is.
        region: Region,
        /// Its id.
        disk: String,
        /// Its name and size, for who is asked.
        what: String,
    },
    /// The disk is detached from a machine.
    Detach {
        /// Where it is.
        region: Region,
        /// Its id.
        disk: String,
        /// The machine.
        machine: String,
    },
    /// The attacher's finalizer is taken from a VolumeAttachment that is deleted.
    Release {
        /// Its name.
        attachment: String,
        /// Where its disk is.
        region: Region,
        /// The disk's id.
        disk: String,
        /// The node's machine, if the cloud has it.
        machine: Option<String>,
    },
}

impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeleteDisk { region, disk, what, .. } => {
                write!(f, "delete disk {disk} ({what}) in {region} with all its data")
            }
            Self::Detach { region, disk, machine } => {
                write!(f, "detach disk {disk} from machine {machine} in {region}")
            }
            Self::Release { attachment, .. } => {
                write!(f, "take the attacher's finalizer from VolumeAttachment {attachment}")
            }
        }
    }
}

/// How it is mended, or why not; `with_data` if a disk may be deleted although it may hold data.
pub fn fix(finding: &Finding, report: &Report, with_data: bool) -> Result<Fix, String> {
    let placed = report.cloud.disks.iter().find(|placed| placed.disk.disk_id == finding.disk);
    match finding.kind {
        FindingKind::UnclaimedDisk => delete(placed.ok_or("the disk is gone")?, with_data),
        FindingKind::UnwantedAttach => {
            let machine = finding.machine.as_deref().ok_or("no machine is named")?;
            detach(placed.ok_or("the disk is gone")?, machine, report)
        }
        FindingKind::StuckDetach => release(finding, placed),
        FindingKind::OrphanDisk
        | FindingKind::MissingDisk
        | FindingKind::SickDisk
        | FindingKind::SharedDisk
        | FindingKind::StuckAttach
        | FindingKind::FalseAttach => Err(format!("this takes a person: {}", finding.kind.advice())),
    }
}

fn delete(placed: &Placed, with_data: bool) -> Result<Fix, String> {
    let disk = &placed.disk;
    if let Some(reason) = held(disk) {
        return Err(reason);
    }
    // That it is this cluster's the finding says; a disk that nothing says anything of is not to come here.
    Mark::of(disk.label_pairs()).ok_or("no mark says whose it is")?;
    if !with_data {
        let why = match &disk.volume_source_id {
            Some(source) if !source.is_empty() => format!("it was made from {source}, and so holds data"),
            Some(_) | None => {
                "whether it was ever attached, and so holds data, the cloud does not say".to_owned()
            }
        };
        return Err(format!("{why}; --with-data deletes it all the same"));
    }
    let what = format!("{}, {} GiB", disk.disk_name, disk.disk_size);
    Ok(Fix::DeleteDisk { region: placed.region.clone(), disk: disk.disk_id.clone(), what })
}

/// Why a disk is not free to be deleted, if it is not.
pub(super) fn held(disk: &Disk) -> Option<String> {
    if !disk.holders().is_empty() {
        return Some(format!("it is attached to {}; --fix unwanted-attach first", disk.holders().join(", ")));
    }
    // As DeleteVolume: an expired or frozen disk is the cloud side's.
    let free = disk.disk_status.group() == Group::Settled || disk.disk_status == DiskState::Error;
    (!free).then(|| format!("its state is {}", disk.disk_status.as_str()))
}

fn detach(placed: &Placed, machine: &str, report: &Report) -> Result<Fix, String> {
    let id = placed.disk.disk_id.as_str();
    let mut nodes = report
        .cluster
        .nodes
        .iter()
        .filter(|(_, node)| node.id.as_ref().and_then(|id| report.cloud.machine(id)) == Some(machine));
    let Some((name, node)) = nodes.next() else {
        return Err(format!(
            "machine {machine} is no node of this cluster: whoever attached it there may use it"
        ));
    };
    if node.in_use.contains(id) {
        return Err(format!("the kubelet of node {name} says that the disk is in use there"));
    }
    Ok(Fix::Detach { region: placed.region.clone(), disk: id.to_owned(), machine: machine.to_owned() })
}

fn release(finding: &Finding, placed: Option<&Placed>) -> Result<Fix, String> {
    let attachment = finding.attachment.clone().ok_or("no attachment is named")?;
    // That a list leaves the disk out is no proof: it is asked for by itself, in its region.
    let region = finding.region.as_deref().and_then(|region| Region::parse("region", region).ok());
    let region = region.ok_or("the disk's region is not known")?;
    let (disk, machine) = (finding.disk.clone(), finding.machine.clone());
    match placed.and_then(|placed| there(&placed.disk, machine.as_deref())) {
        Some(reason) => Err(reason),
        None => Ok(Fix::Release { attachment, region, disk, machine }),
    }
}

/// Why a disk may still be on the machine, if it may.
pub(super) fn there(disk: &Disk, machine: Option<&str>) -> Option<String> {
    let holders = disk.holders();
    // Whether the node's machine is among them is not known where the machine is not.
    if machine.map_or(!holders.is_empty(), |machine| holders.contains(&machine)) {
        return Some(format!("the cloud still has the disk on {}", holders.join(", ")));
    }
    let busy = disk.disk_status.group() == Group::Busy;
    busy.then(|| format!("the disk's state is {}", disk.disk_status.as_str()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use eck_csi::volume::NodeId;
    use eck_csi_audit::cluster::Node;
    use ecx::api::{Attachment, Label};

    use super::*;

    fn scene(state: DiskState, on: Option<&str>, in_use: bool) -> Report {
        let region = Region::parse("region", "fj-xiamen-4").unwrap();
        let attachments = on.map(|on| Attachment { instance_id: on.to_owned(), ..Attachment::default() });
        let disk = Disk {
            disk_id: "cd-1".to_owned(),
            disk_status: state,
            labels: vec![Label { key: "eck-csi".to_owned(), value: "c1".to_owned() }],
            attachments: attachments.into_iter().collect(),
            ..Disk::default()
        };
        let mut report = Report::default();
        report.cloud.disks.push(Placed { region: region.clone(), disk });
        report.cloud.add_machine(&region, "evm-1", &[]);
        let used: BTreeSet<String> = in_use.then(|| "cd-1".to_owned()).into_iter().collect();
        let id = NodeId::parse("fj-xiamen-4/evm-1".to_owned()).ok();
        report.cluster.nodes.insert("n".to_owned(), Node { id, in_use: used });
        report
    }

    fn of(kind: FindingKind, machine: Option<&str>) -> Finding {
        let (machine, attachment) = (machine.map(str::to_owned), Some("csi-1".to_owned()));
        let region = Some("fj-xiamen-4".to_owned());
        Finding { region, machine, attachment, ..Finding::new(kind, "cd-1", String::new()) }
    }

    fn scene_of(id: &str) -> Report {
        let mut report = scene(DiskState::Available, None, false);
        report.cloud.disks[0].disk.disk_name = format!("pvc-of-{id}");
        report.cloud.disks[0].disk.disk_size = 20;
        report
    }

    #[test]
    fn a_fix_says_what_it_does() {
        let said = |finding: &Finding, report: &Report| fix(finding, report, true).unwrap().to_string();
        assert_eq!(
            said(&of(FindingKind::UnclaimedDisk, None), &scene_of("cd-1")),
            "delete disk cd-1 (pvc-of-cd-1, 20 GiB) in fj-xiamen-4 with all its data"
        );
        assert_eq!(
            said(
                &of(FindingKind::UnwantedAttach, Some("evm-1")),
                &scene(DiskState::InUse, Some("evm-1"), false)
            ),
            "detach disk cd-1 from machine evm-1 in fj-xiamen-4"
        );
        assert_eq!(
            said(&of(FindingKind::StuckDetach, Some("evm-1")), &Report::default()),
            "take the attacher's finalizer from VolumeAttachment csi-1"
        );
    }

    #[test]
    fn an_unclaimed_disk_is_deleted_only_where_nothing_holds_it() {
        let unclaimed = of(FindingKind::UnclaimedDisk, None);
        assert!(matches!(
            fix(&unclaimed, &scene(DiskState::Available, None, false), true),
            Ok(Fix::DeleteDisk { .. })
        ));
        assert_eq!(
            fix(&unclaimed, &scene(DiskState::InUse, Some("evm-1"), false), true).unwrap_err(),
            "it is attached to evm-1; --fix unwanted-attach first"
        );
        for state in [DiskState::Expired, DiskState::Backup, DiskState::Unknown("odd".to_owned())] {
            let reason = format!("its state is {}", state.as_str());
            assert_eq!(fix(&unclaimed, &scene(state, None, false), true).unwrap_err(), reason);
        }
    }

    #[test]
    fn a_disk_that_may_hold_data_is_deleted_only_where_that_is_said_too() {
        let unclaimed = of(FindingKind::UnclaimedDisk, None);
        let mut report = scene(DiskState::Available, None, false);
        assert_eq!(
            fix(&unclaimed, &report, false).unwrap_err(),
            "whether it was ever attached, and so holds data, the cloud does not say; --with-data deletes it all the same"
        );
        report.cloud.disks[0].disk.volume_source_id = Some("cs-1".to_owned());
        let reason = "it was made from cs-1, and so holds data; --with-data deletes it all the same";
        assert_eq!(fix(&unclaimed, &report, false).unwrap_err(), reason);
        assert!(fix(&unclaimed, &report, true).is_ok());
    }

    #[test]
    fn a_disk_is_detached_only_from_a_node_that_does_not_use_it() {
        let unwanted = of(FindingKind::UnwantedAttach, Some("evm-1"));
        let held = |in_use| scene(DiskState::InUse, Some("evm-1"), in_use);
        assert!(matches!(fix(&unwanted, &held(false), true), Ok(Fix::Detach { .. })));
        assert_eq!(
            fix(&unwanted, &held(true), true).unwrap_err(),
            "the kubelet of node n says that the disk is in use there"
        );
        let elsewhere = of(FindingKind::UnwantedAttach, Some("evm-9"));
        assert_eq!(
            fix(&elsewhere, &held(false), true).unwrap_err(),
            "machine evm-9 is no node of this cluster: whoever attached it there may use it"
        );
    }

    #[test]
    fn an_attachment_goes_only_when_the_cloud_says_that_the_disk_is_not_there() {
        let stuck = of(FindingKind::StuckDetach, Some("evm-1"));
        let region = Region::parse("region", "fj-xiamen-4").unwrap();
        let (attachment, disk, machine) = ("csi-1".to_owned(), "cd-1".to_owned(), Some("evm-1".to_owned()));
        let released = Ok(Fix::Release { attachment, region, disk, machine });
        assert_eq!(fix(&stuck, &scene(DiskState::Available, None, false), true), released);
        assert_eq!(fix(&stuck, &scene(DiskState::InUse, Some("evm-2"), false), true), released);
        assert_eq!(fix(&stuck, &Report::default(), true), released);
        assert_eq!(
            fix(&stuck, &scene(DiskState::InUse, Some("evm-1"), false), true).unwrap_err(),
            "the cloud still has the disk on evm-1"
        );
        assert_eq!(
            fix(&stuck, &scene(DiskState::Detaching, None, false), true).unwrap_err(),
            "the disk's state is detaching"
        );
        let nowhere = Finding { region: None, ..stuck };
        assert_eq!(fix(&nowhere, &Report::default(), true).unwrap_err(), "the disk's region is not known");
        // Which machine the node is nobody knows.
        assert_eq!(
            fix(&of(FindingKind::StuckDetach, None), &scene(DiskState::InUse, Some("evm-2"), false), true)
                .unwrap_err(),
            "the cloud still has the disk on evm-2"
        );
    }
}
