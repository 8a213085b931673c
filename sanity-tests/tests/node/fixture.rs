//! One volume on one node.

use std::path::PathBuf;

use sanity_tests::kubelet::{Kubelet, Volume, VolumeUse};

use super::rig::Rig;

/// The volume, and where it is staged and published.
pub(crate) struct Fixture {
    pub(crate) rig: Rig,
    pub(crate) kubelet: Kubelet,
    pub(crate) volume: Volume,
    pub(crate) volume_use: VolumeUse,
    pub(crate) staging: PathBuf,
    pub(crate) target: PathBuf,
}

impl Fixture {
    /// The volume is attached.
    pub(crate) async fn attached(volume_use: VolumeUse) -> Self {
        let rig = Rig::start(1).await;
        let (kubelet, volume) = (rig.kubelet(0), rig.volume("pvc-1", 0).await);
        let (staging, target) = (rig.path("globalmount"), rig.path("pod"));
        Self { rig, kubelet, volume, volume_use, staging, target }
    }

    /// The volume is staged.
    pub(crate) async fn staged(volume_use: VolumeUse) -> Self {
        let fixture = Self::attached(volume_use).await;
        fixture.kubelet.stage(&fixture.volume, &fixture.staging, &fixture.volume_use).await.unwrap();
        fixture
    }

    /// The volume is published to one pod.
    pub(crate) async fn published(volume_use: VolumeUse) -> Self {
        let fixture = Self::staged(volume_use).await;
        fixture.publish(&fixture.volume_use).await;
        fixture
    }

    /// Publishes it to the pod.
    pub(crate) async fn publish(&self, volume_use: &VolumeUse) {
        self.kubelet.publish(&self.volume, &self.staging, &self.target, volume_use).await.unwrap();
    }

    /// The volume's block device.
    pub(crate) fn device(&self) -> String {
        self.rig.device(&self.volume, 0)
    }

    /// Bytes of the volume as the pod sees it.
    pub(crate) async fn total_bytes(&self) -> i64 {
        self.kubelet.stats(&self.volume, &self.target).await.unwrap()[0].total
    }

    /// Unpublishes and unstages the volume, and asserts that nothing is left.
    pub(crate) async fn finish(self) {
        self.kubelet.unpublish(&self.volume, &self.target).await.unwrap();
        self.kubelet.unstage(&self.volume, &self.staging).await.unwrap();
        self.rig.finish().await;
    }
}
