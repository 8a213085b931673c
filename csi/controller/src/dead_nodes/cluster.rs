//! The cluster of the simulation: Node objects, kubelets that post, an API server with moods, and the truth about machines, against which
//! each taint is held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use eck_csi::volume::NodeId;
use eck_csi_fencing::{Node, OutOfService, Outages};
use eck_csi_kubernetes::ClusterError;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};
use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep};

use super::{ANSWER_HOLDS, GAP};
use crate::local_cloud::REGION;

/// Kubernetes misses a kubelet after this: node-monitor-grace-period, 40 s up to 1.31 and 50 s since.
const MISSED: Duration = Duration::from_secs(40);

/// From power to the kubelet's first post.
const BOOTS: Duration = Duration::from_secs(5);

/// A machine as it is.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    /// Something of it is in memory and may write: it runs, starts, stops, or sleeps.
    pub(super) on: bool,
    pub(super) on_since: Instant,
    pub(super) boot: u32,
    /// When each boot died.
    died: BTreeMap<u32, Instant>,
    /// Its kubelet reaches the API server.
    pub(super) connected: bool,
    heard: Instant,
    pub(super) exists: bool,
    /// What the cloud says, but for what follows.
    pub(super) word: &'static str,
    /// The cloud's list leaves it out.
    pub(super) omitted: bool,
    /// The cloud says that it is stopped, and it is not.
    pub(super) lied_of: bool,
    pub(super) was_lied_of: bool,
    /// It has another address in the cloud.
    pub(super) moved: bool,
}

impl Machine {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            on: true,
            on_since: now - BOOTS,
            boot: 0,
            died: BTreeMap::new(),
            connected: true,
            heard: now,
            exists: true,
            word: "running",
            omitted: false,
            lied_of: false,
            was_lied_of: false,
            moved: false,
        }
    }

    pub(super) fn turn_off(&mut self) {
        if self.on {
            self.on = false;
            self.died.insert(self.boot, Instant::now());
        }
    }

    pub(super) fn turn_on(&mut self) {
        self.on = true;
        self.on_since = Instant::now();
        self.boot += 1;
    }
}

/// What is so.
pub(super) struct Truth {
    pub(super) machines: Vec<Machine>,
    pub(super) nodes: BTreeMap<String, Node>,
    names: BTreeMap<String, usize>,
    /// The replica that leads; 2 for none.
    pub(super) leader: usize,
    /// Which share of the requests to the API server goes wrong.
    pub(super) faults: f64,
    version: u64,
    rng: StdRng,
    pub(super) violations: Vec<String>,
    pub(super) taints: usize,
    pub(super) untaints: usize,
}

pub(super) fn name_of(address: &str) -> String {
    format!("{REGION}.{address}")
}

fn boot_of(i: usize, boot: u32) -> String {
    format!("boot-{i}-{boot}")
}

impl Truth {
    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    fn name(&self, i: usize) -> String {
        self.names.iter().find(|(_, of)| **of == i).unwrap().0.clone()
    }

    /// Kubelets post, and those that do not are missed.
    pub(super) fn beat(&mut self) {
        for i in 0..self.machines.len() {
            let (name, version, now) = (self.name(i), self.next_version(), Instant::now());
            let machine = &mut self.machines[i];
            let posts = machine.on && machine.connected && machine.word != "suspended";
            let posts = posts && machine.on_since.elapsed() >= BOOTS;
            let boot = boot_of(i, machine.boot);
            if posts {
                machine.heard = now;
                let uid = format!("uid-{version}");
                let node = self.nodes.entry(name.clone()).or_insert_with(|| node(&name, i, uid));
                if !node.ready || node.boot != boot {
                    (node.ready, node.boot, node.version) = (true, boot, version);
                }
            } else if machine.heard.elapsed() >= MISSED
                && let Some(node) = self.nodes.get_mut(&name).filter(|node| node.ready)
            {
                (node.ready, node.version) = (false, version);
            }
        }
    }

    /// A person deletes the Node, or taints it if it is not ready.
    pub(super) fn touch_node(&mut self, i: usize, deletes: bool) {
        let (name, version) = (self.name(i), self.next_version());
        if deletes {
            self.nodes.remove(&name);
        } else if let Some(node) = self.nodes.get_mut(&name).filter(|node| !node.ready)
            && node.out_of_service == OutOfService::No
        {
            (node.out_of_service, node.version) = (OutOfService::ByOthers, version);
        }
    }

    /// The node is not ready, its machine is off in truth and by the cloud's word, and nobody has said so yet.
    pub(super) fn is_to_taint(&self, i: usize) -> bool {
        let machine = &self.machines[i];
        let told = !machine.exists || machine.word == "stopped";
        let node = self.nodes.get(&self.name(i));
        let open = node.is_some_and(|node| !node.ready && node.out_of_service == OutOfService::No);
        !machine.on && told && open
    }

    /// When nothing has happened for long, a node that is ready has no taint of ours.
    pub(super) fn end(&mut self) {
        for node in self.nodes.values() {
            if node.ready && node.out_of_service == OutOfService::ByUs {
                self.violations.push(format!("{} is ready and keeps our taint", node.name));
            }
        }
    }

