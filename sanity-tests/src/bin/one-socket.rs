//! `one-socket`: both halves of the driver behind one socket, for clients that know only one, as csi-sanity may.
//!
//! Calls are passed on as they are, messages unopened: `csi.v1.Controller` goes to the controller's socket,
//! `csi.v1.Node` and `csi.v1.Identity` to the node's, since the kubelet meets the plugin there.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::task::{Context, Poll};

use clap::Parser;
use futures::future::BoxFuture;
use proto::csi::v1::controller_server::ControllerServer;
use proto::csi::v1::group_controller_server::GroupControllerServer;
use proto::csi::v1::identity_server::IdentityServer;
use proto::csi::v1::node_server::NodeServer;
use serve::{shutdown, uds};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::{Channel, Server};
use tower::{Service, ServiceExt as _};

/// Serves both halves of the driver on one socket until SIGTERM.
#[derive(Debug, Parser)]
struct Args {
    /// Unix socket to serve
    #[arg(long)]
    listen: PathBuf,
    /// The controller's socket
    #[arg(long)]
    controller: PathBuf,
    /// The node's socket
    #[arg(long)]
    node: PathBuf,
}

/// Passes the calls of the service `S` on to a channel.
struct PassOn<S> {
    to: Channel,
    // `fn() -> S`: the service is only named, so a clone or another thread needs nothing of it.
    service: PhantomData<fn() -> S>,
}

impl<S> PassOn<S> {
    fn new(to: &Channel) -> Self {
        Self { to: to.clone(), service: PhantomData }
    }
}

impl<S> Clone for PassOn<S> {
    fn clone(&self) -> Self {
        Self::new(&self.to)
    }
}

impl<S: NamedService> NamedService for PassOn<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for PassOn<S> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let to = self.to.clone();
        Box::pin(async move {
            let answered = to.oneshot(request).await;
            // What a client sees when it meets a half that is gone.
            let away = |e: tonic::transport::Error| Status::unavailable(serve::chain::chain(&e)).into_http();
            Ok(answered.unwrap_or_else(away))
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let token = shutdown::on_signal()?;
    let controller = uds::connect(&args.controller).await?;
    let node = uds::connect(&args.node).await?;
    let server = Server::builder()
        .add_service(PassOn::<ControllerServer<()>>::new(&controller))
        .add_service(PassOn::<GroupControllerServer<()>>::new(&controller))
        .add_service(PassOn::<NodeServer<()>>::new(&node))
        .add_service(PassOn::<IdentityServer<()>>::new(&node));
    let socket = uds::bind(&args.listen).await?;
    server.serve_with_incoming_shutdown(socket, async move { token.cancelled().await }).await?;
    Ok(())
}
