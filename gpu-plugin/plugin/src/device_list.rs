//! ListAndWatch: the devices of one resource, sent whenever they change.

use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use proto::deviceplugin::v1beta1 as pb;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::{error, info};

use crate::context::PluginContext;
use crate::devices;
use crate::driver::GpuSnapshot;
use crate::resource::Resource;

/// A stream that ends so soon after a message was refused, not abandoned: the kubelet tells a plugin no other way that a message
/// was too long or unreadable.
const REFUSED: Duration = Duration::from_secs(5);

/// A list that the kubelet watches.
pub(crate) struct DeviceList {
    context: PluginContext,
    resource: Resource,
    snapshots: watch::Receiver<Arc<GpuSnapshot>>,
    token: CancellationToken,
    sent: Option<(Vec<pb::Device>, Instant)>,
}

impl DeviceList {
    /// Ends when `token` fires.
    pub(crate) fn new(context: PluginContext, resource: Resource, token: CancellationToken) -> Self {
        let snapshots = context.gpu_watch.snapshot.clone();
        Self { context, resource, snapshots, token, sent: None }
    }

    /// What is sent, one message after the other.
    pub(crate) fn messages(self) -> impl Stream<Item = Result<pb::ListAndWatchResponse, Status>> {
        futures::stream::unfold(self, Self::next)
    }

    /// The next list that differs from the last one.
    async fn next(mut self) -> Option<(Result<pb::ListAndWatchResponse, Status>, Self)> {
        loop {
            let devices = devices::list(self.resource, &self.snapshots.borrow_and_update().cards);
            if self.sent.as_ref().is_none_or(|(sent, _)| *sent != devices) {
                let healthy = devices.iter().filter(|device| device.health == "Healthy").count();
                info!(resource = self.resource.name(), devices = devices.len(), healthy, "List sent");
                self.context.counts.listed(self.resource);
                self.sent = Some((devices.clone(), Instant::now()));
                return Some((Ok(pb::ListAndWatchResponse { devices }), self));
            }
            tokio::select! {
                () = self.token.cancelled() => return None,
                changed = self.snapshots.changed() => changed.ok()?,
            }
        }
    }
}

impl Drop for DeviceList {
    fn drop(&mut self) {
        let Some((devices, at)) = self.sent.take().filter(|_| !self.token.is_cancelled()) else { return };
        let (resource, devices) = (self.resource.name(), devices.len());
        if at.elapsed() < REFUSED {
            let ms = at.elapsed().as_millis();
            error!(
                resource,
                devices, ms, "The kubelet closed the stream right after a list: it refused it, or ended"
            );
        } else {
            info!(resource, "The kubelet closed the stream");
        }
    }
}
