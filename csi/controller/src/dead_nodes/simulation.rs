//! A region with three machines that are nodes, and everything that happens to machines: seeded, in virtual time, with the simulated cloud.
//! The truth, which machine runs with which boot, is kept apart from what the cloud says and from what kubelets last said.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ecx::api::{Attachment, DiskState};
use ecx_sim::{Effect, Fault, world};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::cluster::{Machine, Replica, Shared, Truth, name_of};
use super::{DeadNodes, Judge};
use crate::local_cloud::{LocalCloud, REGION, disk};

/// Machines that are nodes.
pub(super) const NODES: usize = 3;

/// How long anything may happen, and how long nothing happens afterwards, in seconds: a kubelet that died last is missed after 40 s, and
/// a node that was looked at in vain is looked at again after 15 s.
const BUSY: u32 = 100;
const QUIET: u32 = 100;

/// From power to ready nodes without our taint, in seconds: a kubelet needs 5 s, and a node that is tainted is looked at each 15 s.
const RETURNS: u32 = 40;

/// After the last fault, what was on its way then is over within this.
const SETTLES: Duration = Duration::from_secs(20);

/// What is done later.
#[derive(Debug, Clone, Copy)]
enum Later {
    Off(usize),
    Word(usize, &'static str),
    Resume(usize),
    Show(usize),
    Truthful(usize),
    Stay(usize),
    NoTwin,
    NoFaults,
}

/// The region.
pub(super) struct Plant {
    pub(super) cloud: LocalCloud,
    pub(super) shared: Arc<Shared>,
    rng: StdRng,
    later: Vec<(Instant, Later)>,
    replicas: Vec<JoinHandle<()>>,
    judge: Judge,
    gap: Duration,
    /// When a node could have been tainted first, had it been looked at.
    due: [Option<Instant>; NODES],
    /// The longest time from then to the taint.
    pub(super) latest: Duration,
}

impl Plant {
    /// All machines run, all nodes are ready, and two replicas of the controller watch.
    pub(super) fn new(seed: u64, judge: Judge, gap: Duration) -> Self {
        let cloud = LocalCloud::new();
        let mut plant = Self {
            shared: Arc::new(Shared::new(names(), StdRng::seed_from_u64(seed ^ 0xA5A5))),
            cloud,
            rng: StdRng::seed_from_u64(seed),
            later: Vec::new(),
            replicas: Vec::new(),
            judge,
            gap,
            due: [None; NODES],
            latest: Duration::ZERO,
        };
        plant.cloud.change(|world| world.machines.clear());
        plant.put("evm-other", "10.0.0.200", "running");
        for i in 0..NODES {
            plant.show(i);
            plant.cloud.add_held(disk(&format!("cd-{i}")), &id_of(i));
        }
        plant.replicas = (0..2).map(|replica| plant.start(replica)).collect();
        plant
    }

    fn start(&self, replica: usize) -> JoinHandle<()> {
        let cluster = Arc::new(Replica { shared: Arc::clone(&self.shared), replica });
        let mut dead_nodes = DeadNodes::new(self.cloud.driver(), cluster);
        (dead_nodes.judge, dead_nodes.gap) = (self.judge, self.gap);
        tokio::spawn(Arc::new(dead_nodes).run())
    }

    /// What is true of a machine, changed; the cloud then shows it.
    pub(super) fn change(&mut self, i: usize, change: impl FnOnce(&mut Machine)) {
        change(&mut self.shared.truth().machines[i]);
        self.show(i);
    }

    fn put(&self, id: &str, ip: &str, status: &str) {
        let (id, region) = (id.to_owned(), REGION.to_owned());
        let (ip, status) = (ip.to_owned(), status.to_owned());
        let machine = world::Machine { id: id.clone(), region, ip, status, max_disks: 100, busy_until: 0 };
        self.cloud.change(|world| world.machines.insert(id, machine));
    }

    /// The cloud's picture of a machine.
    fn show(&self, i: usize) {
        let machine = self.shared.truth().machines[i].clone();
        if !machine.exists || machine.omitted {
            self.cloud.change(|world| drop(world.machines.remove(&id_of(i))));
            return;
        }
        let word = if machine.lied_of { "stopped" } else { machine.word };
        let ip = if machine.moved { format!("10.0.9.{i}") } else { address_of(i) };
        self.put(&id_of(i), &ip, word);
    }

