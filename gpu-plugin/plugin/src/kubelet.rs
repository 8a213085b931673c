//! Sockets and registration: each resource is served on a socket of its own in the kubelet's folder, and the kubelet is told of it
//! whenever it, or the socket, is a new one.

use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use proto::deviceplugin::v1beta1::RegisterRequest;
use proto::deviceplugin::v1beta1::device_plugin_server::DevicePluginServer;
use proto::deviceplugin::v1beta1::registration_client::RegistrationClient;
use serve::admin::Ready;
use serve::metrics::Metrics;
use serve::{grpc, uds};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tracing::{info, warn};

use crate::lister::MAX_MESSAGE;
use crate::resource::Resource;
use crate::service::{Desk, OPTIONS, Plugin};

/// The only version there is.
const VERSION: &str = "v1beta1";

/// The kubelet's registration socket.
const KUBELET: &str = "kubelet.sock";

/// How often it is looked whether the sockets still stand, if the kernel tells of no change.
const LOOK: Duration = Duration::from_secs(5);

/// The same where the kernel cannot tell, and after a failure.
const LOOK_OFTEN: Duration = Duration::from_secs(1);

/// Identity of a file; `None` if it is not there.
fn identity(path: &Path) -> Option<(u64, u64, i64)> {
    std::fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino(), meta.ctime_nsec())).ok()
}

/// Changes of a folder, as the kernel tells them. To the runtime it is something to read from, like a pipe.
struct Changes(Option<Receiver>);

impl Changes {
    fn of(folder: &Path) -> Self {
        let watch = || -> std::io::Result<Receiver> {
            let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
            let kinds = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_TO;
            inotify.add_watch(folder, kinds)?;
            Receiver::from_owned_fd_unchecked(inotify.as_fd().try_clone_to_owned()?)
        };
        Self(watch().inspect_err(|error| warn!(%error, "The kubelet's folder cannot be watched yet")).ok())
    }

    /// Returns after a change, or some seconds.
    async fn next(&self, patience: Duration) {
        let Some(inotify) = &self.0 else { return tokio::time::sleep(LOOK_OFTEN).await };
        if tokio::time::timeout(patience, inotify.readable()).await.is_ok() {
            // What changed is looked at by the caller.
            let mut events = [0; 4096];
            while inotify.try_read(&mut events).is_ok_and(|bytes| bytes > 0) {}
        }
    }
}

/// One resource's socket.
pub(crate) struct Socket {
    pub(crate) folder: PathBuf,
    pub(crate) resource: Resource,
    pub(crate) desk: Desk,
    pub(crate) metrics: Metrics,
    /// Whether the kubelet knows the socket.
    pub(crate) registered: watch::Sender<bool>,
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
                    self.registered.send_replace(false);
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
        let plugin = Plugin::new(self.desk.clone(), self.resource, stop.clone());
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
            let mut patience = LOOK;
            if kubelet.is_some() && kubelet != known {
                match self.register(name).await {
                    Ok(()) => known = kubelet,
                    Err(error) => {
                        patience = LOOK_OFTEN;
                        warn!(
                            resource = self.resource.name(),
                            error, "The kubelet does not register the resource yet"
                        );
                    }
                }
            }
            self.registered.send_if_modified(|there| {
                let now = kubelet.is_some() && kubelet == known;
                std::mem::replace(there, now) != now
            });
            tokio::select! {
                () = token.cancelled() => {}
                () = changes.next(patience) => {}
            }
        }
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
        self.desk.counts.registered(self.resource);
        info!(resource = self.resource.name(), socket = name, "Registered with the kubelet");
        Ok(())
    }
}

/// Says whether the program is ready, and if not, why.
pub(crate) async fn tell_ready(
    ready: Ready,
    desk: Desk,
    mut sockets: Vec<(Resource, watch::Receiver<bool>)>,
    token: CancellationToken,
) {
    let mut pictures = desk.eyes.picture.clone();
    while !token.is_cancelled() {
        let absent = pictures.borrow_and_update().absent.clone();
        let unknown = sockets
            .iter_mut()
            .find_map(|(resource, known)| (!*known.borrow_and_update()).then_some(*resource));
        ready.set(match (absent, unknown) {
            (Some(reason), _) => Err(reason),
            (None, Some(resource)) => Err(format!("the kubelet has not registered {}", resource.name())),
            (None, None) => Ok(()),
        });
        let sockets = sockets.iter_mut().map(|(_, known)| Box::pin(known.changed()));
        tokio::select! {
            () = token.cancelled() => {}
            changed = pictures.changed() => if changed.is_err() { return },
            _ = futures::future::select_all(sockets) => {}
        }
    }
}
