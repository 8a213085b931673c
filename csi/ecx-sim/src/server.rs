//! The running simulator: state behind one lock, a timer that ends what is due, persistence, and the handle for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ecx::api::Op;
use ecx::{Credentials, Profile};
use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use tokio::sync::{Notify, oneshot};

use crate::clock::Clock;
use crate::cloud::Cloud;
use crate::config::{BadConfig, Config, PlaneKind};
use crate::fault::Faults;
use crate::http;
use crate::limit::Bucket;
use crate::plane::{Plane, PlaneError};
use crate::world::World;

/// One request, as `/_sim/log` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct LogEntry {
    /// Operation.
    pub op: Op,
    /// Body or query.
    pub text: String,
    /// The authentication step that failed.
    pub auth: Option<String>,
    /// HTTP status of the reply; 0 while it runs.
    pub http: u16,
    /// Error code of the reply; empty for success.
    pub code: String,
}

/// Why the simulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] BadConfig),
    /// The data plane.
    #[error("data plane")]
    Plane(#[from] PlaneError),
    /// A file or socket.
    #[error("{0}")]
    Io(String, #[source] std::io::Error),
    /// The kept state is damaged.
    #[error("{0} is not the state of a simulator")]
    State(PathBuf, #[source] serde_json::Error),
}

/// What handlers share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) profile: Profile,
    pub(crate) clock: Clock,
    plane: Option<Plane>,
    world: Mutex<World>,
    faults: Mutex<Faults>,
    log: Mutex<Vec<LogEntry>>,
    used_ids: Mutex<BTreeSet<String>>,
    changed: Notify,
    /// Told when held requests may go on.
    gate: Notify,
    held: AtomicUsize,
    bucket: Mutex<Bucket>,
}

impl Shared {
    pub(crate) fn new(config: Config, clock: Clock) -> Result<Self, StartError> {
        let io = |what: &str| {
            let what = what.to_owned();
            move |e| StartError::Io(what, e)
        };
        let plane = match (&config.data_plane, &config.state_dir, &config.nodes_dir) {
            (PlaneKind::Loop, Some(state), Some(nodes)) => {
                Some(Plane::new(state.join("disks"), nodes.clone(), config.unit_bytes)?)
            }
            (PlaneKind::Qemu, Some(state), Some(nodes)) => {
                Some(Plane::of_guests(state.join("disks"), nodes.clone(), config.unit_bytes)?)
            }
            _ => None,
        };
        let mut world = World::new(&config);
        if let Some(dir) = &config.state_dir {
            std::fs::create_dir_all(dir).map_err(io("state dir"))?;
            let path = dir.join("state.json");
            match std::fs::read(&path) {
                Ok(bytes) => {
                    world = serde_json::from_slice(&bytes).map_err(|e| StartError::State(path, e))?
                }
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(io("state file")(e)),
            }
        }
        if let Some(plane) = &plane {
            for machine in world.machines.keys() {
                plane.boot(machine)?;
            }
        }
        Ok(Self {
            clock,
            faults: Mutex::new(Faults::new(config.fault_seed, config.fault_rate)),
            profile: Profile { paths: config.paths.clone(), ..Profile::default() },
            plane,
            world: Mutex::new(world),
            log: Mutex::default(),
            used_ids: Mutex::default(),
            changed: Notify::new(),
            gate: Notify::new(),
            held: AtomicUsize::new(0),
            bucket: Mutex::default(),
            config,
        })
    }

    /// Changes the world: what is due ends first, then `change`, then the state is kept.
    pub(crate) fn act<T>(&self, change: impl FnOnce(&mut World, u64) -> T) -> T {
        let mut world = self.world.lock();
        let now = self.clock.now_ms();
        world.settle(now, self.plane.as_ref());
        let result = change(&mut world, now);
        self.keep(&world);
        drop(world);
        self.changed.notify_one();
        result
    }

    /// What makes disks real, if anything does.
    pub(crate) fn plane(&self) -> Option<&Plane> {
        self.plane.as_ref()
    }

    /// Looks at the world as it is now.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        let mut world = self.world.lock();
        if world.settle(self.clock.now_ms(), self.plane.as_ref()) {
            self.keep(&world);
        }
        look(&world)
    }

    pub(crate) fn vanish_named(&self, text: &str) {
        self.act(|world, _| {
            let named: Vec<String> =
                world.disks.keys().filter(|id| text.contains(id.as_str())).cloned().collect();
            named.iter().for_each(|id| world.vanish(id, self.plane.as_ref()));
        });
    }

    /// Holds a request until [`Self::release`].
    pub(crate) async fn hold(&self) {
        // Listens before it is counted: who sees the count may release at once.
        let mut released = std::pin::pin!(self.gate.notified());
        released.as_mut().enable();
        self.held.fetch_add(1, Ordering::SeqCst);
        released.await;
        self.held.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn release(&self) {
        self.gate.notify_waiters();
        self.act(|world, _| {
            let stuck = |d: &&String| world.disks[*d].pending.as_ref().is_some_and(|p| p.due == u64::MAX);
            let ids: Vec<String> = world.disks.keys().filter(stuck).cloned().collect();
            ids.iter().for_each(|id| world.end(id, self.plane.as_ref()));
        });
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.act(|_, _| ());
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock()
    }

    /// Takes one request out of the account's rate; if there is none left, the seconds until there is.
    pub(crate) fn within_rate(&self) -> Result<(), f64> {
        let Some(rate) = self.config.rate else { return Ok(()) };
        self.bucket.lock().take(rate, self.clock.now_ms())
    }

    /// The first configured key pair.
    pub(crate) fn credentials(&self) -> Credentials {
        let pair = self.config.keys.iter().next();
        pair.map_or_else(|| Credentials::new("", ""), |(ak, sk)| Credentials::new(ak, sk))
    }

    pub(crate) fn log(&self) -> Vec<LogEntry> {
        self.log.lock().clone()
    }

    pub(crate) fn log_from(&self, first: usize) -> Vec<LogEntry> {
        self.log.lock().iter().skip(first).cloned().collect()
    }

    pub(crate) fn calls(&self) -> BTreeMap<Op, u64> {
        self.log.lock().iter().fold(BTreeMap::new(), |mut calls, entry| {
            *calls.entry(entry.op).or_default() += 1;
            calls
        })
    }

    pub(crate) fn log_request(&self, entry: LogEntry) -> usize {
        let mut log = self.log.lock();
        log.push(entry);
        log.len() - 1
    }

    pub(crate) fn log_reply(&self, number: usize, http: u16, code: &str) {
        if let Some(entry) = self.log.lock().get_mut(number) {
            entry.http = http;
            code.clone_into(&mut entry.code);
        }
    }

    pub(crate) fn first_use(&self, request_id: &str) -> bool {
        self.used_ids.lock().insert(request_id.to_owned())
    }

    /// Writes the state beside the old one and renames, so that a kill leaves one of the two whole.
    fn keep(&self, world: &World) {
        let Some(dir) = &self.config.state_dir else { return };
        let write = || {
            let new = dir.join("state.json.new");
            std::fs::write(&new, serde_json::to_vec(world)?)?;
            std::fs::rename(new, dir.join("state.json"))
        };
        if let Err(error) = write() {
            tracing::error!(%error, "The state cannot be kept");
        }
    }

    /// Ends what is due, when it is due, also while no request comes in.
    async fn tick(&self) {
        loop {
            let wait = self.look(World::next_due).and_then(|due| self.clock.until(due));
            let Some(wait) = wait else {
                self.changed.notified().await;
                continue;
            };
            tokio::select! {
                () = tokio::time::sleep(wait.max(Duration::from_millis(1))) => {}
                () = self.changed.notified() => {}
            }
        }
    }
}

/// A running simulator. It has a thread of its own, so that a test's runtime, clock and end do not matter to it.
pub struct Sim {
    cloud: Cloud,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Sim {
    /// Starts on the configured address.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let wanted = config.check()?;
        let io = |e| StartError::Io(format!("cannot listen on {wanted}"), e);
        let listener = std::net::TcpListener::bind(wanted).map_err(io)?;
        listener.set_nonblocking(true).map_err(io)?;
        let address = listener.local_addr().map_err(io)?;
        let clock = Clock::new(config.stepped, config.clock_skew_s);
        let shared = Arc::new(Shared::new(config, clock)?);
        let (stop, stopped) = oneshot::channel::<()>();
        let served = Arc::clone(&shared);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io)?;
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let router = http::router(Arc::clone(&served));
                tokio::select! {
                    ended = axum::serve(listener, router) => tracing::error!(?ended, "The server ended"),
                    () = served.tick() => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { cloud: Cloud { shared }, address, stop: Some(stop), thread: Some(thread) })
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A profile that points here, with short polls and a generous rate.
    pub fn profile(&self) -> Profile {
        let poll = ecx::profile::Poll { first_ms: 20, factor: 1.5, max_ms: 100, give_up_ms: 20_000 };
        let paths = self.cloud.shared.config.paths.clone();
        Profile {
            base_url: self.url(),
            paths,
            poll,
            rate_per_second: 2000.0,
            burst: 2000.0,
            ..Profile::default()
        }
    }

    /// Requests that are held now.
    pub fn held(&self) -> usize {
        self.cloud.shared.held.load(Ordering::SeqCst)
    }

    /// Moves a stepped clock.
    pub fn advance(&self, by: Duration) {
        self.cloud.shared.advance(by);
    }

    /// Every request so far.
    pub fn log(&self) -> Vec<LogEntry> {
        self.cloud.shared.log()
    }

    /// Takes every disk of ours from this machine.
    pub fn clean(&self) -> Result<(), PlaneError> {
        self.cloud.shared.plane.as_ref().map_or(Ok(()), Plane::clean)
    }
}

impl Deref for Sim {
    type Target = Cloud;

    fn deref(&self) -> &Cloud {
        &self.cloud
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
