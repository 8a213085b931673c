//! Clones, which the controller makes through a temporary snapshot.

use proto::csi::v1 as pb;
use tonic::Code;

use crate::rig::{Rig, code, create_from, create_request, from_volume};

/// An attached volume, and its clone.
struct Cloned {
    rig: Rig,
    source: String,
    clone: pb::Volume,
}

fn clone_request(source: &str) -> pb::CreateVolumeRequest {
    create_from("clone", from_volume(source))
}

impl Cloned {
    async fn new() -> Self {
        let rig = Rig::new();
        let source = rig.create_volume("a").await;
        rig.publish(&source, false).await.unwrap();
        let clone = rig.create(clone_request(&source)).await.unwrap();
        Self { rig, source, clone }
    }
}

#[tokio::test(start_paused = true)]
async fn a_clone_names_its_source() {
    let Cloned { source, clone, .. } = Cloned::new().await;
    assert_eq!(clone.content_source, clone_request(&source).volume_content_source);
    assert_eq!(clone.volume_context["eck.csi.k8s.io/content-source"], source);
}

#[tokio::test(start_paused = true)]
async fn a_clone_leaves_no_snapshot() {
    let Cloned { rig, .. } = Cloned::new().await;
    assert_eq!((rig.snapshot_names().len(), rig.disk_count()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_new_controller_finds_a_clone() {
    let Cloned { mut rig, source, clone } = Cloned::new().await;
    rig.restart_controller();
    assert_eq!(rig.create(clone_request(&source)).await.unwrap().volume_id, clone.volume_id);
    assert_eq!((rig.snapshot_names().len(), rig.disk_count()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_does_not_exist_is_not_cloned() {
    let Cloned { rig, .. } = Cloned::new().await;
    assert_eq!(code(rig.create(create_from("x", from_volume("cd-0"))).await), Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn the_name_of_a_clone_is_not_used_for_a_blank_volume() {
    let Cloned { rig, .. } = Cloned::new().await;
    assert_eq!(code(rig.create(create_request("clone")).await), Code::AlreadyExists);
}

fn set_stock(rig: &Rig, gib: u64) {
    rig.cloud.change(|world| world.set_stock("zj-shaoxing-2", gib)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_clone_that_is_sold_out_leaves_nothing() {
    let rig = Rig::new();
    let source = rig.create_volume("a").await;
    set_stock(&rig, 0);
    assert_eq!(code(rig.create(clone_request(&source)).await), Code::ResourceExhausted);
    assert_eq!((rig.snapshot_names().len(), rig.disk_count()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_clone_that_was_sold_out_is_made_when_there_is_stock_again() {
    let rig = Rig::new();
    let source = rig.create_volume("a").await;
    set_stock(&rig, 0);
    rig.create(clone_request(&source)).await.unwrap_err();
    set_stock(&rig, 100);
    rig.create(clone_request(&source)).await.unwrap();
    assert_eq!((rig.snapshot_names().len(), rig.disk_count()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn the_name_of_a_deleted_clone_is_used_for_a_new_clone() {
    let mut rig = Rig::new();
    let source = rig.create_volume("a").await;
    let first = rig.create(clone_request(&source)).await.unwrap().volume_id;
    rig.delete(&first).await.unwrap();
    rig.restart_controller();
    rig.cloud.change(|world| world.tokens.clear());
    assert_ne!(rig.create(clone_request(&source)).await.unwrap().volume_id, first);
    assert_eq!((rig.snapshot_names().len(), rig.disk_count()), (0, 2));
}
