use eck_csi::cluster::ClusterUid;
use eck_csi::driver::CLUSTER_UID_LABEL;
use eck_csi::volume::{NodeId, Region};
use ecx::api::{Attachment as Held, Disk, Label};

use super::*;
use crate::cluster::Node;

const NOW: Millis = 100 * 60_000;
const UID: &str = "0f3f1d9e-0acf-4a0e-a5d4-8fb1f43e62e5";

fn region() -> Region {
    Region::parse("region", "fj-xiamen-4").unwrap()
}

fn disk(id: &str, label: Option<&str>, state: DiskState, on: &[&str]) -> Placed {
    let labels = label.map(|value| Label { key: "eck-csi".to_owned(), value: value.to_owned() });
    let held = on.iter().map(|on| Held { instance_id: (*on).to_owned(), ..Held::default() });
    let disk = Disk {
        disk_id: id.to_owned(),
        disk_name: format!("pvc-{UID}"),
        disk_size: 20,
        disk_status: state,
        labels: labels.into_iter().collect(),
        attachments: held.collect(),
        create_time: Some(0),
        ..Disk::default()
    };
    Placed { region: region(), disk }
}

fn cloud(disks: Vec<Placed>) -> Cloud {
    let mut cloud = Cloud { disks, ..Cloud::default() };
    cloud.add_machine(&region(), "evm-1", &[[172, 16, 0, 6].into()]);
    cloud.add_machine(&region(), "evm-2", &[[172, 16, 0, 7].into()]);
    cloud
}

fn volume(name: &str, disk: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        disk: disk.to_owned(),
        region: Some("fj-xiamen-4".to_owned()),
        phase: "Bound".to_owned(),
        reclaim: "Delete".to_owned(),
        deleting: false,
    }
}

fn attachment(volume: &str, node: &str, attached: bool) -> Attachment {
    let (name, volume, node) = (format!("csi-{volume}-{node}"), volume.to_owned(), node.to_owned());
    Attachment { name, volume, node, attached, ..Attachment::default() }
}

fn cluster(volumes: Vec<Volume>, attachments: Vec<Attachment>) -> Cluster {
    let node = |ip: &str| NodeId::parse(format!("fj-xiamen-4.{ip}")).ok();
    let one = Node { id: node("172.16.0.6"), ..Node::default() };
    let two = Node { id: NodeId::parse("fj-xiamen-4/evm-2".to_owned()).ok(), ..Node::default() };
    let nodes = [("n1".to_owned(), one), ("n2".to_owned(), two), ("new".to_owned(), Node::default())].into();
    Cluster { volumes, attachments, nodes, claims: BTreeSet::new() }
}

fn found(cluster: &Cluster, cloud: &Cloud) -> Vec<(FindingKind, String)> {
    found_by(&ClusterIdentity::of("c1"), cluster, cloud)
}

/// What the cluster of this identity finds.
fn found_by(own: &ClusterIdentity, cluster: &Cluster, cloud: &Cloud) -> Vec<(FindingKind, String)> {
    let terms = Terms { cluster: own, now: NOW, grace: Duration::from_secs(600) };
    decide(cluster, cloud, &terms).into_iter().map(|finding| (finding.kind, finding.disk)).collect()
}

fn one(kind: FindingKind) -> Vec<(FindingKind, String)> {
    vec![(kind, "cd-1".to_owned())]
}

#[test]
fn a_healthy_cluster_has_no_findings() {
    let cloud = cloud(vec![
        disk("cd-1", Some("c1"), DiskState::InUse, &["evm-1"]),
        disk("cd-2", None, DiskState::Available, &[]),
        disk("cd-3", Some("c1"), DiskState::InUse, &["evm-2"]),
    ]);
    let volumes = vec![volume("a", "cd-1"), volume("b", "cd-2"), volume("c", "cd-3")];
    let attachments = vec![attachment("a", "n1", true), attachment("c", "n2", true)];
    assert_eq!(found(&cluster(volumes, attachments), &cloud), []);
}

