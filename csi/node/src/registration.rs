//! The kubelet's plugin registration, v1: this program is its own registrar, so that a DaemonSet needs one container.
//!
//! The kubelet watches a folder and asks each socket that appears there who it is. When the kubelet restarts it looks at
//! the folder anew; when the socket is taken away (a node that is cleaned up, a folder made anew), it is put there again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use eck_csi::driver::DRIVER_NAME;
use folder_watch::FolderChanges;
use proto::pluginregistration as pb;
use serve::{authority, uds};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tracing::{error, info, warn};

/// The kubelet's word for a CSI driver (pkg/kubelet/pluginmanager: `CSIPlugin`).
const KIND: &str = "CSIPlugin";

/// How often it is looked whether the socket still stands if the kernel tells of no change, and between two tries to serve it.
/// One `stat`; the kubelet needs longer to come back.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

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
    while !token.is_cancelled() {
        let served = match uds::bind(&path).await {
            Ok(listener) => listener,
            Err(error) => {
                warn!(error = serve::chain::chain(&error), "The registration socket cannot be served yet");
                tokio::select! {
                    () = token.cancelled() => return,
                    () = tokio::time::sleep(CHECK_INTERVAL) => continue,
                }
            }
        };
        info!(path = %path.display(), "Waiting for the kubelet to register the driver");
        let registration = Registration { endpoint: endpoint.clone() };
        let server = tonic::transport::Server::builder()
            .add_service(pb::registration_server::RegistrationServer::new(registration));
        tokio::select! {
            () = token.cancelled() => {}
            // The kubelet's own client sends what HTTP/2 servers refuse.
            ended = server.serve_with_incoming(authority::tolerant(served)) => warn!(?ended, "The registration socket ended"),
            () = taken_away(&folder, &path) => warn!("The registration socket was taken away: serving it again"),
        }
    }
    // A socket that nobody answers on would only make the kubelet log errors.
    let _ = std::fs::remove_file(&path);
}

/// Returns when `path`, in `folder`, is not the socket any more that it is now.
async fn taken_away(folder: &Path, path: &Path) {
    use std::os::unix::fs::MetadataExt as _;
    let inode = |path: &Path| std::fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    let ours = inode(path);
    let changes = FolderChanges::new(folder);
    let changes =
        changes.inspect_err(|error| warn!(%error, "The registration folder cannot be watched")).ok();
    while inode(path) == ours {
        match &changes {
            Some(changes) => changes.next(CHECK_INTERVAL).await,
            None => tokio::time::sleep(CHECK_INTERVAL).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;

    use super::*;

    /// A frame of HTTP/2 on stream 1.
    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, u8::from(kind != 4)], payload].concat()
    }

    /// GetInfo as the kubelet's grpc-go sends it: the authority is the path that it dials.
    fn get_info(authority: &str) -> Vec<u8> {
        let string = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        let block = [
            &[0x83, 0x86, 0x44],
            &string("/pluginregistration.Registration/GetInfo")[..],
            &[0x41],
            &string(authority),
            &[0x5f],
            &string("application/grpc"),
            &[0x40],
            &string("te"),
            &string("trailers"),
        ]
        .concat();
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        [&preface[..], &frame(4, 0, &[]), &frame(1, 4, &block), &frame(0, 1, &[0; 5])].concat()
    }

    /// Waits until the registration socket in `folder` is served.
    async fn connected(folder: &Path) -> UnixStream {
        loop {
            match UnixStream::connect(socket(folder)).await {
                Ok(stream) => return stream,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    #[tokio::test]
    async fn a_socket_that_is_taken_away_is_served_again() {
        let dir = tempfile::tempdir().unwrap();
        let token = CancellationToken::new();
        let serving =
            tokio::spawn(serve(dir.path().to_owned(), "/plugins/csi.sock".to_owned(), token.clone()));
        connected(dir.path()).await;
        std::fs::remove_file(socket(dir.path())).unwrap();
        connected(dir.path()).await;
        token.cancel();
        serving.await.unwrap();
        assert!(!socket(dir.path()).exists());
    }

    #[tokio::test]
    async fn the_kubelet_is_answered_though_it_sends_a_path_as_the_authority() {
        let dir = tempfile::tempdir().unwrap();
        let token = CancellationToken::new();
        let serving =
            tokio::spawn(serve(dir.path().to_owned(), "/plugins/csi.sock".to_owned(), token.clone()));
        let mut kubelet = connected(dir.path()).await;
        let path = "%2Fvar%2Flib%2Fkubelet%2Fplugins_registry%2Feck.csi.k8s.io-reg.sock";
        kubelet.write_all(&get_info(path)).await.unwrap();
        let (mut came, answer) = (Vec::new(), b"/plugins/csi.sock");
        while !came.windows(answer.len()).any(|bytes| bytes == answer) {
            // RST_STREAM with PROTOCOL_ERROR is what every other HTTP/2 server says.
            assert!(!came.windows(4).any(|bytes| bytes == [0, 0, 4, 3]), "{came:?}");
            assert!(kubelet.read_buf(&mut came).await.unwrap() > 0, "{came:?}");
        }
        token.cancel();
        serving.await.unwrap();
    }
}