    /// Gives a machine of no node the address of one.
    pub(super) fn twin(&self, i: usize, status: &str) {
        self.put("evm-twin", &address_of(i), status);
    }

    /// The machine exists no more, and its disk is free.
    pub(super) fn release(&mut self, i: usize) {
        self.change(i, |machine| {
            machine.turn_off();
            machine.exists = false;
        });
        self.cloud.change(|world| {
            let record = world.disks.get_mut(&format!("cd-{i}")).unwrap();
            record.holder = None;
            record.disk.disk_status = DiskState::Available;
            record.disk.attachments = Vec::<Attachment>::new();
        });
    }

    fn after(&mut self, seconds: std::ops::Range<u64>, later: Later) {
        let after = Duration::from_secs(self.rng.random_range(seconds));
        self.later.push((Instant::now() + after, later));
    }

    /// Seconds pass.
    pub(super) async fn pass(&mut self, seconds: u32, busy: bool) {
        for _ in 0..seconds {
            if busy && self.rng.random_bool(0.2) {
                self.happen();
            }
            for later in self.later.extract_if(.., |(at, _)| *at <= Instant::now()).collect::<Vec<_>>() {
                self.come(later.1);
            }
            self.shared.truth().beat();
            sleep(Duration::from_secs(1)).await;
            self.measure(busy);
        }
    }

    fn come(&mut self, later: Later) {
        match later {
            Later::Off(i) => self.change(i, |machine| {
                machine.turn_off();
                machine.word = "stopped";
            }),
            Later::Word(i, word) => self.change(i, |machine| machine.word = word),
            Later::Resume(i) => self.change(i, |machine| {
                machine.connected = true;
                machine.word = if machine.on { "running" } else { machine.word };
            }),
            Later::Show(i) => self.change(i, |machine| machine.omitted = false),
            Later::Truthful(i) => self.change(i, |machine| machine.lied_of = false),
            Later::Stay(i) => self.change(i, |machine| machine.moved = false),
            Later::NoTwin => self.cloud.change(|world| drop(world.machines.remove("evm-twin"))),
            Later::NoFaults => self.shared.truth().faults = 0.0,
        }
    }

    /// One of the things that happen to machines, networks, the cloud and the cluster.
    fn happen(&mut self) {
        let i = self.rng.random_range(0..NODES);
        let machine = self.shared.truth().machines[i].clone();
        let at_rest = machine.exists && matches!(machine.word, "running" | "stopped");
        match self.rng.random_range(0..16) {
            0 if at_rest && machine.on => {
                self.change(i, |machine| machine.word = "stopping");
                self.after(1..10, Later::Off(i));
            }
            // The cloud learns of a power cut later.
            1 if at_rest && machine.on => {
                self.change(i, Machine::turn_off);
                self.after(1..10, Later::Word(i, "stopped"));
            }
            2 | 3 if at_rest && !machine.on && machine.word == "stopped" => {
                self.change(i, |machine| {
                    machine.turn_on();
                    machine.word = "starting";
                });
                self.after(2..8, Later::Word(i, "running"));
            }
            4 if at_rest && machine.on => {
                self.change(i, |machine| {
                    machine.turn_off();
                    machine.turn_on();
                    machine.word = "restarting";
                });
                self.after(3..10, Later::Word(i, "running"));
            }
            5 if at_rest && machine.on => {
                self.change(i, |machine| (machine.word, machine.connected) = ("suspended", false));
                self.after(20..90, Later::Resume(i));
            }
            6 | 7 => self.change(i, |machine| machine.connected = !machine.connected),
            8 if at_rest && self.rng.random_bool(0.3) => self.release(i),
            _ => self.go_wrong(i, &machine),
        }
    }

    fn go_wrong(&mut self, i: usize, machine: &Machine) {
        match self.rng.random_range(0..8) {
            0 => {
                let word = if self.rng.random_bool(0.5) { "stopped" } else { "running" };
                self.twin(i, word);
                self.after(20..60, Later::NoTwin);
            }
            1 if machine.exists => {
                self.change(i, |machine| machine.moved = true);
                self.twin(i, "stopped");
                self.after(20..60, Later::Stay(i));
                self.after(60..61, Later::NoTwin);
            }
            2 if machine.exists => {
                self.change(i, |machine| machine.omitted = true);
                self.after(1..40, Later::Show(i));
            }
            // Once: a cloud that says it twice, ten seconds apart, says it.
            3 if machine.exists && machine.on && !machine.was_lied_of => {
                self.change(i, |machine| (machine.lied_of, machine.was_lied_of) = (true, true));
                self.after(1..8, Later::Truthful(i));
            }
            4 => self.cloud_fault(),
            5 => {
                self.shared.truth().faults = 0.3;
                self.after(5..30, Later::NoFaults);
            }
            6 => self.change_leader(),
            _ => {
                let deletes = self.rng.random_bool(0.5);
                self.shared.truth().touch_node(i, deletes);
            }
        }
    }

