//! The cards, seen from a thread of their own: NVML blocks, and may block for long when a card is ill.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use cards::{CardUsage, Driver, Health, HealthTracker, Overcommit, Reason};
use ideal_gpu::card::{Card, CardId, Inventory};
use tokio::sync::watch;
use tracing::{info, warn};

/// How often all cards are listed anew, beside when something happened.
const LIST: Duration = Duration::from_secs(60);

/// How often while a card has failed: only a listing tells that it was reset or is back, and every second without it is paid for.
const AWAITED: Duration = Duration::from_secs(5);

/// How often usage is read: as often as Prometheus scrapes by default, about.
const USAGE: Duration = Duration::from_secs(15);

/// The first and the longest pause between looks for a driver that is not there.
const ABSENT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The pauses between such looks: each twice the one before.
const PAUSES: ExponentialBuilder =
    ExponentialBuilder::new().with_min_delay(ABSENT.0).with_max_delay(ABSENT.1).without_max_times();

/// The cards as they are now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GpuSnapshot {
    /// In NVML's order.
    pub cards: Vec<Card>,
    /// N of `/dev/nvidiaN`.
    pub minors: BTreeMap<CardId, u32>,
    /// The cards that take no new work.
    pub unhealthy: BTreeMap<CardId, Unhealthy>,
    /// Why there are no cards.
    pub absent: Option<String>,
    /// The driver has answered, or is known to be absent. Before, nothing must be told to anybody: the node would lose its
    /// devices for a moment whenever the plugin starts.
    pub asked: bool,
}

/// Why a card takes no new work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhealthy {
    /// How ill it is.
    pub health: Health,
    /// What happened.
    pub reason: String,
}

impl GpuSnapshot {
    /// As the scheduler hears of it.
    pub(crate) fn inventory(&self) -> Inventory {
        Inventory { cards: self.cards.clone() }
    }

    /// Cards with their minors, for CDI.
    pub(crate) fn with_minors(&self) -> Vec<(CardId, u32)> {
        self.minors.iter().map(|(id, minor)| (id.clone(), *minor)).collect()
    }
}

/// What the thread tells.
#[derive(Debug, Clone)]
pub struct GpuWatch {
    /// The cards.
    pub snapshot: watch::Receiver<Arc<GpuSnapshot>>,
    /// What is used of them.
    pub usage: watch::Receiver<Arc<Vec<CardUsage>>>,
}

impl GpuWatch {
    /// Resolves once there is something to tell.
    pub(crate) async fn first_snapshot(&self) {
        // An error means that the thread has ended: then there is nothing to wait for.
        let _ = self.snapshot.clone().wait_for(|snapshot| snapshot.asked).await;
    }
}

/// Starts the thread. It ends when nobody looks any more, or with the process.
pub(crate) fn start(driver: Box<dyn Driver>, overcommit: Overcommit) -> std::io::Result<GpuWatch> {
    let nothing = GpuSnapshot {
        absent: Some("the driver has not been asked yet".to_owned()),
        ..GpuSnapshot::default()
    };
    let (snapshots, snapshot) = watch::channel(Arc::new(nothing));
    let (usages, usage) = watch::channel(Arc::default());
    let watcher = Watcher {
        driver,
        overcommit,
        tracker: HealthTracker::new(),
        snapshots,
        usages,
        started: Instant::now(),
        absent: None,
        asked: false,
        pauses: PAUSES.build(),
    };
    std::thread::Builder::new().name("cards".to_owned()).spawn(move || watcher.run())?;
    Ok(GpuWatch { snapshot, usage })
}

fn unhealthy_card((card, health, reason): (&CardId, Health, &Reason)) -> (CardId, Unhealthy) {
    (card.clone(), Unhealthy { health, reason: reason.to_string() })
}

struct Watcher {
    driver: Box<dyn Driver>,
    overcommit: Overcommit,
    tracker: HealthTracker,
    snapshots: watch::Sender<Arc<GpuSnapshot>>,
    usages: watch::Sender<Arc<Vec<CardUsage>>>,
    started: Instant,
    absent: Option<String>,
    asked: bool,
    pauses: ExponentialBackoff,
}

impl Watcher {
    fn run(mut self) {
        let (mut list, mut usage) = (Duration::ZERO, Duration::ZERO);
        while !self.snapshots.is_closed() {
            let now = self.started.elapsed();
            if now >= list {
                list = now + self.list(now);
            }
            self.tracker.probe(&mut *self.driver, now);
            if now >= usage && self.absent.is_none() {
                let read = self.driver.usage().unwrap_or_default();
                self.usages.send_replace(Arc::new(read));
                usage = now + USAGE;
            }
            self.publish();
            let due = [Some(list), self.tracker.next_probe(), self.absent.is_none().then_some(usage)];
            let due = due.into_iter().flatten().min().unwrap_or(list);
            if self.wait(due.saturating_sub(self.started.elapsed())) {
                list = Duration::ZERO;
            }
        }
    }

    /// Lists the cards; gives the time until the next listing.
    fn list(&mut self, now: Duration) -> Duration {
        let answer = self.driver.cards();
        let absent = answer.as_ref().err().filter(|error| error.is_absent()).map(ToString::to_string);
        if self.absent != absent {
            match &absent {
                Some(reason) => warn!(reason, "No NVIDIA driver: looking again until there is one"),
                None => info!("The NVIDIA driver answers"),
            }
            self.pauses = PAUSES.build();
        }
        let failed = answer.is_err();
        self.asked |= !failed || absent.is_some();
        self.absent = absent;
        self.tracker.listed(answer, now);
        if !failed {
            self.pauses = PAUSES.build();
            return if self.tracker.has_failed() { AWAITED } else { LIST };
        }
        self.pauses.next().unwrap_or(ABSENT.1)
    }

    /// Waits for something to happen; true if the cards must be listed anew.
    fn wait(&mut self, patience: Duration) -> bool {
        if self.absent.is_some() {
            std::thread::park_timeout(patience);
            return false;
        }
        match self.driver.next_event(patience) {
            Ok(None) => false,
            Ok(Some(event)) => {
                warn!(?event, "A card reported something");
                self.tracker.happened(&event, self.started.elapsed());
                // Whatever it was, the list may be another one.
                true
            }
            Err(error) => {
                warn!(%error, "The driver does not tell events");
                std::thread::park_timeout(patience.min(ABSENT.0));
                error.is_absent()
            }
        }
    }

    fn publish(&self) {
        let members = self.tracker.members().iter();
        let snapshot = GpuSnapshot {
            cards: self.tracker.cards(self.overcommit),
            minors: members.map(|member| (member.found.id.clone(), member.found.minor)).collect(),
            unhealthy: self.tracker.unhealthy().map(unhealthy_card).collect(),
            absent: self.absent.clone(),
            asked: self.asked,
        };
        self.snapshots.send_if_modified(|there| {
            let changed = **there != snapshot;
            if changed {
                *there = Arc::new(snapshot);
            }
            changed
        });
    }
}
