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

use crate::args::Args;
use crate::driver::{Driver, Settings};
use crate::host::Linux;
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

async fn serve(args: Args, token: CancellationToken) -> Result<(), RunError> {
    let settings = Settings {
        node_id: args.node_id()?,
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
