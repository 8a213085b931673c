//! Puts the plugin together and serves until told to stop.

use std::sync::Arc;
use std::time::Duration;

use arbiter::ArbiterError;
use cards::{Driver, Nvml, Overcommit};
use ideal_gpu::place::Policy;
use serve::admin::Ready;
use serve::metrics::Metrics;
use serve::program::{self, StartError};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use crate::api::ConfigError;
use crate::args::Args;
use crate::card_time::CardTime;
use crate::cdi::Places;
use crate::context::{PluginContext, Settings};
use crate::driver::{self, GpuWatch};
use crate::isolation::{self, InstallError, Isolation};
use crate::kubelet::Socket;
use crate::lister::Lister;
use crate::metrics::{Counts, Scrape};
use crate::pod_cache::PodCache;
use crate::registration_state::{self, RegistrationState};
use crate::resource::Resource;
use crate::{api, events, node, pod_watch};

/// Threads for blocking work: name look-ups only.
const THREADS: usize = 2;

/// Stack of such a thread in bytes.
const STACK: usize = 256 << 10;

/// Why the plugin cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state folder.
    #[error("the state folder: {0}")]
    State(String),
    /// The isolation library.
    #[error("the isolation library")]
    Library(#[from] InstallError),
    /// The arbiter.
    #[error(transparent)]
    Arbiter(#[from] ArbiterError),
    /// The way to the API server.
    #[error(transparent)]
    Api(#[from] ConfigError),
    /// The thread that talks to the cards.
    #[error("the thread of the cards cannot start")]
    Thread(#[source] std::io::Error),
    /// The admin port, signals, or the runtime.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Runs the plugin until SIGTERM.
pub fn run(args: Args) -> Result<(), RunError> {
    let mut runtime = Builder::new_current_thread();
    runtime.max_blocking_threads(THREADS).thread_stack_size(STACK);
    let driver = Box::new(Nvml::new(&args.nvml_library));
    program::run(&mut runtime, |token| serve(args, driver, token))
}

/// Serves with this driver until `token` fires.
pub async fn serve(args: Args, driver: Box<dyn Driver>, token: CancellationToken) -> Result<(), RunError> {
    let client = api::client(&args).await?;
    let pod_cache =
        PodCache::open(args.state_dir.clone()).map_err(|e| RunError::State(serve::chain::chain(&e)))?;
    let isolation = isolation(&args)?;
    let card_time = card_time(&args, &isolation)?;
    let gpu_watch = driver::start(driver, args.memory_overcommit).map_err(RunError::Thread)?;
    let (metrics, counts) = measured(&args, &gpu_watch, &pod_cache, &isolation);
    let reason = "the kubelet has not been told yet";
    let ready = program::admin_port(args.admin_address, &metrics, reason, &token).await?;

    let context = PluginContext {
        settings: Arc::new(settings(&args, isolation)),
        gpu_watch: gpu_watch.clone(),
        pod_cache: pod_cache.clone(),
        lister: Arc::new(Lister::new(args.kubelet_dir.join("pod-resources/kubelet.sock"))),
        counts,
        card_time,
    };
    tokio::spawn(token.clone().run_until_cancelled_owned(pod_watch::follow(
        client.clone(),
        args.node_name.clone(),
        pod_cache.clone(),
    )));
    if token.run_until_cancelled(gpu_watch.first_snapshot()).await.is_none() {
        return Ok(());
    }
    // What follows the API server ends with the runtime: there is nothing to finish.
    tokio::spawn(
        token.clone().run_until_cancelled_owned(pod_watch::publish(client.clone(), pod_cache.clone())),
    );
    tokio::spawn(token.clone().run_until_cancelled_owned(events::tell(
        client.clone(),
        args.node_name.clone(),
        gpu_watch.clone(),
    )));
    tokio::spawn(token.clone().run_until_cancelled_owned(node::keep(
        client,
        args.node_name.clone(),
        gpu_watch.clone(),
    )));
    if let Some(card_time) = context.card_time.clone() {
        tokio::spawn(token.clone().run_until_cancelled_owned(card_time.forget_gone(pod_cache.clone())));
    }
    tokio::spawn(pod_watch::sweep(pod_cache, context.lister.clone(), token.clone()));
    tokio::spawn(token.clone().run_until_cancelled_owned(keep_specs(context.clone())));
    sockets(&args, &context, &metrics, ready, token).await;
    Ok(())
}

/// The numbers that are told.
fn measured(
    args: &Args,
    gpu_watch: &GpuWatch,
    pod_cache: &PodCache,
    isolation: &Isolation,
) -> (Metrics, Counts) {
    let (metrics, counts) = (Metrics::default(), Counts::default());
    metrics.register(|registry| {
        counts.register(registry);
        let scrape = Scrape {
            gpu_watch: gpu_watch.clone(),
            pod_cache: pod_cache.clone(),
            state: args.state_dir.clone(),
            library: isolation.library.clone(),
        };
        registry.register_collector(Box::new(scrape));
    });
    (metrics, counts)
}

/// The arbiter, where something holds containers to what it decides.
fn card_time(args: &Args, isolation: &Isolation) -> Result<Option<CardTime>, ArbiterError> {
    let burst = Duration::from_millis(args.burst_ms);
    isolation.library.as_ref().map(|_| CardTime::start(args.state_dir.clone(), burst)).transpose()
}

/// Puts the library where containers have it from.
fn isolation(args: &Args) -> Result<Isolation, InstallError> {
    let library = if args.libvcuda.is_empty() {
        // Somebody said so: it is news, and no fault. The metric tells for as long as it is so.
        info!("No isolation: a program can use more of its card than its slice");
        None
    } else {
        let library = isolation::install(args.libvcuda.as_ref(), &args.state_dir)?;
        info!(library = %library.display(), "Programs are held to their slices");
        Some(library)
    };
    Ok(Isolation {
        library,
        // What is offered twice must have another place to be.
        virtual_memory: args.virtual_memory || args.memory_overcommit != Overcommit::NONE,
        work_conserving: args.work_conserving,
        context_mib: args.context_mib,
    })
}

fn settings(args: &Args, isolation: Isolation) -> Settings {
    Settings {
        places: Places {
            state: args.state_dir.clone(),
            cdi: args.cdi_dir.clone(),
            driver_root: args.driver_root.clone(),
            host_root: args.host_root.clone(),
        },
        no_cdi: args.no_cdi,
        isolation,
        policy: Policy::parse(&args.card_policy).unwrap_or_default(),
    }
}

/// Serves each resource until the token fires.
async fn sockets(
    args: &Args,
    context: &PluginContext,
    metrics: &Metrics,
    ready: Ready,
    token: CancellationToken,
) {
    let mut running = JoinSet::new();
    let mut known = Vec::new();
    let resources = Resource::ALL.into_iter().filter(|r| *r == Resource::Slices || !args.no_whole_cards);
    for resource in resources {
        let (registration, stands) = watch::channel(RegistrationState::Unknown);
        known.push((resource, stands));
        let socket = Socket {
            folder: args.kubelet_dir.join("device-plugins"),
            resource,
            context: context.clone(),
            metrics: metrics.clone(),
            registration,
        };
        running.spawn(socket.run(token.clone()));
    }
    running.spawn(registration_state::tell_ready(ready, context.clone(), known, token));
    while running.join_next().await.is_some() {}
}

/// Keeps the CDI specs those of the cards.
async fn keep_specs(context: PluginContext) {
    let GpuWatch { mut snapshot, .. } = context.gpu_watch.clone();
    loop {
        let cards = snapshot.borrow_and_update().with_minors();
        if !context.settings.no_cdi
            && let Err(error) = context.settings.places.write_specs(&cards, &context.settings.isolation)
        {
            warn!(
                error = serve::chain::chain(&error),
                "The CDI specs cannot be written; tried again at the next start of a container"
            );
            tokio::time::sleep(Duration::from_secs(10)).await;
            continue;
        }
        if snapshot.changed().await.is_err() {
            return;
        }
    }
}
