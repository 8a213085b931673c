//! Clones, which go through a snapshot that nobody sees.

use tonic::Code;

use crate::rig::{Rig, claim, code, from, volume};

#[tokio::test(start_paused = true)]
async fn a_clone_leaves_no_snapshot_and_a_retry_has_the_same_disk() {
    let mut rig = Rig::new();
    let source = rig.create(claim("a")).await.unwrap().volume_id;
    rig.publish(&source, false).await.unwrap();
    let ask = || from("clone", volume(&source));
    let clone = rig.create(ask()).await.unwrap();
    assert_eq!(clone.content_source, ask().volume_content_source);
    assert_eq!(clone.volume_context["eck.csi.k8s.io/content-source"], source);
    assert_eq!((rig.snapshots().len(), rig.disks()), (0, 2));
    rig.restart();
    assert_eq!(rig.create(ask()).await.unwrap().volume_id, clone.volume_id);
    assert_eq!((rig.snapshots().len(), rig.disks()), (0, 2));
    assert_eq!(code(rig.create(from("x", volume("cd-0"))).await), Code::NotFound);
    assert_eq!(code(rig.create(claim("clone")).await), Code::AlreadyExists);
}

#[tokio::test(start_paused = true)]
async fn a_clone_that_cannot_be_ordered_leaves_nothing_and_can_be_asked_for_again() {
    let mut rig = Rig::new();
    let source = rig.create(claim("a")).await.unwrap().volume_id;
    let stock = |rig: &Rig, gib| rig.cloud.change(|world| world.set_stock("zj-shaoxing-2", gib)).unwrap();
    stock(&rig, 0);
    let ask = || from("clone", volume(&source));
    assert_eq!(code(rig.create(ask()).await), Code::ResourceExhausted);
    assert_eq!((rig.snapshots().len(), rig.disks()), (0, 1));
    stock(&rig, 100);
    rig.create(ask()).await.unwrap();
    assert_eq!((rig.snapshots().len(), rig.disks()), (0, 2));
    // The same name once more, after all of it is gone: another clone of what is there now.
    let first = rig.create(ask()).await.unwrap().volume_id;
    rig.delete(&first).await.unwrap();
    rig.restart();
    rig.cloud.change(|world| world.tokens.clear());
    assert_ne!(rig.create(ask()).await.unwrap().volume_id, first);
    assert_eq!((rig.snapshots().len(), rig.disks()), (0, 2));
}