#[test]
fn a_disk_of_ours_without_a_volume_is_unclaimed_once_nobody_waits_for_it() {
    let unclaimed = || disk("cd-1", Some("c1"), DiskState::Available, &[]);
    let nobody = cluster(vec![], vec![]);
    assert_eq!(found(&nobody, &cloud(vec![unclaimed()])), one(FindingKind::UnclaimedDisk));
    let mut young = unclaimed();
    young.disk.create_time = Some(NOW - 1000);
    assert_eq!(found(&nobody, &cloud(vec![young])), []);
    let mut waited_for = nobody.clone();
    waited_for.claims.insert(UID.to_owned());
    assert_eq!(found(&waited_for, &cloud(vec![unclaimed()])), []);
    let going = disk("cd-1", Some("c1"), DiskState::Deleting, &[]);
    assert_eq!(found(&nobody, &cloud(vec![going])), []);
    assert_eq!(found(&cluster(vec![volume("a", "cd-1")], vec![]), &cloud(vec![unclaimed()])), []);
}

#[test]
fn a_disk_of_another_cluster_is_none_of_our_business_and_one_of_nobody_an_orphan() {
    let nobody = cluster(vec![], vec![]);
    let of = |label| disk("cd-1", label, DiskState::Available, &[]);
    assert_eq!(found(&nobody, &cloud(vec![of(Some("c2"))])), []);
    assert_eq!(found(&nobody, &cloud(vec![of(None)])), one(FindingKind::OrphanDisk));
    let mut handmade = of(None);
    handmade.disk.disk_name = "pvc-of-the-boss".to_owned();
    assert_eq!(found(&nobody, &cloud(vec![handmade])), []);
}

/// Of two clusters with one id: the one of this number, and a disk that it ordered.
fn twin(number: u8, state: DiskState, on: &[&str]) -> (ClusterIdentity, Placed) {
    let uid = ClusterUid::parse(&number.to_string().repeat(32)).unwrap();
    let mut placed = disk("cd-1", Some("c1"), state, on);
    placed.disk.labels.push(Label { key: CLUSTER_UID_LABEL.to_owned(), value: uid.label_value() });
    (ClusterIdentity { uid: Some(uid), ..ClusterIdentity::of("c1") }, placed)
}

#[test]
fn a_disk_of_another_cluster_with_the_same_id_is_none_of_our_business() {
    let nobody = cluster(vec![], vec![]);
    let (own, unclaimed) = twin(1, DiskState::Available, &[]);
    let (other, _) = twin(2, DiskState::Available, &[]);
    let cloud = cloud(vec![unclaimed]);
    assert_eq!(found_by(&own, &nobody, &cloud), one(FindingKind::UnclaimedDisk));
    assert_eq!(found_by(&other, &nobody, &cloud), []);
    let rebuilt = ClusterIdentity { former_uids: own.uid.into_iter().collect(), ..other };
    assert_eq!(found_by(&rebuilt, &nobody, &cloud), one(FindingKind::UnclaimedDisk));
}

#[test]
fn where_another_clusters_disk_is_attached_is_that_clusters_affair_whoever_names_it() {
    let named = cluster(vec![volume("a", "cd-1")], vec![]);
    let (own, attached) = twin(1, DiskState::InUse, &["evm-1"]);
    let (other, _) = twin(2, DiskState::InUse, &[]);
    let cloud = cloud(vec![attached]);
    assert_eq!(found_by(&own, &named, &cloud), one(FindingKind::UnwantedAttach));
    assert_eq!(found_by(&other, &named, &cloud), []);
}