    /// Whether the taint is right.
    fn hold_against(&mut self, node: &Node) {
        let i = self.names[&node.name];
        let machine = &self.machines[i];
        let died = machine.died.iter().find(|(boot, _)| boot_of(i, **boot) == node.boot).map(|(_, at)| *at);
        let wrong = match died {
            None => Some("its boot runs".to_owned()),
            // A cloud that lied the first time has said it twice all the same.
            Some(died) if died.elapsed() < GAP && !machine.was_lied_of => {
                Some(format!("it died {:?} ago, after the first answer", died.elapsed()))
            }
            // The second answer is at most so old: the machine was on when it was given.
            Some(_) if machine.on && machine.on_since.elapsed() > ANSWER_HOLDS + Duration::from_secs(5) => {
                Some("it runs again".to_owned())
            }
            Some(_) => None,
        };
        if let Some(wrong) = wrong {
            self.violations.push(format!("{} is tainted, and {wrong}: {machine:?}", node.name));
        }
    }

    /// A write that is carried out if the node is still as it was at the look.
    fn write(&mut self, node: &Node, to: OutOfService) -> bool {
        let version = self.next_version();
        let same = self.nodes.get(&node.name).is_some_and(|now| now.version == node.version);
        if !same {
            return false;
        }
        if to == OutOfService::ByUs {
            self.taints += 1;
            self.hold_against(node);
        } else {
            self.untaints += 1;
        }
        let now = self.nodes.get_mut(&node.name).unwrap();
        if now.out_of_service == OutOfService::ByOthers {
            self.violations.push(format!("another's taint of {} is touched", node.name));
        }
        (now.out_of_service, now.version) = (to, version);
        true
    }
}

fn node(name: &str, i: usize, uid: String) -> Node {
    Node {
        name: name.to_owned(),
        version: uid.clone(),
        uid,
        id: Some(NodeId::parse(name.to_owned()).unwrap()),
        boot: boot_of(i, 0),
        ready: true,
        since: None,
        in_use: BTreeSet::from([format!("cd-{i}")]),
        out_of_service: OutOfService::No,
        instance: None,
        taints: Vec::new(),
    }
}

/// The truth, and those who look at it.
pub(super) struct Shared(Mutex<Truth>);

impl Shared {
    /// Nodes by name, each with the number of its machine; all are ready.
    pub(super) fn new(names: BTreeMap<String, usize>, rng: StdRng) -> Self {
        let nodes = names.iter().map(|(name, i)| (name.clone(), node(name, *i, format!("uid-of-{i}"))));
        Self(Mutex::new(Truth {
            machines: (0..names.len()).map(|_| Machine::new()).collect(),
            nodes: nodes.collect(),
            names,
            leader: 0,
            faults: 0.0,
            version: 1,
            rng,
            violations: Vec::new(),
            taints: 0,
            untaints: 0,
        }))
    }

    pub(super) fn truth(&self) -> MutexGuard<'_, Truth> {
        self.0.lock()
    }

    /// The API server is late, or does not answer.
    async fn trouble(&self) -> Result<(), ClusterError> {
        let (late, fails) = {
            let mut truth = self.truth();
            let share = truth.faults;
            let late = truth.rng.random_bool(share).then(|| truth.rng.random_range(0..4000));
            (late, truth.rng.random_bool(share))
        };
        sleep(Duration::from_millis(late.unwrap_or(1))).await;
        if fails { Err(ClusterError::Slow(Duration::from_secs(5))) } else { Ok(()) }
    }
}

/// The API server as a replica of the controller has it.
pub(super) struct Replica {
    pub(super) shared: Arc<Shared>,
    pub(super) replica: usize,
}

impl Replica {
    async fn write(&self, node: &Node, to: OutOfService) -> Result<bool, ClusterError> {
        self.shared.trouble().await?;
        let done = self.shared.truth().write(node, to);
        // It was done, and the answer may be lost.
        self.shared.trouble().await?;
        Ok(done)
    }
}

impl Outages for Replica {
    fn unsettled(&self) -> Vec<String> {
        let truth = self.shared.truth();
        let unsettled = |node: &&Node| !node.ready || node.out_of_service == OutOfService::ByUs;
        truth.nodes.values().filter(unsettled).map(|node| node.name.clone()).collect()
    }

    fn node<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Node>, ClusterError>> {
        async move {
            self.shared.trouble().await?;
            Ok(self.shared.truth().nodes.get(name).cloned())
        }
        .boxed()
    }

    fn leads(&self) -> BoxFuture<'_, Result<bool, ClusterError>> {
        async move {
            self.shared.trouble().await?;
            Ok(self.shared.truth().leader == self.replica)
        }
        .boxed()
    }

    fn taint<'a>(&'a self, node: &'a Node, _: &'a str) -> BoxFuture<'a, Result<bool, ClusterError>> {
        self.write(node, OutOfService::ByUs).boxed()
    }

    fn untaint<'a>(&'a self, node: &'a Node) -> BoxFuture<'a, Result<bool, ClusterError>> {
        self.write(node, OutOfService::No).boxed()
    }
}
