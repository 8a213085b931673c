//! One schedule: a small cluster, its events in a random order, and what must hold after each.

use std::sync::Mutex;

use futures::FutureExt as _;
use ideal_gpu::ask::PodAsk;
use ideal_gpu::card::Inventory;
use ideal_gpu::decision::Decision;
use ideal_gpu::names::{CORE, CORE_PER_CARD, GPU, MEMORY, WHOLE};
use ideal_gpu::place::Policy;
use ideal_gpu::plan::Plan;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sanity_tests::fake_kubelet::admission;
use sanity_tests::fake_kubelet::pod::{Kind, Pod};
use sanity_tests::fake_kubelet::rules::Rules;

use crate::agent::{Agent, Record, State, devices};
use crate::replica::Replica;
use crate::{check, draw};

/// What the API server tells its watches.
pub(crate) enum Change {
    Node(String, Inventory),
    /// Pod, node, decision, what the pod asks for.
    Bound(String, String, String, PodAsk),
    Gone(String),
}

/// The API server's part: changes in order.
#[derive(Default)]
pub(crate) struct Api {
    pub(crate) log: Vec<Change>,
}

/// A node's kubelet and plugin.
pub(crate) struct Site {
    pub(crate) name: String,
    pub(crate) inventory: Inventory,
    pub(crate) rules: Mutex<Rules>,
    pub(crate) state: Mutex<State>,
    /// The plugin is not registered.
    away: bool,
}

/// How far a pod is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Unbound,
    /// On this node, not admitted yet.
    Bound(usize),
    /// On this node; so many containers were started.
    Runs(usize, usize),
    Gone,
}

pub(crate) struct Job {
    pub(crate) pod: Pod,
    pub(crate) ask: PodAsk,
    pub(crate) stage: Stage,
    pub(crate) decision: Option<Decision>,
}

/// What happened, for the closing line.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    pub(crate) events: u64,
    pub(crate) pods: u64,
    pub(crate) admitted: u64,
    pub(crate) never_placed: u64,
    pub(crate) starts: u64,
    pub(crate) kubelet_restarts: u64,
    pub(crate) plugin_restarts: u64,
    pub(crate) scheduler_restarts: u64,
    pub(crate) handovers: u64,
    pub(crate) lost_answers: u64,
    pub(crate) cards_ill: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.pods += other.pods;
        self.admitted += other.admitted;
        self.never_placed += other.never_placed;
        self.starts += other.starts;
        self.kubelet_restarts += other.kubelet_restarts;
        self.plugin_restarts += other.plugin_restarts;
        self.scheduler_restarts += other.scheduler_restarts;
        self.handovers += other.handovers;
        self.lost_answers += other.lost_answers;
        self.cards_ill += other.cards_ill;
    }
}