#[test]
fn a_volume_without_its_disk_is_found_where_the_cloud_was_looked_at() {
    let gone = cluster(vec![volume("a", "cd-1")], vec![]);
    assert_eq!(found(&gone, &cloud(vec![])), one(FindingKind::MissingDisk));
    // Nothing was seen of this region.
    assert_eq!(found(&gone, &Cloud::default()), []);
    let mut deleted = volume("a", "cd-1");
    deleted.phase = "Released".to_owned();
    assert_eq!(found(&cluster(vec![deleted.clone()], vec![]), &cloud(vec![])), []);
    deleted.reclaim = "Retain".to_owned();
    assert_eq!(found(&cluster(vec![deleted.clone()], vec![]), &cloud(vec![])), one(FindingKind::MissingDisk));
    deleted.deleting = true;
    assert_eq!(found(&cluster(vec![deleted], vec![]), &cloud(vec![])), []);
}

#[test]
fn nothing_is_missing_or_unclaimed_where_not_every_disk_was_seen() {
    let unclaimed = || disk("cd-1", Some("c1"), DiskState::Available, &[]);
    let orphan = Placed {
        disk: Disk { disk_id: "cd-2".to_owned(), ..disk("", None, DiskState::Available, &[]).disk },
        ..unclaimed()
    };
    let held = disk("cd-3", Some("c1"), DiskState::InUse, &["evm-1"]);
    let volumes = vec![
        volume("gone", "cd-9"),
        Volume { region: None, ..volume("anywhere", "cd-8") },
        volume("held", "cd-3"),
    ];
    let mut cloud = cloud(vec![unclaimed(), orphan, held]);
    cloud.lacks(&region(), true, "the list of disks shows 3 of 4");
    let unwanted = (FindingKind::UnwantedAttach, "cd-3".to_owned());
    assert_eq!(found(&cluster(volumes.clone(), vec![]), &cloud), [unwanted], "what was seen is told");
    // Of a volume that names no region any region's list can be the one that leaves it out.
    let other = Region::parse("region", "zj-shaoxing-2").unwrap();
    cloud.unread = [(other, cloud.unread.remove(&region()).unwrap())].into();
    let kinds: Vec<_> = found(&cluster(volumes, vec![]), &cloud).into_iter().map(|(_, disk)| disk).collect();
    assert_eq!(kinds, ["cd-1", "cd-2", "cd-9", "cd-3"]);
}

#[test]
fn machines_that_could_not_be_read_hide_no_disk() {
    let mut cloud = cloud(vec![disk("cd-1", Some("c1"), DiskState::Available, &[])]);
    cloud.lacks(&region(), false, "a record of a machine cannot be read");
    assert_eq!(found(&cluster(vec![], vec![]), &cloud), one(FindingKind::UnclaimedDisk));
}

#[test]
fn of_an_attachment_whose_disk_was_not_read_nothing_is_made_up() {
    let mut parting = attachment("a", "n1", true);
    parting.deleting = Some(0);
    let own = ClusterIdentity::of("c1");
    let terms = Terms { cluster: &own, now: NOW, grace: Duration::from_secs(600) };
    let mut cloud = cloud(vec![]);
    cloud.lacks(&region(), true, "the list of disks shows 0 of 1");
    let said = decide(&cluster(vec![volume("a", "cd-1")], vec![parting]), &cloud, &terms).remove(0);
    assert_eq!(said.kind, FindingKind::StuckDetach);
    assert!(said.message.ends_with("for 100 min; where it is could not be read"), "{said:?}");
}

#[test]
fn a_disk_that_the_cloud_stopped_and_one_under_two_volumes_are_found() {
    let expired = cloud(vec![disk("cd-1", Some("c1"), DiskState::Expired, &[])]);
    assert_eq!(found(&cluster(vec![volume("a", "cd-1")], vec![]), &expired), one(FindingKind::SickDisk));
    let two = cluster(vec![volume("a", "cd-1"), volume("b", "cd-1")], vec![]);
    let healthy = cloud(vec![disk("cd-1", None, DiskState::Available, &[])]);
    assert_eq!(found(&two, &healthy), one(FindingKind::SharedDisk));
}

