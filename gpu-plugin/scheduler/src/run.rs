//! Puts the scheduler together and serves until told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use admission::certs::{self, CertError, Keeping};
use admission::tls::{self, BadTls, Current, Routes};
use kube::Client;
use serve::admin::Ready;
use serve::metrics::Metrics;
use serve::program::{self, StartError};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::args::{Args, BadArgs};
use crate::bind::Binder;
use crate::cluster::Cluster;
use crate::http::{App, extender, webhook};
use crate::leader::{self, Election, Leadership, LeadershipGate};
use crate::metrics::Measures;
use crate::prioritize::Defaults;
use crate::watch::Watches;
use crate::webhook::Rules;

/// Whose certificates they are: an authority that was made before is brought back by this name.
const PROGRAM: &str = "ideal-gpu-scheduler";

/// Domain before the names of annotations.
const DOMAIN: &str = "ideal.com";

/// Between tries to get a certificate at start.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// A permission to bind that nobody takes away: longer than any process runs.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Why the scheduler cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Flags.
    #[error(transparent)]
    Args(#[from] BadArgs),
    /// Where the API server is.
    #[error("the API server's address or credentials cannot be found")]
    Infer(#[from] kube::config::InferConfigError),
    /// The client.
    #[error("no client for the API server")]
    Client(#[from] kube::Error),
    /// Given certificate files.
    #[error(transparent)]
    Cert(#[from] CertError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] BadTls),
    /// The port of the extender and the webhook.
    #[error("{0}")]
    Port(&'static str, #[source] std::io::Error),
    /// The admin port, signals, or the runtime.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Runs the scheduler until SIGTERM; what runs is finished first.
pub fn run(args: Args) -> Result<(), RunError> {
    // Two threads: a filter over thousands of nodes computes for milliseconds, and Bindings must not wait for it.
    program::run(Builder::new_multi_thread().worker_threads(2), |token| serve(args, token))
}

async fn serve(args: Args, token: CancellationToken) -> Result<(), RunError> {
    // Two crates bring a provider each; the client needs to know which.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let metrics = Metrics::default();
    let reason = "the API server has not answered yet";
    let ready = program::admin_port(args.admin_address, &metrics, reason, &token).await?;
    let client = Client::try_from(kube::Config::infer().await?)?;
    start(&args, client, &metrics, ready, token).await?.ended().await;
    Ok(())
}

/// A scheduler that serves.
pub struct Running {
    /// Of the extender and the webhook.
    pub address: SocketAddr,
    serving: JoinHandle<()>,
    leading: JoinHandle<()>,
}

impl Running {
    /// Resolves when it has stopped: requests are finished and the Lease is released.
    pub async fn ended(self) {
        let _ = self.serving.await;
        let _ = self.leading.await;
    }
}

/// Starts everything but the admin port; it runs until `token` fires.
pub async fn start(
    args: &Args,
    client: Client,
    metrics: &Metrics,
    ready: Ready,
    token: CancellationToken,
) -> Result<Running, RunError> {
    args.check()?;
    let listener = TcpListener::bind(args.address).await;
    let listener = listener.map_err(|e| RunError::Port("the port cannot be served", e))?;
    let address = listener.local_addr().map_err(|e| RunError::Port("the port has no address", e))?;
    let cluster = Arc::new(Cluster::default());
    let measures = register(metrics, &cluster);
    let app = Arc::new(App {
        cluster: Arc::clone(&cluster),
        gate: LeadershipGate::default(),
        binder: Binder::new(client.clone(), args.bind_timeout, args.card_policy),
        defaults: Defaults { node: args.node_policy, card: args.card_policy },
        rules: Rules { trusted: args.trusted_users.clone(), scheduler_name: args.set_scheduler_name.clone() },
        measures,
        synced: AtomicBool::new(false),
        bindings: TaskTracker::new(),
    });
    let acceptor = if args.plain_http { None } else { Some(acceptor(args, &client, &ready, &token).await?) };
    let watches = Watches::start(client.clone(), cluster, token.clone());
    // Requests that run when the end is told still need the gate: the Lease is released after the port is closed.
    let closed = CancellationToken::new();
    let leading = tokio::spawn(lead(args.clone(), client, Arc::clone(&app), watches, ready, closed.clone()));
    let promises = Arc::clone(&app);
    let watching = token.clone();
    tokio::spawn(async move {
        watching.run_until_cancelled(promises.binder.watch_promises(&promises.cluster)).await;
    });
    let known = webhook(Arc::clone(&app)).merge(extender(Arc::clone(&app)));
    let unknown =
        if args.extender_client_ca_file.is_some() { webhook(Arc::clone(&app)) } else { known.clone() };
    let routes = Routes { known, unknown };
    tracing::info!(%address, tls = acceptor.is_some(), "Extender and webhook");
    let serving = tokio::spawn(async move {
        tls::serve(listener, acceptor, routes, token).await;
        app.bindings.close();
        app.bindings.wait().await;
        closed.cancel();
    });
    Ok(Running { address, serving, leading })
}

fn register(metrics: &Metrics, cluster: &Arc<Cluster>) -> Measures {
    let mut measures = None;
    metrics.register(|registry| measures = Some(Measures::register(registry, Arc::clone(cluster))));
    measures.unwrap_or_else(|| Measures::register(&mut Default::default(), Arc::clone(cluster)))
}

async fn acceptor(
    args: &Args,
    client: &Client,
    ready: &Ready,
    token: &CancellationToken,
) -> Result<TlsAcceptor, RunError> {
    let current = Arc::new(Current::default());
    let clients = match &args.extender_client_ca_file {
        None => None,
        Some(path) => Some(tokio::fs::read(path).await.map_err(|e| CertError::Read(path.clone(), e))?),
    };
    if let (Some(chain), Some(key)) = (&args.tls_cert_file, &args.tls_key_file) {
        certs::read_files(chain, key, &current).await?;
        let watching = certs::watch_files(chain.clone(), key.clone(), Arc::clone(&current));
        tokio::spawn(token.clone().run_until_cancelled_owned(watching));
        return Ok(tls::acceptor(current, clients.as_deref())?);
    }
    let keeping = keeping(args);
    while let Err(error) = certs::keep(client, &keeping, &current).await {
        let text = serve::chain::chain(&error);
        tracing::warn!(error = text, "No certificate yet");
        ready.set(Err(format!("no certificate yet: {text}")));
        if token.run_until_cancelled(tokio::time::sleep(ASK_AGAIN)).await.is_none() {
            break;
        }
    }
    let keeping = certs::keep_on(client.clone(), keeping, Arc::clone(&current));
    tokio::spawn(token.clone().run_until_cancelled_owned(keeping));
    Ok(tls::acceptor(current, clients.as_deref())?)
}

fn keeping(args: &Args) -> Keeping {
    Keeping {
        program: PROGRAM.to_owned(),
        domain: DOMAIN.to_owned(),
        namespace: args.namespace.clone(),
        secret: args.tls_secret_name.clone(),
        mutating: Some(args.webhook_configuration.clone()),
        validating: Some(args.webhook_configuration.clone()),
        hosts: args.hosts(),
    }
}

/// Takes part in the election, and opens and closes the gate by its outcome.
async fn lead(
    args: Args,
    client: Client,
    app: Arc<App>,
    watches: Watches,
    ready: Ready,
    token: CancellationToken,
) {
    let first = Leadership::Follower("nobody that is known".to_owned());
    let leadership = watch::Sender::new(first);
    let readiness = Readiness { ready, of_all: args.follow_lease.is_some() };
    let gate = open_and_close(Arc::clone(&app), watches, readiness, leadership.subscribe());
    let gate = tokio::spawn(token.clone().run_until_cancelled_owned(gate));
    if args.no_leader_election {
        leadership.send_replace(Leadership::Leader(Instant::now() + FOR_EVER));
        token.cancelled().await;
    } else {
        let election = Election::new(args.lease_name.clone(), args.identity.clone(), args.terms());
        let tell = |now| {
            leadership.send_if_modified(|before| std::mem::replace(before, now) != *before);
        };
        leader::run(client, &args.namespace, election, args.beside(), token, tell).await;
    }
    app.gate.set(None);
    let _ = gate.await;
}

/// Which replicas are ready: of those that are called through a Service, only the one that binds.
struct Readiness {
    ready: Ready,
    /// Each kube-scheduler calls the extender beside it; any replica answers the webhook.
    of_all: bool,
}

impl Readiness {
    fn binds(&self) {
        self.ready.set(Ok(()));
    }

    fn does_not_bind(&self, why: String) {
        self.ready.set(if self.of_all { Ok(()) } else { Err(why) });
    }
}

async fn open_and_close(
    app: Arc<App>,
    watches: Watches,
    readiness: Readiness,
    mut leadership: watch::Receiver<Leadership>,
) {
    watches.synced().await;
    app.synced.store(true, Ordering::Release);
    let mut fresh = false;
    loop {
        let now = leadership.borrow_and_update().clone();
        match now {
            Leadership::Leader(until) if fresh && until > Instant::now() => {
                app.gate.set(Some(until));
                app.measures.leads(true);
                readiness.binds();
                tokio::select! {
                    changed = leadership.changed() => if changed.is_err() { return },
                    // Not renewed in time: the gate is shut by itself, readiness follows.
                    () = tokio::time::sleep_until(until) => {}
                }
            }
            Leadership::Leader(until) if until > Instant::now() => {
                readiness.does_not_bind("it has become the leader and reads the cluster anew".to_owned());
                // The holder before may have bound pods until a moment ago.
                fresh = tokio::select! {
                    () = watches.refresh() => true,
                    left = leadership.wait_for(|now| matches!(now, Leadership::Follower(_))) => {
                        if left.is_err() {
                            return;
                        }
                        false
                    }
                };
            }
            Leadership::Leader(_) | Leadership::Follower(_) => {
                let holder =
                    if let Leadership::Follower(holder) = &now { holder } else { "nobody that is known" };
                fresh = false;
                app.gate.set(None);
                app.measures.leads(false);
                readiness.does_not_bind(format!("another replica binds; the Lease is held by {holder}"));
                if leadership.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}
