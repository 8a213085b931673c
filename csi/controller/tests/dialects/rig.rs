//! One cloud, and controllers that see it through a transport of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use eck_csi::cluster::ClusterIdentity;
use eck_csi::volume::Region;
use eck_csi_controller::driver::Driver;
use eck_csi_controller::service::Controller;
use eck_csi_kubernetes::{ClusterError, ClusterRegions, NamedRegions};
use ecx::transport::{Exchange, Incoming, NoReply, Outgoing, Transport};
use ecx::{Client, Credentials, Profile};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use second_cloud::{Cloud, Dialect, HOME, Millis, REGIONS, World};
use tokio::time::Instant;

/// The cluster that the controller serves.
const CLUSTER: &str = "test";

/// When the cloud began: `words.rs` of `second-cloud` has the same instant.
const BEGAN: Duration = Duration::from_millis(1_767_225_600_000);

pub(crate) struct Rig {
    /// Of the dialect.
    pub(crate) name: &'static str,
    cloud: Arc<Cloud>,
    start: Instant,
    dialect: Dialect,
    /// Objects of the cluster that name the first region, which is in the settings no more.
    retired: Option<Arc<Objects>>,
    /// What was broken so far.
    pub(crate) broken: Vec<String>,
    /// What is called was done before.
    pub(crate) again: bool,
    /// Each call is told.
    tells: bool,
    /// The last calls did not end well.
    pub(crate) unfinished: bool,
    /// The scene is over: an operation never ends.
    pub(crate) over: bool,
}

impl Rig {
    /// A cloud in which as yet the base is spoken.
    pub(crate) fn new(name: &'static str, dialect: Dialect) -> Self {
        let cloud = Arc::new(Cloud::new(&dialect));
        Self {
            name,
            cloud,
            start: Instant::now(),
            dialect,
            retired: None,
            broken: Vec::new(),
            again: false,
            unfinished: false,
            tells: ["DIALECT", "SEED"].iter().any(|one| std::env::var_os(one).is_some()),
            over: false,
        }
    }

    /// From now on the dialect is spoken.
    pub(crate) fn speak(&self, names: &[String]) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.cloud.speak(self.dialect.clone(), &names);
    }

    /// Another cluster's disks, which are free.
    pub(crate) fn another_cluster(&self, count: usize) {
        self.cloud.another_cluster(count);
    }

    /// What the dialect does to the machines while nobody looks.
    pub(crate) fn meanwhile(&self) {
        self.cloud.meanwhile(self.now());
    }

    /// A new controller that knows nothing, with the keys of now.
    pub(crate) fn controller(&self) -> Controller {
        self.dying(FLOOD)
    }

    /// The same; it ends when it has sent so many requests.
    pub(crate) fn dying(&self, left: u64) -> Controller {
        self.mortal(left, Arc::default())
    }

    /// The same; it also ends when `dead` is set: nothing that it sends arrives, and nothing that comes is read.
    pub(crate) fn mortal(&self, left: u64, dead: Arc<AtomicBool>) -> Controller {
        let profile = Profile::default();
        let timeout = Duration::from_millis(profile.http_timeout_ms);
        let (cloud, start, chance) = (Arc::clone(&self.cloud), self.start, AtomicU64::new(0));
        let wire = Wire { cloud, start, timeout, chance, left, sent: AtomicU64::new(0), dead };
        let credentials = Credentials::new(&self.cloud.key(), "sk");
        let client = Arc::new(Client::over(Arc::new(wire), profile, credentials));
        let cluster = ClusterIdentity::of(CLUSTER);
        let regions: Vec<Region> = REGIONS.iter().map(|code| region(code)).collect();
        let driver = match &self.retired {
            None => Driver::new(client, cluster, regions),
            Some(objects) => {
                let objects = Arc::clone(objects) as Arc<dyn ClusterRegions>;
                Driver::learning(client, cluster, regions[1..].to_vec(), objects)
            }
        };
        Controller::new(Arc::new(driver))
    }

    /// From now on the settings of controllers do not name the first region, in which these volumes are by their objects.
    pub(crate) fn retire(&mut self, volumes: &[String]) {
        self.retired = Some(Arc::new(Objects(volumes.to_vec())));
    }

    pub(crate) fn now(&self) -> Millis {
        millis(self.start)
    }

    /// The access key that the cloud takes now.
    pub(crate) fn key(&self) -> String {
        self.cloud.key()
    }

    /// What is true in the cloud now.
    pub(crate) fn truth(&self) -> World {
        self.cloud.truth(self.now())
    }

    /// Notes what is broken, once.
    pub(crate) fn broken(&mut self, text: String) {
        self.say(&format!("BROKEN {text}"));
        if !self.broken.contains(&text) {
            self.broken.push(text);
        }
    }

    /// Notes what does not hold.
    pub(crate) fn expect(&mut self, holds: bool, broken: &str) {
        if !holds {
            self.broken(broken.to_owned());
        }
    }

    /// Tells a person who looks at one dialect.
    pub(crate) fn say(&self, text: &str) {
        if self.tells {
            eprintln!("    {text}");
        }
    }
}

