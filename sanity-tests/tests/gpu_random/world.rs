//! One schedule: a small cluster, its events in a random order, and what must hold after each.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use futures::FutureExt as _;
use ideal_gpu::decision::Decision;
use ideal_gpu::names::DECISION;
use ideal_gpu_scheduler::bind::BindError;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sanity_tests::fake_kubelet::pod::Pod;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, sleep};

use crate::api::Api;
use crate::check;
use crate::counts::{Compared, Counts};
use crate::replica::Replica;
use crate::site::Site;

/// Two looks of the scheduler at pods of which it does not know everything: one may fail.
const LOOKS: Duration = Duration::from_secs(2 * 5 + 1);

/// After so long without a Binding no promise is open: the API server's own limit, the call's, and two looks.
const QUIET: Duration = Duration::from_secs(60 + 4 + LOOKS.as_secs());

/// How far a pod is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Unbound,
    /// On this node, not admitted yet.
    Bound(usize),
    /// On this node; so many containers were started.
    Runs(usize, usize),
    /// It ran on this node and has ended; the object is still there.
    Ended(usize),
    Gone,
}

impl Stage {
    /// Where it holds cards.
    pub(crate) fn site(self) -> Option<usize> {
        match self {
            Self::Bound(site) | Self::Runs(site, _) => Some(site),
            Self::Unbound | Self::Ended(_) | Self::Gone => None,
        }
    }

    /// The node that the pod's object names.
    pub(crate) fn object_of(self) -> Option<usize> {
        match self {
            Self::Ended(site) => Some(site),
            other => other.site(),
        }
    }
}

/// A call of bind that has not ended.
pub(crate) struct Call {
    pub(crate) site: usize,
    pub(crate) who: usize,
    /// If it is refused, its cards are free: no earlier one is on its way, and it never is either.
    pub(crate) free: bool,
    pub(crate) answer: JoinHandle<Result<(), BindError>>,
}

type Answered = Result<Result<(), BindError>, JoinError>;

pub(crate) struct Job {
    pub(crate) pod: Pod,
    pub(crate) stage: Stage,
    /// As the pod's annotation has it.
    pub(crate) decision: Option<Decision>,
    pub(crate) binding: Option<Call>,
    pub(crate) admitted: bool,
    /// Nodes to which it may be promised.
    pub(crate) tried: BTreeSet<usize>,
}

impl Job {
    pub(crate) fn new(pod: Pod) -> Self {
        let (stage, tried) = (Stage::Unbound, BTreeSet::new());
        Self { pod, stage, decision: None, binding: None, admitted: false, tried }
    }

    pub(crate) fn asks(&self) -> bool {
        self.pod.containers.iter().any(check::asks)
    }
}

pub(crate) struct World {
    pub(crate) rng: StdRng,
    pub(crate) api: Api,
    pub(crate) sites: Vec<Site>,
    pub(crate) replicas: [Replica; 2],
    pub(crate) leader: usize,
    /// The names with `vcuda` are `ignoredByScheduler`: kube-scheduler does not count them beside us.
    pub(crate) ignored: bool,
    pub(crate) jobs: Vec<Job>,
    /// Pods that are still to come.
    pub(crate) left: usize,
    pub(crate) started: Instant,
    pub(crate) counts: Counts,
    pub(crate) compared: Compared,
}

