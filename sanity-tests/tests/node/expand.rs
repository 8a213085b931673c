//! File systems that grow with their disk.

use std::time::Duration;

use sanity_tests::kubelet::VolumeUse;

use super::fixture::Fixture;

/// A published xfs whose disk was expanded to 40 GiB while it was detached.
async fn expanded_while_detached() -> Fixture {
    let mut fixture = Fixture::staged(VolumeUse::mount("xfs")).await;
    fixture.kubelet.unstage(&fixture.volume, &fixture.staging).await.unwrap();
    fixture.rig.detach(&fixture.volume, 0).await;
    fixture.rig.expand(&fixture.volume, 40).await;
    fixture.rig.attach(&mut fixture.volume, 0).await;
    fixture.kubelet.stage(&fixture.volume, &fixture.staging, &fixture.volume_use).await.unwrap();
    fixture.publish(&fixture.volume_use).await;
    fixture
}

#[tokio::test]
async fn a_disk_that_was_expanded_while_detached_is_filled_when_it_is_staged() {
    let fixture = expanded_while_detached().await;
    let total = fixture.total_bytes().await;
    assert!(total > 39 << 30, "{total}");
    fixture.finish().await;
}

/// The retry joins the call that its caller gave up, which still waits for the kernel's event.
#[tokio::test]
async fn an_expansion_succeeds_when_the_disk_has_grown_and_not_before() {
    let fixture = expanded_while_detached().await;
    let expand = || fixture.kubelet.expand(&fixture.volume, &fixture.target, 50 << 30);
    let early = tokio::time::timeout(Duration::from_millis(300), expand()).await;
    assert!(early.is_err(), "an expansion that has not happened was reported as done");
    fixture.rig.expand(&fixture.volume, 50).await;
    assert_eq!(expand().await.unwrap(), 50 << 30);
    let total = fixture.total_bytes().await;
    assert!(total > 49 << 30, "{total}");
    fixture.finish().await;
}