/// PersistentVolumes of the first region.
struct Objects(Vec<String>);

impl ClusterRegions for Objects {
    fn named(&self) -> BoxFuture<'_, Result<NamedRegions, ClusterError>> {
        let volumes = self.0.iter().map(|volume| (volume.clone(), vec![region(HOME)])).collect();
        std::future::ready(Ok(NamedRegions { volumes, ..NamedRegions::default() })).boxed()
    }
}

fn region(code: &str) -> Region {
    Region::parse("region", code).unwrap()
}

fn millis(start: Instant) -> Millis {
    u64::try_from(start.elapsed().as_millis()).unwrap()
}

/// Requests of one controller, after which none is answered: a loop without an end is seen by then, and need not be paid for. Three
/// disks that are never gone, each looked at every five seconds for six calls of five minutes, are 1,080.
const FLOOD: u64 = 2000;

/// A controller's way to the cloud.
struct Wire {
    cloud: Arc<Cloud>,
    start: Instant,
    timeout: Duration,
    chance: AtomicU64,
    left: u64,
    sent: AtomicU64,
    dead: Arc<AtomicBool>,
}

impl Wire {
    async fn send(&self, request: Outgoing) -> Result<Incoming, NoReply> {
        if self.sent.fetch_add(1, Ordering::Relaxed) >= self.left {
            std::future::pending::<()>().await;
        }
        self.ends_if_dead().await;
        let no_reply = |code, message: &str| NoReply { code, message: message.to_owned() };
        let target = request.url.splitn(4, '/').last().unwrap_or_default();
        let method = if request.body.is_some() { "POST" } else { "GET" };
        let headers: Vec<(&str, &str)> =
            request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = request.body.as_deref().unwrap_or_default();
        let reply = self.cloud.answer(method, &format!("/{target}"), &headers, body, millis(self.start));
        let delay = Duration::from_millis(reply.delay);
        tokio::time::sleep(delay.min(self.timeout)).await;
        self.ends_if_dead().await;
        if delay > self.timeout {
            return Err(no_reply("timeout", "operation timed out"));
        }
        if reply.lost {
            return Err(no_reply("connection", "connection closed before message completed"));
        }
        let retry_after =
            reply.headers.iter().find(|(name, _)| *name == "retry-after").map(|(_, value)| value.clone());
        Ok(Incoming { http: reply.status, retry_after, body: reply.body })
    }

    async fn ends_if_dead(&self) {
        if self.dead.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

impl Transport for Wire {
    fn exchange(&self, request: Outgoing) -> Exchange<'_> {
        Box::pin(self.send(request))
    }

    fn now(&self) -> SystemTime {
        UNIX_EPOCH + BEGAN + self.start.elapsed()
    }

    fn random(&self) -> u128 {
        // A multiplicative generator: each run is the same.
        let next = self.chance.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        u128::from(next.wrapping_mul(0xbf58_476d_1ce4_e5b9)) << 64 | u128::from(next)
    }
}
