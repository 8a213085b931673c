//! Snapshots of volumes and volumes made from them.

use proto::csi::v1 as pb;
use proto::csi::v1::controller_server::Controller as _;
use tonic::{Code, Request};

use crate::rig::{GIB, OTHER_REGION, Rig, claim, code, from, parameters, persist, snapshot, within};

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_found_by_its_name_and_belongs_to_one_volume() {
    let mut rig = Rig::new();
    let (a, b) = (rig.create(claim("a")).await.unwrap(), rig.create(claim("b")).await.unwrap());
    let first = rig.snap("s", &a.volume_id).await.unwrap();
    assert_eq!((first.size_bytes, first.source_volume_id.as_str()), (20 * GIB, a.volume_id.as_str()));
    assert!(first.creation_time.is_some() && first.accessible_topology == a.accessible_topology);
    rig.restart();
    assert_eq!(rig.snap("s", &a.volume_id).await.unwrap().snapshot_id, first.snapshot_id);
    assert_eq!(code(rig.snap("s", &b.volume_id).await), Code::AlreadyExists);
    assert_eq!(code(rig.snap("t", "cd-0").await), Code::NotFound);
    // The cloud's filter is fuzzy: a name that is part of another one is another name.
    let longer = rig.snap("s-2", &b.volume_id).await.unwrap();
    assert_ne!(longer.snapshot_id, first.snapshot_id);
    assert_eq!(rig.snapshots().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_volume_with_snapshots_stays_until_they_are_gone() {
    let rig = Rig::new();
    let volume = rig.create(claim("a")).await.unwrap().volume_id;
    let snapshot = rig.snap("s", &volume).await.unwrap().snapshot_id;
    let refused = rig.delete(&volume).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("cs-"), "{refused}");
    rig.unsnap(&snapshot).await.unwrap();
    rig.unsnap(&snapshot).await.unwrap();
    rig.delete(&volume).await.unwrap();
    assert_eq!((rig.disks(), rig.snapshots().len()), (0, 0));
    for never in ["x", "zj-shaoxing-2/cs-0", "xx-1/cs-1"] {
        rig.unsnap(never).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_restored_where_its_snapshot_is_and_not_smaller() {
    let mut rig = Rig::new();
    let big = Some(pb::CapacityRange { required_bytes: 40 * GIB, limit_bytes: 0 });
    let class = parameters(&[("diskType", "SSD")]);
    let q = pb::CreateVolumeRequest { capacity_range: big, parameters: class, ..claim("a") };
    let source = rig.create(q).await.unwrap().volume_id;
    let taken = rig.snap("s", &source).await.unwrap();
    let ask = || from("r", snapshot(&taken.snapshot_id));
    let restored = rig.create(ask()).await.unwrap();
    assert_eq!(restored.capacity_bytes, 40 * GIB);
    assert_eq!(restored.content_source, ask().volume_content_source);
    assert_eq!(restored.volume_context["eck.csi.k8s.io/content-source"], taken.snapshot_id);
    let made = rig.cloud.look(|world| world.disks[&restored.volume_id].disk.clone());
    assert_eq!(taken.snapshot_id, format!("zj-shaoxing-2/{}", made.volume_source_id.unwrap()));
    assert_eq!(made.disk_type, "SSD");

    rig.restart();
    assert_eq!(rig.create(ask()).await.unwrap().volume_id, restored.volume_id, "a retry has the same disk");
    let small = Some(pb::CapacityRange { required_bytes: 20 * GIB, limit_bytes: 30 * GIB });
    let small = pb::CreateVolumeRequest { name: "small".into(), capacity_range: small, ..ask() };
    assert_eq!(code(rig.create(small).await), Code::OutOfRange);
    let away = Some(within(OTHER_REGION));
    let away = pb::CreateVolumeRequest { name: "away".into(), accessibility_requirements: away, ..ask() };
    assert_eq!(code(rig.create(away).await), Code::ResourceExhausted);
    let class = parameters(&[("diskType", "SATA")]);
    let other = pb::CreateVolumeRequest { name: "other".into(), parameters: class, ..ask() };
    assert_eq!(code(rig.create(other).await), Code::InvalidArgument);
    assert_eq!(rig.disks(), 2, "what is refused orders nothing");
    // The snapshot can go, and the retry that comes after still has its disk.
    rig.unsnap(&taken.snapshot_id).await.unwrap();
    assert_eq!(rig.create(ask()).await.unwrap().volume_id, restored.volume_id);
    let late = rig.create(from("late", snapshot(&taken.snapshot_id))).await;
    assert_eq!(code(late), Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_never_given_to_a_volume_of_other_content() {
    let rig = Rig::new();
    let source = rig.create(claim("a")).await.unwrap().volume_id;
    let first = rig.snap("s1", &source).await.unwrap().snapshot_id;
    let second = rig.snap("s2", &source).await.unwrap().snapshot_id;
    rig.create(from("r", snapshot(&first))).await.unwrap();
    assert_eq!(code(rig.create(from("r", snapshot(&second))).await), Code::AlreadyExists);
    assert_eq!(code(rig.create(claim("r")).await), Code::AlreadyExists);
    assert_eq!(code(rig.create(from("a", snapshot(&first))).await), Code::AlreadyExists);
    assert_eq!(rig.disks(), 2);
}

#[tokio::test(start_paused = true)]
async fn snapshots_are_listed_in_pages_and_by_id_and_volume() {
    let rig = Rig::new();
    let a = rig.create(claim("a")).await.unwrap().volume_id;
    let away =
        pb::CreateVolumeRequest { accessibility_requirements: Some(within(OTHER_REGION)), ..claim("b") };
    let b = rig.create(away).await.unwrap().volume_id;
    let mut ids = Vec::new();
    for (name, volume) in [("1", &a), ("22", &a), ("33", &b)] {
        ids.push(persist(async || rig.snap(name, volume).await).await.unwrap().snapshot_id);
    }
    ids.sort();
    let list = async |q: pb::ListSnapshotsRequest| {
        let told = rig.controller.list_snapshots(Request::new(q)).await?.into_inner();
        let ids = told.entries.into_iter().map(|entry| entry.snapshot.unwrap().snapshot_id);
        Ok::<_, tonic::Status>((ids.collect::<Vec<_>>(), told.next_token))
    };
    let (first, token) =
        list(pb::ListSnapshotsRequest { max_entries: 2, ..Default::default() }).await.unwrap();
    let rest = pb::ListSnapshotsRequest { max_entries: 2, starting_token: token, ..Default::default() };
    let (second, end) = list(rest).await.unwrap();
    assert_eq!(([first, second].concat(), end.as_str()), (ids.clone(), ""));
    let of_b = pb::ListSnapshotsRequest { source_volume_id: b, ..Default::default() };
    assert_eq!(list(of_b).await.unwrap().0.len(), 1);
    let one = pb::ListSnapshotsRequest { snapshot_id: ids[1].clone(), ..Default::default() };
    assert_eq!(list(one).await.unwrap().0, [ids[1].clone()]);
    let bad = pb::ListSnapshotsRequest { starting_token: "5".into(), ..Default::default() };
    assert_eq!(code(list(bad).await), Code::Aborted);
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_published_for_reading_only_or_not_and_the_node_is_told() {
    let rig = Rig::new();
    let volume = rig.create(claim("a")).await.unwrap().volume_id;
    let context = rig.publish(&volume, true).await.unwrap();
    assert_eq!(context["eck.csi.k8s.io/readonly"], "true");
    assert_eq!(rig.publish(&volume, true).await.unwrap(), context);
    assert_eq!(code(rig.publish(&volume, false).await), Code::AlreadyExists);
    rig.unpublish(&volume).await.unwrap();
    assert!(!rig.publish(&volume, false).await.unwrap().contains_key("eck.csi.k8s.io/readonly"));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_the_cloud_has_taken_out_of_service_is_told_as_ill() {
    let rig = Rig::new();
    let volume_id = rig.create(claim("a")).await.unwrap().volume_id;
    let health = async || {
        let q = pb::ControllerGetVolumeHealthRequest { volume_id: volume_id.clone(), ..Default::default() };
        let told = rig.controller.controller_get_volume_health(Request::new(q)).await.unwrap();
        told.into_inner().volume_health.unwrap()
    };
    assert!(health().await.health_statuses.is_empty());
    let expired = ecx::api::DiskState::parse("expired");
    rig.cloud.change(|world| world.disks.get_mut(&volume_id).unwrap().disk.disk_status = expired);
    let ill = health().await.health_statuses;
    assert_eq!((ill.len(), ill[0].reason.as_str()), (1, "DiskExpired"));
    let all = rig.controller.controller_list_volume_health(Request::new(Default::default())).await.unwrap();
    assert_eq!(all.into_inner().entries[0].health_statuses, ill);
}
