//! What every request handler shares: the state behind one lock, the clock, the faults, the log.

use std::collections::BTreeSet;
use std::time::Duration;

use ecx::{Credentials, Profile};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::config::{BadConfig, Config, PlaneKind};
use crate::fault::Faults;
use crate::held::HeldRequests;
use crate::limit::Bucket;
use crate::plane::{Plane, PlaneError};
use crate::request_log::RequestLog;
use crate::state_file::{self, StateError};
use crate::world::World;

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
    /// The state that an earlier run left.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What handlers share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) profile: Profile,
    pub(crate) clock: Clock,
    plane: Option<Plane>,
    world: Mutex<World>,
    faults: Mutex<Faults>,
    pub(crate) log: RequestLog,
    used_ids: Mutex<BTreeSet<String>>,
    changed: Notify,
    pub(crate) held: HeldRequests,
    bucket: Mutex<Bucket>,
}

impl Shared {
    pub(crate) fn new(config: Config, clock: Clock) -> Result<Self, StartError> {
        let plane = match (&config.data_plane, &config.state_dir, &config.nodes_dir) {
            (PlaneKind::Loop, Some(state), Some(nodes)) => {
                Some(Plane::new(state.join("disks"), nodes.clone(), config.unit_bytes)?)
            }
            (PlaneKind::Qemu, Some(state), Some(nodes)) => {
                Some(Plane::of_guests(state.join("disks"), nodes.clone(), config.unit_bytes)?)
            }
            _ => None,
        };
        let saved = match &config.state_dir {
            Some(folder) => state_file::read(folder)?,
            None => None,
        };
        let world = saved.unwrap_or_else(|| World::new(&config));
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
            log: RequestLog::default(),
            used_ids: Mutex::default(),
            changed: Notify::new(),
            held: HeldRequests::default(),
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

    /// Lets every held request go on, and ends every transition that is stuck.
    pub(crate) fn release(&self) {
        self.held.release();
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

    pub(crate) fn first_use(&self, request_id: &str) -> bool {
        self.used_ids.lock().insert(request_id.to_owned())
    }

    fn keep(&self, world: &World) {
        let Some(folder) = &self.config.state_dir else { return };
        if let Err(error) = state_file::write(folder, world) {
            tracing::error!(%error, "The state cannot be written");
        }
    }

    /// Ends what is due, when it is due, also while no request comes in.
    pub(crate) async fn tick(&self) {
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
