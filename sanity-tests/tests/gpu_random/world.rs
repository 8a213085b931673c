//! A small cluster: its nodes, schedulers and pods, and how far each is.

use std::collections::BTreeSet;
use std::path::Path;

use futures::FutureExt as _;
use ideal_gpu::decision::Decision;
use ideal_gpu::names::{DECISION, GPU, WHOLE};
use ideal_gpu_scheduler::bind::BindError;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sanity_tests::fake_kubelet::pod::{Container, Pod};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;

use crate::api::Api;
use crate::counts::{Compared, Counts};
use crate::replica::Replica;
use crate::site::Site;

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
        self.pod.containers.iter().any(asks)
    }
}

/// Whether the container asks for cards at all.
pub(crate) fn asks(container: &Container) -> bool {
    [GPU, WHOLE].iter().any(|resource| container.limits.get(*resource).is_some_and(|count| *count > 0))
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

    /// One of the pods at this stage.
    pub(crate) fn any(&mut self, at: impl Fn(&Job) -> bool) -> Option<usize> {
        let found: Vec<usize> = (0..self.jobs.len()).filter(|job| at(&self.jobs[*job])).collect();
        if found.is_empty() { None } else { Some(found[self.rng.random_range(0..found.len())]) }
    }

    /// What has become of pods meanwhile: a Binding is seen at the API server, whatever its caller was told.
    pub(crate) fn observe(&mut self) {
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

    pub(crate) fn hear(&mut self) {
        let (who, most) = (self.rng.random_range(0..2), self.rng.random_range(1..=4));
        self.replicas[who].hear(most);
    }

    pub(crate) fn relist(&mut self) {
        let who = self.rng.random_range(0..2);
        self.replicas[who].relist();
        self.counts.listings += 1;
    }
}