    fn cloud_fault(&mut self) {
        let effect = match self.rng.random_range(0..5) {
            0 => Effect::Http { status: 500 },
            1 => Effect::Http { status: 403 },
            2 => Effect::DropBefore,
            3 => Effect::Throttle { retry_after_s: 2.0 },
            _ => Effect::Delay { ms: self.rng.random_range(1000..15_000) },
        };
        let count = self.rng.random_range(1..6);
        self.cloud.fault(Fault { op: None, contains: None, skip: 0, count, effect });
    }

    /// Another replica leads, or none does for a while; or the one that leads crashes and begins anew.
    fn change_leader(&mut self) {
        let replica = self.rng.random_range(0..3);
        self.shared.truth().leader = replica;
        if replica < 2 && self.rng.random_bool(0.5) {
            self.replicas[replica].abort();
            self.replicas[replica] = self.start(replica);
        }
    }

    /// Nothing goes wrong from now on.
    fn calm(&mut self) {
        self.cloud.clear_faults();
        self.come(Later::NoTwin);
        for i in 0..NODES {
            self.change(i, |machine| {
                (machine.omitted, machine.lied_of, machine.moved) = (false, false, false)
            });
        }
        let mut truth = self.shared.truth();
        truth.faults = 0.0;
        truth.leader = truth.leader.min(1);
    }

    /// How long nodes have to wait whose machine the cloud says is dead.
    fn measure(&mut self, busy: bool) {
        let truth = self.shared.truth();
        for (i, due) in self.due.iter_mut().enumerate() {
            let waits = !busy && truth.is_to_taint(i);
            match (waits, *due) {
                (true, None) => *due = Some(Instant::now()),
                (false, Some(_)) | (false, None) => *due = None,
                (true, Some(since)) => self.latest = self.latest.max(since.elapsed()),
            }
        }
    }

    /// Something happens all the time, then nothing for a while.
    pub(super) async fn live(&mut self) {
        self.pass(BUSY, true).await;
        self.calm();
        // While what was on its way ends, nothing is measured.
        self.pass(SETTLES.as_secs() as u32, false).await;
        self.due = [None; NODES];
        self.latest = Duration::ZERO;
        self.pass(QUIET, false).await;
        self.power().await;
        self.shared.truth().end();
    }

    /// Whatever still exists runs and is reached again.
    async fn power(&mut self) {
        for i in 0..NODES {
            self.change(i, |machine| {
                if machine.exists && !machine.on {
                    machine.turn_on();
                }
                (machine.connected, machine.word) = (true, "running");
            });
        }
        self.pass(RETURNS, false).await;
    }

    pub(super) fn truth(&self) -> parking_lot::MutexGuard<'_, Truth> {
        self.shared.truth()
    }
}

pub(super) fn id_of(i: usize) -> String {
    format!("evm-{i}")
}

fn address_of(i: usize) -> String {
    format!("10.0.0.{}", 10 + i)
}

/// What a schedule came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) violations: Vec<String>,
    pub(super) taints: usize,
    pub(super) untaints: usize,
    pub(super) latest: Duration,
}

/// Runs the schedule of a seed.
pub(super) fn run(seed: u64, judge: Judge, gap: Duration) -> Outcome {
    in_virtual_time(async {
        let mut plant = Plant::new(seed, judge, gap);
        plant.live().await;
        let truth = plant.truth();
        let (violations, latest) = (truth.violations.clone(), plant.latest);
        Outcome { violations, taints: truth.taints, untaints: truth.untaints, latest }
    })
}

pub(super) fn in_virtual_time<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(future)
}

fn names() -> BTreeMap<String, usize> {
    (0..NODES).map(|i| (name_of(&address_of(i)), i)).collect()
}