pub(crate) struct World {
    rng: StdRng,
    api: Api,
    pub(crate) sites: Vec<Site>,
    pub(crate) replicas: [Replica; 2],
    leader: usize,
    /// The names with `vcuda` are `ignoredByScheduler`: kube-scheduler does not count them beside us.
    ignored: bool,
    pub(crate) jobs: Vec<Job>,
    /// Pods that are still to come.
    left: usize,
    counts: Counts,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut api = Api::default();
        let mut sites = Vec::new();
        for number in 0..rng.random_range(1..=3) {
            let site = Site {
                name: format!("n{number}"),
                inventory: draw::inventory(&mut rng, number),
                rules: Mutex::new(Rules::new(rng.random())),
                state: Mutex::default(),
                away: false,
            };
            site.register();
            api.log.push(Change::Node(site.name.clone(), site.inventory.clone()));
            sites.push(site);
        }
        let replicas = [Replica::restarted(&api), Replica::restarted(&api)];
        let (left, ignored) = (rng.random_range(2..=10), rng.random());
        Self {
            rng,
            api,
            sites,
            replicas,
            leader: 0,
            ignored,
            jobs: Vec::new(),
            left,
            counts: Counts::default(),
        }
    }

    /// Runs until every pod was placed or deleted, then deletes all and looks for what is left behind.
    pub(crate) fn run(mut self) -> Counts {
        let mut patience = 60;
        while self.left > 0 || self.jobs.iter().any(|job| job.stage != Stage::Gone) {
            if self.left == 0 {
                patience -= 1;
            }
            self.event(patience <= 0);
            self.counts.events += 1;
            check::all(&self);
        }
        for replica in &mut self.replicas {
            replica.hear(&self.api, usize::MAX);
        }
        check::nothing_is_left(&self);
        self.counts
    }

    fn event(&mut self, ending: bool) {
        match self.rng.random_range(0..24) {
            0..4 if self.left > 0 => self.create(),
            0..4 if ending => self.delete(true),
            0..9 => self.schedule(),
            9..13 => self.admit(),
            13..16 => self.start(),
            16 => self.start_again(),
            17 => self.hear(),
            18 => self.delete(ending),
            19 => self.restart_kubelet(),
            20 => self.restart_plugin(),
            21 => self.change_scheduler(),
            22 => self.card_changes(),
            23 => self.come_back(),
            _ => unreachable!("24 kinds of events"),
        }
    }

    fn create(&mut self) {
        let (pod, ask) = draw::pod(&mut self.rng, self.jobs.len());
        self.left -= 1;
        self.counts.pods += 1;
        self.jobs.push(Job { pod, ask, stage: Stage::Unbound, decision: None });
    }

    /// One of the pods at this stage.
    fn any(&mut self, at: impl Fn(Stage) -> bool) -> Option<usize> {
        let found: Vec<usize> = (0..self.jobs.len()).filter(|job| at(self.jobs[*job].stage)).collect();
        if found.is_empty() { None } else { Some(found[self.rng.random_range(0..found.len())]) }
    }

    /// What kube-scheduler does for one pod: its own count, filter, bind.
    fn schedule(&mut self) {
        let Some(job) = self.any(|stage| stage == Stage::Unbound) else { return };
        let (uid, ask) = (self.jobs[job].pod.uid.clone(), self.jobs[job].ask.clone());
        let policy = if self.rng.random() { Policy::Binpack } else { Policy::Spread };
        let fits = self.replicas[self.leader].filter(&uid, &Plan::of(&ask), policy);
        let fits: Vec<usize> = (0..self.sites.len())
            .filter(|n| fits.contains(&self.sites[*n].name) && self.counts_fit(job, *n))
            .collect();
        if fits.is_empty() {
            return;
        }
        let site = fits[self.rng.random_range(0..fits.len())];
        let name = self.sites[site].name.clone();
        let Some(decision) = self.replicas[self.leader].promise(&uid, &ask, &name, policy) else { return };
        // The answer may be lost, of a Binding that was carried out or of one that was not.
        let (lost, done) = match self.rng.random_range(0..10) {
            0 => (true, true),
            1 => (true, false),
            _ => (false, true),
        };
        self.counts.lost_answers += u64::from(lost);
        if done {
            // What the other half reads is what was written.
            let text = decision.to_text();
            self.jobs[job].decision = Some(decision);
            self.jobs[job].stage = Stage::Bound(site);
            self.api.log.push(Change::Bound(uid.clone(), name, text, ask));
        } else if self.rng.random() {
            // Later the pod is looked at and found unbound, and no request can be on its way any more.
            self.replicas[self.leader].give_back(&uid);
        }
        // The others stay promised until the replica is restarted or the pod is gone.
    }

    /// NodeResourcesFit: what the node's status says less what pods bound there ask for.
    fn counts_fit(&self, job: usize, site: usize) -> bool {
        let rules = self.sites[site].rules.lock().unwrap();
        let here = |stage: Stage| matches!(stage, Stage::Bound(s) | Stage::Runs(s, _) if s == site);
        let counted: &[&str] = if self.ignored { &[GPU, WHOLE] } else { &[GPU, WHOLE, CORE, MEMORY] };
        counted.iter().all(|resource| {
            let used: u64 = self.jobs.iter().filter(|j| here(j.stage)).map(|j| j.pod.request(resource)).sum();
            let asked = self.jobs[job].pod.request(resource);
            asked == 0 || used + asked <= rules.allocatable(resource).unwrap_or(0)
        })
    }

    fn admit(&mut self) {
        let Some(job) = self.any(|stage| matches!(stage, Stage::Bound(_))) else { return };
        let Stage::Bound(site) = self.jobs[job].stage else { return };
        let Job { pod, ask, decision, .. } = &self.jobs[job];
        let here = &self.sites[site];
        if let Some(decision) = decision.clone().filter(|_| !ask.containers.is_empty()) {
            let record = Record::new(&pod.name, ask.clone(), decision);
            here.state.lock().unwrap().pods.insert(pod.uid.clone(), record);
        } else {
            // Listed by the kubelet like any other.
            let record = Record::new(&pod.name, PodAsk::default(), decision.clone().unwrap());
            here.state.lock().unwrap().pods.insert(pod.uid.clone(), record);
        }
        here.rules.lock().unwrap().add(pod.clone());
        let admitted = admission::admit(&here.rules, &here.agent(), &pod.uid).now_or_never().unwrap();
        admitted
            .unwrap_or_else(|why| panic!("the kubelet refuses what the scheduler accepted: {why}: {pod:?}"));
        self.counts.admitted += 1;
        self.jobs[job].stage = Stage::Runs(site, 0);
    }

    /// The next container of a pod, in the kubelet's order; an init container ends at once.
    fn start(&mut self) {
        let away: Vec<bool> = self.sites.iter().map(|site| site.away).collect();
        let jobs: Vec<usize> = self.jobs.iter().map(|job| job.pod.containers.len()).collect();
        let ready = |job: &Job, all| matches!(job.stage, Stage::Runs(s, n) if n < all && !away[s]);
        let found: Vec<usize> = (0..jobs.len()).filter(|job| ready(&self.jobs[*job], jobs[*job])).collect();
        if found.is_empty() {
            return;
        }
        let job = found[self.rng.random_range(0..found.len())];
        let Stage::Runs(site, number) = self.jobs[job].stage else { return };
        self.start_one(job, site, number);
        self.jobs[job].stage = Stage::Runs(site, number + 1);
    }

    fn start_one(&mut self, job: usize, site: usize, number: usize) {
        let (pod, here) = (&self.jobs[job].pod, &self.sites[site]);
        let container = &pod.containers[number];
        let started = admission::start(&here.rules, &here.agent(), &pod.uid, &container.name).now_or_never();
        let answers = started
            .unwrap()
            .unwrap_or_else(|why| panic!("{} does not start: {why}: {pod:?}", container.name));
        check::created(here, &self.jobs[job], container, &answers);
        if container.kind == Kind::Init {
            here.state.lock().unwrap().ended(&pod.uid, &container.name);
        }
        self.counts.starts += 1;
    }

    /// A container that lasts has crashed.
    fn start_again(&mut self) {
        let Some(job) = self.any(|stage| matches!(stage, Stage::Runs(_, n) if n > 0)) else { return };
        let Stage::Runs(site, started) = self.jobs[job].stage else { return };
        let number = self.rng.random_range(0..started);
        if !self.sites[site].away && self.jobs[job].pod.containers[number].kind != Kind::Init {
            self.start_one(job, site, number);
        }
    }

    fn hear(&mut self) {
        let (who, most) = (self.rng.random_range(0..2), self.rng.random_range(1..=4));
        self.replicas[who].hear(&self.api, most);
    }

    /// Pods that wait are mostly left to wait for room until the end.
    fn delete(&mut self, ending: bool) {
        let also_unbound = ending || self.rng.random_bool(0.2);
        let at = |stage| stage != Stage::Gone && (also_unbound || stage != Stage::Unbound);
        let Some(job) = self.any(at) else { return };
        let uid = self.jobs[job].pod.uid.clone();
        match self.jobs[job].stage {
            Stage::Unbound => self.counts.never_placed += 1,
            Stage::Bound(site) | Stage::Runs(site, _) => {
                self.sites[site].rules.lock().unwrap().remove(&uid);
                let mut state = self.sites[site].state.lock().unwrap();
                state.pods.remove(&uid);
                state.limits.retain(|(pod, _), _| *pod != uid);
            }
            Stage::Gone => {}
        }
        self.jobs[job].stage = Stage::Gone;
        self.api.log.push(Change::Gone(uid));
    }

    /// A node on which no pod is between Binding and admission: the real kubelet refuses such pods too while its plugins are
    /// away, and no plugin can help it (kubernetes#128043).
    fn quiet_site(&mut self) -> Option<usize> {
        let site = self.rng.random_range(0..self.sites.len());
        let waits = self.jobs.iter().any(|job| job.stage == Stage::Bound(site));
        (!waits && !self.sites[site].away).then_some(site)
    }

    fn restart_kubelet(&mut self) {
        let Some(site) = self.quiet_site() else { return };
        self.counts.kubelet_restarts += 1;
        self.sites[site].rules.lock().unwrap().restart();
        self.sites[site].away = true;
    }

    fn restart_plugin(&mut self) {
        let Some(site) = self.quiet_site() else { return };
        self.counts.plugin_restarts += 1;
        let mut rules = self.sites[site].rules.lock().unwrap();
        rules.gone(GPU);
        rules.gone(WHOLE);
        drop(rules);
        self.sites[site].away = true;
    }

    fn come_back(&mut self) {
        for site in &mut self.sites {
            site.away = false;
            site.register();
        }
    }

    /// The leader changes, or one replica is started anew. The new leader reads everything before its first Binding.
    fn change_scheduler(&mut self) {
        if self.rng.random() {
            self.counts.handovers += 1;
            self.leader = 1 - self.leader;
            self.replicas[self.leader].hear(&self.api, usize::MAX);
        } else {
            self.counts.scheduler_restarts += 1;
            let who = self.rng.random_range(0..2);
            self.replicas[who] = Replica::restarted(&self.api);
        }
    }

    /// A card falls ill or recovers. The scheduler hears at once: a pod that is bound to an ill card is refused by the kubelet
    /// with good reason.
    fn card_changes(&mut self) {
        let Some(site) = self.quiet_site() else { return };
        let card = self.rng.random_range(0..self.sites[site].inventory.cards.len());
        let healthy = &mut self.sites[site].inventory.cards[card].healthy;
        *healthy = !*healthy;
        self.counts.cards_ill += u64::from(!*healthy);
        self.sites[site].register();
        self.api.log.push(Change::Node(self.sites[site].name.clone(), self.sites[site].inventory.clone()));
        self.replicas[self.leader].hear(&self.api, usize::MAX);
    }
}

impl Site {
    pub(crate) fn agent(&self) -> Agent<'_> {
        Agent { rules: &self.rules, state: &self.state }
    }

    fn register(&self) {
        let mut rules = self.rules.lock().unwrap();
        for resource in [GPU, WHOLE] {
            rules.advertise(resource, devices(resource, &self.inventory));
        }
        // All cards, the ill ones too: pods on them are counted by the kubelet as well.
        rules.patch(CORE, self.inventory.cards.len() as u64 * u64::from(CORE_PER_CARD));
        rules.patch(MEMORY, self.inventory.cards.iter().map(|card| card.memory_mib).sum());
    }
}
