//! Puts the controller together and serves until told to stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use eck_csi::cluster::ClusterIdentity;
use eck_csi::identity::Identity;
use eck_csi_admission::metrics::Pods;
use eck_csi_admission::server::{PATIENCE, Settings};
use eck_csi_fencing::{Kubernetes, Leader};
use eck_csi_kubernetes::api;
use ecx::{Client, Connection, Credentials, Profile};
use proto::csi::v1::controller_server::ControllerServer;
use proto::csi::v1::group_controller_server::GroupControllerServer;
use proto::csi::v1::identity_server::IdentityServer;
use serve::admin::Ready;
use serve::metrics::Metrics;
use serve::program::{self, StartError};
use serve::{grpc, uds};
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::admission::Admission;
use crate::args::{self, Args, BadCredentials};
use crate::audit::Audit;
use crate::dead_nodes::DeadNodes;
use crate::disk_reader::Query;
use crate::driver::Driver;
use crate::first_answer::first_answer;
use crate::metrics::Audits;
use crate::own_cluster;
use crate::service::Controller;

/// How often the keys are read anew. The kubelet brings a changed Secret into its folder within a minute or two.
const READ_KEYS: Duration = Duration::from_secs(60);

/// How often a cloud that does not answer is asked again at start.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Why the controller cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Keys.
    #[error(transparent)]
    Credentials(#[from] BadCredentials),
    /// The profile's file.
    #[error("cannot read the profile {0}")]
    Profile(PathBuf, #[source] std::io::Error),
    /// The profile's content.
    #[error("the profile {0} cannot be used")]
    BadProfile(PathBuf, #[source] toml::de::Error),
    /// A value of the profile or of the flags that are set over it.
    #[error("profile: {0}")]
    Setting(#[from] ecx::profile::BadSetting),
    /// The API server, which a flag needs.
    #[error(
        "--learn-regions, --instance-id-from, --detach-from-running-machine and --taint-dead-nodes need an API server"
    )]
    Cluster(#[from] api::ConfigError),
    /// HTTP.
    #[error(transparent)]
    Client(#[from] ecx::client::BadClient),
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

/// Runs the controller until SIGTERM; what runs is finished first.
pub fn run(args: Args) -> Result<(), RunError> {
    // One thread: the controller waits for the cloud, it computes nothing; and its memory does not grow with the CPUs.
    program::run(&mut Builder::new_current_thread(), |token| serve(args, token))
}

async fn serve(args: Args, token: CancellationToken) -> Result<(), RunError> {
    let credentials = args.credentials()?;
    let client = Arc::new(client(&args, credentials)?);
    tokio::spawn(watch_keys(Arc::clone(&client)));
    let metrics = Metrics::default();
    metrics.register(|registry| crate::metrics::register(registry, Arc::clone(&client)));
    let reason = "the cloud has not answered yet";
    let ready = program::admin_port(args.admin_address, &metrics, reason, &token).await?;

    let Some(cluster) = own_cluster::learn(&args, &ready, &token).await else { return Ok(()) };
    let nodes = nodes(&args).await?;
    let driver = driver(&args, client, cluster, nodes.as_ref()).await?;
    if args.learn_regions {
        let learn = || driver.learn_regions();
        if first_answer("which regions nodes and volumes name", learn, &ready, &token).await.is_none() {
            return Ok(());
        }
    }
    let driver = Arc::new(driver);
    tokio::spawn(watch_cloud(Arc::clone(&driver), ready.clone()));
    if let Some(nodes) = nodes.filter(|_| args.taint_dead_nodes) {
        nodes.watch();
        tokio::spawn(Arc::new(DeadNodes::new(Arc::clone(&driver), nodes)).run());
    }
    let webhook = args.admission_address.map(|address| {
        let settings = Settings { address, namespace: args.namespace, patience: PATIENCE };
        let pods = Pods::default();
        metrics.register(|registry| pods.register(registry));
        tokio::spawn(Admission { settings, kubeconfig: args.kubeconfig.clone(), pods }.run(token.clone()))
    });
    if args.audit_seconds > 0 {
        let audits = Audits::default();
        metrics.register(|registry| audits.register(registry));
        let (every, grace) = (args.audit_seconds, args.audit_grace_seconds);
        let (every, grace) = (Duration::from_secs(every), Duration::from_secs(grace));
        let (driver, kubeconfig) = (Arc::clone(&driver), args.kubeconfig);
        tokio::spawn(Audit { driver, every, grace, kubeconfig, audits }.run());
    }
    let controller = Controller::new(driver);
    let identity = Identity::new(ready, env!("CARGO_PKG_VERSION"));
    let routes = Routes::new(IdentityServer::new(identity))
        .add_service(ControllerServer::new(controller.clone()))
        .add_service(GroupControllerServer::new(controller.clone()));
    let socket = uds::bind(&uds::path_of(&args.csi_endpoint)?).await?;
    grpc::serve(routes, socket, metrics, token, async move { controller.idle().await }).await?;
    if let Some(webhook) = webhook {
        let _ = webhook.await;
    }
    Ok(())
}

/// The driver, and whom it asks about the cluster, as the flags want it.
async fn driver(
    args: &Args,
    client: Arc<Client>,
    cluster: ClusterIdentity,
    nodes: Option<&Arc<Kubernetes>>,
) -> Result<Driver, RunError> {
    let regions = args.regions.clone();
    let mut driver = if args.learn_regions {
        let (kube, _) = api::connect(args.kubeconfig.as_deref(), None).await?;
        Driver::learning(client, cluster, regions, Arc::new(kube))
    } else {
        Driver::new(client, cluster, regions)
    };
    if let Some(nodes) = nodes.filter(|_| args.instance_id_from.is_some()) {
        driver = driver.identifying(Arc::<Kubernetes>::clone(nodes));
    }
    if let Some((policy, nodes)) = args.detach_from_running_machine.zip(nodes) {
        driver = driver.guarded(policy, Arc::<Kubernetes>::clone(nodes));
    }
    Ok(driver)
}

/// The cluster's nodes, for the flags that ask about them. Without a kubeconfig or a service account those flags mean nothing: that is an
/// error at the start, not a detach that nobody asked about.
async fn nodes(args: &Args) -> Result<Option<Arc<Kubernetes>>, RunError> {
    if args.detach_from_running_machine.is_none() && !args.taint_dead_nodes && args.instance_id_from.is_none()
    {
        return Ok(None);
    }
    let (kube, _) = api::connect(args.kubeconfig.as_deref(), None).await?;
    let leader = args.leader_lease.clone().zip(args.pod_name.clone());
    let leader = leader.map(|((namespace, lease), identity)| Leader { namespace, lease, identity });
    Ok(Some(Arc::new(Kubernetes::new(kube, leader, args.instance_id_from.clone().unwrap_or_default()))))
}

fn client(args: &Args, credentials: Credentials) -> Result<Client, RunError> {
    let connection = Connection::new(args.allow_plain_http).trusting_file(args.cloud_ca_file.as_deref())?;
    let client = Client::new(profile(args)?, credentials, &connection)?;
    let Some(dir) = args.credentials_dir.clone() else { return Ok(client) };
    Ok(client.with_keys(move || args::mounted(&dir).ok()))
}

/// Keys that were changed are used before the old ones are refused.
async fn watch_keys(client: Arc<Client>) {
    loop {
        tokio::time::sleep(READ_KEYS).await;
        client.read_keys();
    }
}

fn profile(args: &Args) -> Result<Profile, RunError> {
    let mut profile = match &args.ecx_profile {
        None => Profile::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| RunError::Profile(path.clone(), e))?;
            toml::from_str(&text).map_err(|e| RunError::BadProfile(path.clone(), e))?
        }
    };
    if let Some(url) = &args.ecx_url {
        profile.base_url.clone_from(url);
    }
    if let Some(disk_type) = &args.default_disk_type {
        profile.default_disk_type.clone_from(disk_type);
    }
    profile.check()?;
    Ok(profile)
}

/// Ready once the cloud has answered in one region: keys and clock are right then. A region that is down takes only itself down: its
/// requests fail, each by itself. Afterwards the cloud's moods are each request's own affair; taking the controller out of service
/// would help nobody.
async fn watch_cloud(driver: Arc<Driver>, ready: Ready) {
    let probe = Query::Name("eck-csi-readiness".to_owned());
    loop {
        match driver.disk_locator.any_answer(&driver.reader, &probe).await {
            Ok(()) => return ready.set(Ok(())),
            Err(error) => {
                tracing::warn!(%error, "The cloud does not answer yet");
                ready.set(Err(error.to_string()));
            }
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}
