//! Serves gRPC on a unix socket until the token fires, then lets the RPCs that run finish.

use std::future::Future;
use std::time::Duration;

use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tracing::warn;

use crate::layer::RpcLayer;
use crate::metrics::Metrics;

/// How long a shutdown waits for RPCs and operations, in seconds: less than the 30 s that Kubernetes gives a pod by default.
pub const GRACE: Duration = Duration::from_secs(25);

/// Serves `routes` on `socket`. After the token fired no RPC is accepted; those that run, and then `rest` (the operations
/// whose callers are gone), get [`GRACE`] to end.
pub async fn serve(
    routes: Routes,
    socket: UnixListenerStream,
    metrics: Metrics,
    token: CancellationToken,
    rest: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let server = Server::builder().layer(RpcLayer::new(metrics)).add_routes(routes);
    let stopped = token.clone();
    let serving = server.serve_with_incoming_shutdown(socket, async move { stopped.cancelled().await });
    let all = async {
        serving.await?;
        rest.await;
        Ok(())
    };
    let deadline = async {
        token.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = all => ended,
        () = deadline => {
            warn!(seconds = GRACE.as_secs(), "Some operations did not end in time; they are picked up again after the restart");
            Ok(())
        }
    }
}
