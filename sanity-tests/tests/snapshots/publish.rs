//! Volumes that are published read-only.

use tonic::Code;

use crate::rig::{Rig, code};

const READONLY: &str = "eck.csi.k8s.io/readonly";

/// A volume that is published read-only, and its publish context.
async fn published_read_only() -> (Rig, String, std::collections::HashMap<String, String>) {
    let rig = Rig::new();
    let volume = rig.create_volume("a").await;
    let context = rig.publish(&volume, true).await.unwrap();
    (rig, volume, context)
}

#[tokio::test(start_paused = true)]
async fn the_node_is_told_that_a_volume_is_read_only() {
    let (_rig, _volume, context) = published_read_only().await;
    assert_eq!(context[READONLY], "true");
}

#[tokio::test(start_paused = true)]
async fn publishing_read_only_twice_returns_the_same_context() {
    let (rig, volume, context) = published_read_only().await;
    assert_eq!(rig.publish(&volume, true).await.unwrap(), context);
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_is_published_read_only_is_not_published_writable() {
    let (rig, volume, _context) = published_read_only().await;
    assert_eq!(code(rig.publish(&volume, false).await), Code::AlreadyExists);
}

#[tokio::test(start_paused = true)]
async fn after_it_was_unpublished_a_volume_can_be_published_writable() {
    let (rig, volume, _context) = published_read_only().await;
    rig.unpublish(&volume).await.unwrap();
    assert!(!rig.publish(&volume, false).await.unwrap().contains_key(READONLY));
}