impl World {
    pub(crate) async fn new(seed: u64, folder: &Path) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let api = Api::default();
        let mut sites = Vec::new();
        for number in 0..rng.random_range(1..=3) {
            sites.push(Site::start(&api, number, folder, &mut rng).await);
        }
        let replicas = [Replica::started(&api), Replica::started(&api)];
        replicas[0].leads(true);
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
            started: Instant::now(),
            counts: Counts::default(),
            compared: Compared::default(),
        }
    }

    /// Runs until every pod was placed or deleted, then deletes all and looks for what is left behind.
    pub(crate) async fn run(mut self) -> (Counts, Compared) {
        let mut patience = 60;
        while self.left > 0 || self.jobs.iter().any(|job| job.stage != Stage::Gone) {
            if self.left == 0 {
                patience -= 1;
            }
            self.pass().await;
            self.event(patience <= 0).await;
            self.counts.events += 1;
            self.observe();
            self.check(check::all);
        }
        self.come_back().await;
        self.rest().await;
        self.check(check::nothing_is_left);
        (self.counts, self.compared)
    }

    fn check(&mut self, check: fn(&Self, &mut Compared)) {
        let mut compared = std::mem::take(&mut self.compared);
        check(self, &mut compared);
        self.compared = compared;
    }

    /// Time goes by, or none does; either way what was waiting to run runs.
    async fn pass(&mut self) {
        match self.rng.random() {
            true => tokio::task::yield_now().await,
            false => sleep(Duration::from_millis(self.rng.random_range(0..400))).await,
        }
    }

    async fn event(&mut self, ending: bool) {
        match self.rng.random_range(0..32) {
            0..4 if self.left > 0 => self.create(),
            0..4 if ending => self.delete(true),
            0..9 => self.schedule(),
            9..14 => self.admit().await,
            14..18 => self.start().await,
            18..20 => self.start_again().await,
            20..22 => self.hear(),
            22 => self.delete(ending),
            23 => self.end(),
            24 => self.restart_kubelet(),
            25 => self.restart_plugin(),
            26 => self.change_scheduler().await,
            27 => self.card_changes().await,
            28 => self.come_back().await,
            29 => self.relist(),
            30 => sleep(Duration::from_secs(self.rng.random_range(0..20))).await,
            31 => self.rest().await,
            _ => unreachable!("32 kinds of events"),
        }
    }

    /// One of the pods at this stage.
    pub(crate) fn any(&mut self, at: impl Fn(&Job) -> bool) -> Option<usize> {
        let found: Vec<usize> = (0..self.jobs.len()).filter(|job| at(&self.jobs[*job])).collect();
        if found.is_empty() { None } else { Some(found[self.rng.random_range(0..found.len())]) }
    }

    /// What has become of pods meanwhile: a Binding is seen at the API server, whatever its caller was told.
    fn observe(&mut self) {
        for job in 0..self.jobs.len() {
            let Job { pod, binding, .. } = &mut self.jobs[job];
            let object = self.api.pod(&pod.name).filter(|object| object.uid() == pod.uid);
            let bound = object.as_ref().and_then(|object| object.node().map(str::to_owned));
            if let Some(answer) = binding.as_mut().and_then(|call| (&mut call.answer).now_or_never())
                && let Some(call) = binding.take()
            {
                self.answered(job, &call, answer, object.is_some(), bound.as_deref());
            }
            let job = &mut self.jobs[job];
            let (Some(object), Some(node), Stage::Unbound) = (object, bound, job.stage) else { continue };
            let text = object.value["metadata"]["annotations"][DECISION].as_str();
            job.decision = text.map(|text| Decision::parse(text, &job.pod.uid).unwrap());
            assert_eq!(job.decision.is_some(), job.asks(), "{}", object.value);
            job.stage = Stage::Bound(self.sites.iter().position(|site| site.name == node).unwrap());
            job.tried.clear();
        }
    }

    /// A call of bind has ended: the pod is where it says, and what was refused for certain is free at once.
    fn answered(&mut self, job: usize, call: &Call, answer: Answered, exists: bool, bound: Option<&str>) {
        let (pod, node) = (&self.jobs[job].pod, &self.sites[call.site].name);
        match answer {
            Ok(Ok(())) => assert!(!exists || bound == Some(node), "{} is not where bind says", pod.name),
            Ok(Err(BindError::Refused { .. } | BindError::NotLeader)) => {
                let counted = self.replicas[call.who].counts(&pod.uid, node);
                assert!(!call.free || bound.is_some() || !counted, "{} is counted on {node}", pod.name);
                self.counts.refused += 1;
            }
            Ok(Err(_)) => self.counts.lost_answers += 1,
            // Its replica was killed.
            Err(_) => self.counts.cut_off += 1,
        }
    }

    fn hear(&mut self) {
        let (who, most) = (self.rng.random_range(0..2), self.rng.random_range(1..=4));
        self.replicas[who].hear(most);
    }

    fn relist(&mut self) {
        let who = self.rng.random_range(0..2);
        self.replicas[who].relist();
        self.counts.listings += 1;
    }

    /// Nothing happens until nothing is on its way any more and everybody has heard of everything.
    async fn rest(&mut self) {
        sleep(QUIET).await;
        self.replicas.iter_mut().for_each(Replica::hear_all);
        // What a listing has left in doubt is looked at.
        sleep(LOOKS).await;
        self.observe();
        self.jobs.iter_mut().for_each(|job| job.tried.clear());
        self.check(check::settled);
    }
}
