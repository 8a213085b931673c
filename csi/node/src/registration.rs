//! The kubelet's plugin registration, v1: this program is its own registrar, so that a DaemonSet needs one container.
//!
//! The kubelet watches a folder and asks each socket that appears there who it is. When the kubelet restarts it looks at
//! the folder anew; when the socket is taken away (a node that is cleaned up, a folder made anew), it is put there again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use eck_csi::driver::DRIVER_NAME;
use proto::pluginregistration as pb;
use serve::uds;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tracing::{error, info, warn};

/// The kubelet's word for a CSI driver (pkg/kubelet/pluginmanager: `CSIPlugin`).
const KIND: &str = "CSIPlugin";

/// How often it is looked whether the socket still stands. One `stat`; the kubelet needs longer to come back.
const LOOK: Duration = Duration::from_secs(2);

/// What the kubelet is told.
#[derive(Debug, Clone)]
struct Registration {
    /// The CSI socket as the kubelet sees it.
    endpoint: String,
}

#[tonic::async_trait]
impl pb::registration_server::Registration for Registration {
    async fn get_info(&self, _: Request<pb::InfoRequest>) -> Result<Response<pb::PluginInfo>, Status> {
        Ok(Response::new(pb::PluginInfo {
            r#type: KIND.to_owned(),
            name: DRIVER_NAME.to_owned(),
            endpoint: self.endpoint.clone(),
            // The CSI versions that the kubelet may speak; it compares the major one.
            supported_versions: vec!["1.0.0".to_owned()],
        }))
    }

    async fn notify_registration_status(
        &self,
        request: Request<pb::RegistrationStatus>,
    ) -> Result<Response<pb::RegistrationStatusResponse>, Status> {
        let status = request.into_inner();
        if status.plugin_registered {
            info!("Registered with the kubelet");
        } else {
            // The kubelet tries again by itself.
            error!(reason = status.error, "The kubelet did not register the driver");
        }
        Ok(Response::new(pb::RegistrationStatusResponse {}))
    }
}

/// Name of the registration socket in the kubelet's folder; it is the driver's alone.
pub fn socket(folder: &Path) -> PathBuf {
    folder.join(format!("{DRIVER_NAME}-reg.sock"))
}

/// Serves the registration socket in `folder` until the token fires, and again whenever it has been taken away.
/// `endpoint` is the CSI socket's path as the kubelet sees it.
pub async fn serve(folder: PathBuf, endpoint: String, token: CancellationToken) {
    let path = socket(&folder);
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !token.is_cancelled() {
        let served = match uds::bind(&path).await {
            Ok(listener) => listener,
            Err(error) => {
                warn!(error = serve::chain::chain(&error), "The registration socket cannot be served yet");
                tokio::select! {
                    () = token.cancelled() => return,
                    _ = look.tick() => continue,
                }
            }
        };
        info!(path = %path.display(), "Waiting for the kubelet to register the driver");
        let registration = Registration { endpoint: endpoint.clone() };
        let server = tonic::transport::Server::builder()
            .add_service(pb::registration_server::RegistrationServer::new(registration));
        tokio::select! {
            () = token.cancelled() => {}
            ended = server.serve_with_incoming(served) => warn!(?ended, "The registration socket ended"),
            () = taken_away(&path, &mut look) => warn!("The registration socket was taken away: serving it again"),
        }
    }
    // A socket that nobody answers on would only make the kubelet log errors.
    let _ = std::fs::remove_file(&path);
}

/// Returns when `path` is not the socket any more that it is now.
async fn taken_away(path: &Path, look: &mut tokio::time::Interval) {
    use std::os::unix::fs::MetadataExt as _;
    let inode = |path: &Path| std::fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    let ours = inode(path);
    while inode(path) == ours {
        look.tick().await;
    }
}
