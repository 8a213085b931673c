//! How each resource stands with the kubelet, and what that says of the program's readiness.

use std::path::PathBuf;

use serve::admin::Ready;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::context::PluginContext;
use crate::resource::Resource;

/// How a resource stands with the kubelet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RegistrationState {
    /// The kubelet has not been told, or does not know it any more.
    Unknown,
    /// The kubelet knows our socket.
    Registered,
    /// Another plugin serves the resource on this socket. The kubelet takes whoever registered last and says so to nobody, and
    /// two plugins would each give the same cards away.
    Rival(PathBuf),
}

impl RegistrationState {
    /// Why the resource cannot be had; `None` if it can.
    pub(crate) fn trouble(&self, resource: Resource) -> Option<String> {
        let name = resource.name();
        match self {
            Self::Unknown => Some(format!("the kubelet has not registered {name}")),
            Self::Registered => None,
            Self::Rival(socket) => Some(format!(
                "another device plugin serves {name} on {}: remove it, or start this one with --no-whole-cards",
                socket.display()
            )),
        }
    }
}

/// Says whether the program is ready, and if not, why.
pub(crate) async fn tell_ready(
    ready: Ready,
    context: PluginContext,
    mut sockets: Vec<(Resource, watch::Receiver<RegistrationState>)>,
    token: CancellationToken,
) {
    let mut snapshots = context.gpu_watch.snapshot.clone();
    while !token.is_cancelled() {
        let absent = snapshots.borrow_and_update().absent.clone();
        let mut states = sockets.iter_mut();
        let trouble = states.find_map(|(resource, now)| now.borrow_and_update().trouble(*resource));
        ready.set(absent.or(trouble).map_or(Ok(()), Err));
        let sockets = sockets.iter_mut().map(|(_, known)| Box::pin(known.changed()));
        tokio::select! {
            () = token.cancelled() => {}
            changed = snapshots.changed() => if changed.is_err() { return },
            _ = futures::future::select_all(sockets) => {}
        }
    }
}