#[test]
fn a_disk_on_a_machine_that_nobody_named_is_unwanted() {
    let on = |state, machine| cloud(vec![disk("cd-1", Some("c1"), state, &[machine])]);
    let unused = || cluster(vec![volume("a", "cd-1")], vec![]);
    assert_eq!(found(&unused(), &on(DiskState::InUse, "evm-1")), one(FindingKind::UnwantedAttach));
    // It is leaving.
    assert_eq!(found(&unused(), &on(DiskState::Detaching, "evm-1")), []);
    let elsewhere = cluster(vec![volume("a", "cd-1")], vec![attachment("a", "n2", false)]);
    let both = found(&elsewhere, &on(DiskState::InUse, "evm-1"));
    assert_eq!(
        both.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
        [FindingKind::StuckAttach, FindingKind::UnwantedAttach]
    );
    // Whose machine that is nobody knows yet: it may be this one.
    let mut unknown = attachment("a", "new", false);
    unknown.created = NOW;
    assert_eq!(found(&cluster(vec![volume("a", "cd-1")], vec![unknown]), &on(DiskState::InUse, "evm-1")), []);
    // A disk that carries no mark of ours may be attached wherever its owner likes.
    let foreign = cloud(vec![disk("cd-1", Some("c2"), DiskState::InUse, &["evm-1"])]);
    assert_eq!(found(&cluster(vec![], vec![]), &foreign), []);
}

#[test]
fn attachments_that_do_not_come_about_or_end_are_stuck_and_lies_are_told() {
    let free = || cloud(vec![disk("cd-1", Some("c1"), DiskState::Available, &[])]);
    let with = |attachment| cluster(vec![volume("a", "cd-1")], vec![attachment]);
    let mut wish = attachment("a", "n1", false);
    wish.error = Some("sold out".to_owned());
    let own = ClusterIdentity::of("c1");
    let terms = Terms { cluster: &own, now: NOW, grace: Duration::from_secs(600) };
    let said = decide(&with(wish.clone()), &free(), &terms).remove(0);
    assert_eq!(said.kind, FindingKind::StuckAttach);
    assert!(
        said.message.ends_with("for 100 min; the cloud has it on no machine, available: sold out"),
        "{said:?}"
    );
    wish.created = NOW - 1000;
    assert_eq!(found(&with(wish), &free()), []);
    let mut parting = attachment("a", "n1", true);
    parting.deleting = Some(NOW - 1000);
    assert_eq!(found(&with(parting.clone()), &free()), []);
    parting.deleting = Some(0);
    assert_eq!(found(&with(parting), &free()), one(FindingKind::StuckDetach));
    assert_eq!(found(&with(attachment("a", "n1", true)), &free()), one(FindingKind::FalseAttach));
    let arriving = cloud(vec![disk("cd-1", Some("c1"), DiskState::Attaching, &[])]);
    assert_eq!(found(&with(attachment("a", "n1", true)), &arriving), []);
}

#[test]
fn the_second_disk_of_a_claim_that_has_its_volume_is_unclaimed() {
    let mut both = cluster(vec![volume(&format!("pvc-{UID}"), "cd-2")], vec![]);
    both.claims.insert(UID.to_owned());
    let disks = ["cd-1", "cd-2"].map(|id| disk(id, Some("c1"), DiskState::Available, &[]));
    assert_eq!(found(&both, &cloud(disks.into())), one(FindingKind::UnclaimedDisk));
}

#[test]
fn of_two_machines_with_one_address_none_is_known_to_be_the_node() {
    let mut cloud = cloud(vec![disk("cd-1", Some("c1"), DiskState::InUse, &["evm-1"])]);
    let cluster = cluster(vec![volume("a", "cd-1")], vec![attachment("a", "n1", true)]);
    assert_eq!(found(&cluster, &cloud), []);
    // The disk may be on either; neither is called wrong.
    cloud.add_machine(&region(), "evm-of-another-vpc", &[[172, 16, 0, 6].into()]);
    assert_eq!(found(&cluster, &cloud), []);
    assert_eq!(cloud.machine(cluster.nodes["n1"].id.as_ref().unwrap()), None);
}
