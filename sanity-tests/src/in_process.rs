//! The controller served from this process, behind a real unix socket, put together as `eck_csi_controller::run` does.

use std::sync::Arc;

use eck_csi::cluster::ClusterIdentity;
use eck_csi::identity::Identity;
use eck_csi::volume::Region;
use eck_csi_controller::driver::Driver;
use eck_csi_controller::service::Controller;
use ecx::{Client, Connection, Credentials, Profile};
use proto::csi::v1::controller_server::ControllerServer;
use proto::csi::v1::group_controller_server::GroupControllerServer;
use proto::csi::v1::identity_server::IdentityServer;
use serve::admin::Ready;
use serve::metrics::Metrics;
use serve::{grpc, uds};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Channel;

/// The cluster that the controller serves.
pub const CLUSTER: &str = "test";

/// Why no controller serves.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// HTTP.
    #[error(transparent)]
    Client(#[from] ecx::client::BadClient),
    /// A region's code.
    #[error(transparent)]
    Region(#[from] eck_csi::field::BadField),
    /// The socket's folder.
    #[error("no folder for the socket")]
    Folder(#[from] std::io::Error),
    /// The socket.
    #[error(transparent)]
    Bind(#[from] uds::BindError),
    /// Our own connection to it.
    #[error("cannot connect to the controller's own socket")]
    Connect(#[from] tonic::transport::Error),
}

/// A running controller. When this is dropped it serves no more; operations that run go on until the caller's runtime ends,
/// so only a process of its own can be killed in the midst of one.
pub struct InProcess {
    channel: Channel,
    stop: CancellationToken,
    // Held for its life: the socket lies in it.
    _folder: tempfile::TempDir,
}

impl InProcess {
    /// Serves a new controller, which knows nothing yet, for the cloud of `profile` and the cluster's `regions`.
    pub async fn start<'a>(
        profile: Profile,
        credentials: Credentials,
        regions: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, StartError> {
        let client = Arc::new(Client::new(profile, credentials, &Connection::new(true))?);
        let regions = regions.into_iter().map(|code| Region::parse("regions", code));
        let driver =
            Arc::new(Driver::new(client, ClusterIdentity::of(CLUSTER), regions.collect::<Result<_, _>>()?));
        let controller = Controller::new(driver);
        let ready = Ready::not_yet("starting");
        ready.set(Ok(()));
        let identity = Identity::new(ready, env!("CARGO_PKG_VERSION"));
        let routes = Routes::new(IdentityServer::new(identity))
            .add_service(ControllerServer::new(controller.clone()))
            .add_service(GroupControllerServer::new(controller));
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("csi.sock");
        let socket = uds::bind(&path).await?;
        let stop = CancellationToken::new();
        let ends = stop.clone();
        tokio::spawn(async move {
            let never = CancellationToken::new();
            let serving = grpc::serve(routes, socket, Metrics::default(), never, std::future::ready(()));
            // Not the graceful end: whoever drops a controller wants it gone.
            tokio::select! {
                _ = serving => {}
                () = ends.cancelled() => {}
            }
        });
        Ok(Self { channel: uds::connect(&path).await?, stop, _folder: folder })
    }

    /// A connection to the controller.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
