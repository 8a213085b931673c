//! Puts the node together and serves until told to stop.

use std::time::Duration;

use eck_csi::field::BadField;
use eck_csi::identity::Identity;
use proto::csi::v1::identity_server::IdentityServer;
use proto::csi::v1::node_server::NodeServer;
use serve::metrics::Metrics;
use serve::program::{self, StartError};
use serve::{grpc, uds};
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tracing::warn;

use crate::args::Args;
use crate::driver::{Driver, Settings};
use crate::host::Linux;
use crate::instance_id;
use crate::metrics::Decisions;
use crate::registration;
use crate::service::Node;

/// Threads for blocking work: mounts and tools of as many volumes at once. Fixed, so that memory does not grow with CPUs.
const THREADS: usize = 16;

/// Stack of such a thread in bytes: the deepest call is a probe, whose buffers are on the heap.
const STACK: usize = 256 << 10;

/// Why the node cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Who this node is.
    #[error(transparent)]
    NodeId(#[from] BadField),
    /// The endpoint's form.
    #[error(transparent)]
    Endpoint(#[from] uds::BadEndpoint),
    /// The endpoint's socket.
    #[error(transparent)]
    Bind(#[from] uds::BindError),
    /// The admin port, signals, or the runtime.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The server ended by itself.
    #[error("serving")]
    Serve(#[from] tonic::transport::Error),
}

/// Runs the node until SIGTERM; what runs is finished first.
pub fn run(args: Args) -> Result<(), RunError> {
    let mut runtime = Builder::new_current_thread();
    runtime.max_blocking_threads(THREADS).thread_stack_size(STACK);
    program::run(&mut runtime, |token| serve(args, token))
}

/// On a node of which no region is known: it is ready, so that rollouts go on, and the driver is not registered, so that no pod with a
/// volume comes here.
async fn wait(args: Args, token: CancellationToken) -> Result<(), RunError> {
    let reason = "the node's region is looked for";
    let ready = program::admin_port(args.admin_address, &Metrics::default(), reason, &token).await?;
    // One that was left behind would have the kubelet try for ever.
    let _ = std::fs::remove_file(registration::socket(&args.kubelet_registration_dir));
    let node = args.node_name.as_deref().unwrap_or_default();
    warn!(
        node,
        "The name of this node tells no region: it gets no volumes, and the driver is not registered"
    );
    ready.set(Ok(()));
    token.cancelled().await;
    Ok(())
}

async fn serve(args: Args, token: CancellationToken) -> Result<(), RunError> {
    let told = instance_id::ask(&args.instance_id_urls).await;
    let Some(node_id) = args.node_id(told.as_deref())? else { return wait(args, token).await };
    let settings = Settings {
        node_id,
        device_patience: Duration::from_secs(args.device_timeout_seconds),
        reserved_disks: args.reserved_disks,
        state_dir: args.state_dir,
    };
    let (metrics, decisions) = (Metrics::default(), Decisions::default());
    metrics.register(|registry| decisions.register(registry));
    let reason = "the CSI socket is not served yet";
    let ready = program::admin_port(args.admin_address, &metrics, reason, &token).await?;

    let node = Node::new(Driver::new(Linux::new(&args.sysfs_root), settings, decisions));
    let identity = Identity::new(ready.clone(), env!("CARGO_PKG_VERSION"));
    let routes = Routes::new(IdentityServer::new(identity)).add_service(NodeServer::new(node.clone()));
    let socket = uds::bind(&uds::path_of(&args.csi_endpoint)?).await?;
    ready.set(Ok(()));
    // Registered only now: the kubelet calls back on the CSI socket at once.
    let registrar = args.kubelet_registration_path.map(|endpoint| {
        tokio::spawn(registration::serve(args.kubelet_registration_dir, endpoint, token.clone()))
    });
    let trimming = tokio::spawn(node.weekly_trim().run(token.clone()));
    grpc::serve(routes, socket, metrics, token, async move { node.idle().await }).await?;
    // As the registrar below.
    let _ = trimming.await;
    if let Some(registrar) = registrar {
        // It ends with the token; a panic of it has been logged.
        let _ = registrar.await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_node_of_another_name_stays_up_and_is_not_registered() {
        let folder = tempfile::tempdir().unwrap();
        let left_behind = registration::socket(folder.path());
        std::fs::write(&left_behind, "").unwrap();
        let at = folder.path().display();
        let flags = [
            "eck-csi-node".to_owned(),
            "--node-name=worker2".to_owned(),
            "--admin-address=127.0.0.1:0".to_owned(),
            format!("--csi-endpoint=unix://{at}/csi.sock"),
            format!("--kubelet-registration-path={at}/csi.sock"),
            format!("--kubelet-registration-dir={at}"),
        ];
        let token = CancellationToken::new();
        let mut serving = tokio::spawn(serve(Args::parse_from(flags), token.clone()));
        let ended = tokio::time::timeout(Duration::from_secs(3600), &mut serving).await;
        assert!(ended.is_err(), "it ended: {ended:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        token.cancel();
        serving.await.unwrap().unwrap();
    }
}
