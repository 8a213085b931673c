//! What is true in the cloud, whatever it says.

use std::collections::BTreeMap;

use crate::ask::Op;
use crate::dialect::Dialect;

/// The regions; the first is where the machines of the cluster are.
pub const REGIONS: [&str; 3] = ["zj-shaoxing-2", "fj-xiamen-4", "hi-haikou-6"];

/// The first region.
pub const HOME: &str = REGIONS[0];

/// Milliseconds since the cloud began.
pub type Millis = u64;

/// All of it.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct World {
    pub dialect: Dialect,
    pub now: Millis,
    pub machines: Vec<Machine>,
    pub disks: Vec<Disk>,
    pub snapshots: Vec<Snapshot>,
    pub orders: Vec<Order>,
    pub jobs: Vec<Job>,
    pub log: Vec<Entry>,
    /// What comes of itself: an order or a job goes a step on.
    pub(crate) coming: BTreeMap<(Millis, u64), Next>,
    pub(crate) number: u64,
    /// The access key that is right.
    pub key: String,
    /// Requests since the dialect is spoken.
    pub spoken: u64,
    /// How often each fault of the dialect was looked at.
    pub(crate) faults: Vec<u32>,
    /// What each token was sent with first.
    pub(crate) first_said: BTreeMap<String, String>,
    /// How many orders and jobs of a kind there were since the dialect is spoken.
    pub(crate) begun: BTreeMap<Op, u32>,
}

/// A machine.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Machine {
    pub id: String,
    pub region: &'static str,
    pub ip: String,
    pub vpc: &'static str,
    /// It is a node of the cluster under test.
    pub ours: bool,
    /// It exists no more.
    pub gone: bool,
    pub slots: usize,
}

/// A disk; one that is gone stays here.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Disk {
    pub id: String,
    /// The name that was asked for.
    pub asked: String,
    /// The name that it has.
    pub name: String,
    pub region: String,
    pub gib: u64,
    pub kind: String,
    pub labels: Vec<(String, String)>,
    pub description: String,
    /// The snapshot that it was made from.
    pub source: String,
    /// It was bought by a request; the others were there before.
    pub bought: bool,
    pub created: Millis,
    pub state: State,
    pub holder: Option<String>,
    /// It is deleted together with the machine that holds it.
    pub goes_with_machine: bool,
    pub refunded: bool,
    pub history: Vec<(Millis, Event)>,
    /// State, holder and size, each from a time on.
    pub(crate) moments: Vec<Moment>,
}

/// The state of a disk or a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum State {
    Creating,
    Available,
    Attaching,
    InUse,
    Detaching,
    Extending,
    Deleting,
    Error,
    Gone,
}

/// What happened to a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Event {
    Bought,
    Attached(String),
    Detached(String),
    Grown(u64),
    Refunded,
}

/// What could be seen of a disk from a time on.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub(crate) at: Millis,
    pub(crate) state: State,
    pub(crate) holder: Option<String>,
    pub(crate) gib: u64,
}

/// A snapshot; one that is gone stays here.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Snapshot {
    pub id: String,
    pub name: String,
    pub disk: String,
    pub region: String,
    pub gib: u64,
    pub kind: String,
    pub created: Millis,
    pub gone: Option<Millis>,
    pub state: State,
}

/// An order.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Order {
    pub id: String,
    pub op: Op,
    pub token: String,
    /// All that was asked for.
    pub said: String,
    pub at: Millis,
    pub stage: Stage,
    /// The index of its disk, once there is one.
    pub disk: Option<usize>,
    pub(crate) wish: Disk,
    pub(crate) fails: bool,
    pub(crate) snapshot: Option<usize>,
}

/// A job: an attach or a detach.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Job {
    pub id: String,
    pub op: Op,
    pub disk: usize,
    pub machine: String,
    pub at: Millis,
    pub stage: Stage,
    pub(crate) fails: bool,
    /// Of an attach: the disk is to be deleted together with the machine.
    pub(crate) goes_with_machine: bool,
}

/// How far an order or a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Stage {
    Waiting,
    Running,
    Done,
    Failed,
}

/// What goes a step on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Next {
    OrderBegins(usize),
    OrderEnds(usize),
    JobBegins(usize),
    JobEnds(usize),
    SnapshotThere(usize),
}

/// A request that came.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Entry {
    pub at: Millis,
    pub op: Op,
    pub region: String,
    /// The disk that it names.
    pub disk: String,
    pub machine: String,
    /// It was a write, and it was accepted.
    pub accepted: bool,
    /// The same write on the same disk was under way.
    pub again: bool,
}

impl Stage {
    /// Whether it has not ended.
    pub fn open(self) -> bool {
        matches!(self, Self::Waiting | Self::Running)
    }
}

impl Disk {
    /// Changes state and holder; the past stays known.
    pub(crate) fn set(&mut self, at: Millis, state: State, holder: Option<String>) {
        self.state = state;
        self.holder.clone_from(&holder);
        self.moments.push(Moment { at, state, holder, gib: self.gib });
    }

    /// How it was then; `None` before it was there.
    pub(crate) fn seen(&self, at: Millis) -> Option<&Moment> {
        self.moments.iter().rev().find(|moment| moment.at <= at)
    }

    /// Whether it is still there.
    pub fn exists(&self) -> bool {
        !self.refunded && self.state != State::Gone
    }
}

impl World {
    /// A number that no other thing has.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// Whether the disk never was usable: the order that was to make it has failed.
    pub fn is_stillborn(&self, disk: &Disk) -> bool {
        let failed = |order: &&Order| order.op.makes_disks() && order.stage == Stage::Failed;
        let index = self.disks.iter().position(|one| one.id == disk.id);
        self.orders.iter().filter(failed).any(|order| order.disk.is_some() && order.disk == index)
    }

    /// The disk with this id; also one that is gone.
    pub fn disk(&self, id: &str) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.id == id)
    }

    /// The index of a disk that is not gone.
    pub(crate) fn index(&self, id: &str, region: &str) -> Option<usize> {
        self.disks.iter().position(|disk| disk.id == id && disk.region == region && disk.state != State::Gone)
    }

    /// The machine of the cluster's node with this address.
    pub fn node(&self, ip: &str) -> Option<String> {
        let here = |machine: &&Machine| machine.ours && !machine.gone && machine.ip == ip;
        self.machines.iter().filter(|machine| machine.region == REGIONS[0]).find(here).map(|m| m.id.clone())
    }

    /// How many operations of this kind have begun, this one included.
    pub(crate) fn count(&mut self, op: Op) -> u32 {
        let count = self.begun.entry(op).or_default();
        *count += 1;
        *count
    }

    /// The ids of an order's disks, once there are some.
    pub(crate) fn disks_of(&self, order: &Order) -> Vec<String> {
        let done = order.stage == Stage::Done;
        order.disk.filter(|_| done).map(|disk| self.disks[disk].id.clone()).into_iter().collect()
    }

    /// Plans a step.
    pub(crate) fn plan(&mut self, at: Millis, next: Next) {
        let number = self.next_number();
        self.coming.insert((at, number), next);
    }
}
