//! Sockets and registration: each resource is served on a socket of its own in the kubelet's folder, and the kubelet is told of it
//! whenever it, or the socket, is a new one.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use folder_watch::FolderChanges;
use proto::deviceplugin::v1beta1::RegisterRequest;
use proto::deviceplugin::v1beta1::device_plugin_server::DevicePluginServer;
use proto::deviceplugin::v1beta1::registration_client::RegistrationClient;
use serve::metrics::Metrics;
use serve::{grpc, uds};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tracing::{error, info, warn};

use crate::context::PluginContext;
use crate::lister::MAX_MESSAGE;
use crate::registration_state::RegistrationState;
use crate::resource::Resource;
use crate::service::{OPTIONS, Plugin};

/// The only version there is.
const VERSION: &str = "v1beta1";

/// The kubelet's registration socket.
const KUBELET: &str = "kubelet.sock";

/// Sockets of NVIDIA's own plugin in the kubelet's folder: since its release 0.12, and before.
const RIVALS: [&str; 2] = ["nvidia-gpu.sock", "nvidia.sock"];

/// How often it is looked whether the sockets still stand, if the kernel tells of no change.
const LOOK: Duration = Duration::from_secs(5);

/// The same where the kernel cannot tell, and after a failure.
const LOOK_OFTEN: Duration = Duration::from_secs(1);

/// Identity of a file; `None` if it is not there.
fn identity(path: &Path) -> Option<(u64, u64, i64)> {
    std::fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino(), meta.ctime_nsec())).ok()
}

/// Changes of the kubelet's folder, as long as the kernel tells of them.
struct Changes(Option<FolderChanges>);

impl Changes {
    fn of(folder: &Path) -> Self {
        let changes = FolderChanges::new(folder);
        Self(changes.inspect_err(|error| warn!(%error, "The kubelet's folder cannot be watched yet")).ok())
    }

    /// Returns after a change, or some seconds.
    async fn next(&self, patience: Duration) {
        match &self.0 {
            Some(changes) => changes.next(patience).await,
            None => tokio::time::sleep(LOOK_OFTEN).await,
        }
    }
}

/// One resource's socket.
pub(crate) struct Socket {
    pub(crate) folder: PathBuf,
    pub(crate) resource: Resource,
    pub(crate) context: PluginContext,
    pub(crate) metrics: Metrics,
    /// Told of every change.
    pub(crate) registration: watch::Sender<RegistrationState>,
}

impl Socket {
    /// Serves and registers until `token` fires.
    pub(crate) async fn run(self, token: CancellationToken) {
        // Unique: the kubelet may still hold the socket of the process before.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let name = format!("{}-{:x}.sock", self.resource.name().replace('/', "-"), now.as_nanos());
        let path = self.folder.join(&name);
        while !token.is_cancelled() {
            let stop = token.child_token();
            match self.serve(&path, &stop).await {
                Ok(mut server) => {
                    let ended = tokio::select! {
                        () = self.keep_registered(&name, &path, &token) => false,
                        _ = &mut server => true,
                    };
                    self.registration.send_replace(RegistrationState::Unknown);
                    stop.cancel();
                    if token.is_cancelled() && !ended {
                        // Calls that run end well; a panic of the task has been logged.
                        let _ = server.await;
                    }
                }
                Err(error) => {
                    let (resource, error) = (self.resource.name(), serve::chain::chain(&error));
                    warn!(resource, error, "The socket cannot be served yet");
                    let _ = tokio::time::timeout(LOOK_OFTEN, token.cancelled()).await;
                }
            }
        }
        let _gone = std::fs::remove_file(&path);
    }

    async fn serve(
        &self,
        path: &Path,
        stop: &CancellationToken,
    ) -> Result<tokio::task::JoinHandle<()>, uds::BindError> {
        let socket = uds::bind(path).await?;
        let plugin = Plugin::new(self.context.clone(), self.resource, stop.clone());
        // The request holds every free id of the node.
        let server = DevicePluginServer::new(plugin).max_decoding_message_size(MAX_MESSAGE);
        let (metrics, stop) = (self.metrics.clone(), stop.clone());
        Ok(tokio::spawn(async move {
            let ended = grpc::serve(Routes::new(server), socket, metrics, stop, std::future::ready(())).await;
            if let Err(error) = ended {
                warn!(error = serve::chain::chain(&error), "Serving a socket");
            }
        }))
    }

    /// Registers whenever the kubelet's socket is a new one; returns when ours is gone, or the token fires.
    async fn keep_registered(&self, name: &str, path: &Path, token: &CancellationToken) {
        let (ours, changes) = (identity(path), Changes::of(&self.folder));
        let mut known = None;
        while !token.is_cancelled() && identity(path).map(|(d, i, _)| (d, i)) == ours.map(|(d, i, _)| (d, i))
        {
            let kubelet = identity(&self.folder.join(KUBELET));
            let (registration, patience) = match self.rival().await {
                Some(rival) => {
                    // Once it is gone, the kubelet must be told again.
                    known = None;
                    (RegistrationState::Rival(rival), LOOK)
                }
                None if kubelet.is_none() => (RegistrationState::Unknown, LOOK),
                None if kubelet == known => (RegistrationState::Registered, LOOK),
                None => match self.register(name).await {
                    Ok(()) => {
                        known = kubelet;
                        (RegistrationState::Registered, LOOK)
                    }
                    Err(error) => {
                        let resource = self.resource.name();
                        warn!(resource, error, "The kubelet does not register the resource yet");
                        (RegistrationState::Unknown, LOOK_OFTEN)
                    }
                },
            };
            if *self.registration.borrow() != registration {
                if let (RegistrationState::Rival(_), Some(trouble)) =
                    (&registration, registration.trouble(self.resource))
                {
                    error!(trouble, "The resource is left to the other plugin");
                }
                self.registration.send_replace(registration);
            }
            tokio::select! {
                () = token.cancelled() => {}
                () = changes.next(patience) => {}
            }
        }
    }

    /// The socket of another plugin that serves our resource. One that nobody listens on was left behind.
    async fn rival(&self) -> Option<PathBuf> {
        if self.resource != Resource::Whole {
            return None;
        }
        for socket in RIVALS.map(|name| self.folder.join(name)) {
            let connected = tokio::time::timeout(LOOK_OFTEN, UnixStream::connect(&socket)).await;
            // No answer in time is one that listens and does not come to it.
            if connected.is_err() || connected.is_ok_and(|connected| connected.is_ok()) {
                return Some(socket);
            }
        }
        None
    }

    async fn register(&self, name: &str) -> Result<(), String> {
        let request = RegisterRequest {
            version: VERSION.to_owned(),
            endpoint: name.to_owned(),
            resource_name: self.resource.name().to_owned(),
            options: Some(OPTIONS),
        };
        let call = async {
            let channel =
                uds::connect(&self.folder.join(KUBELET)).await.map_err(|e| serve::chain::chain(&e))?;
            let reply = RegistrationClient::new(channel).register(request).await;
            reply.map(drop).map_err(|status| status.message().to_owned())
        };
        let late = |_| "no answer".to_owned();
        tokio::time::timeout(Duration::from_secs(10), call).await.map_err(late)??;
        self.context.counts.registered(self.resource);
        info!(resource = self.resource.name(), socket = name, "Registered with the kubelet");
        Ok(())
    }
}
