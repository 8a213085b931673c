//! One replica of ideal-gpu-scheduler: the product's own snapshot of the cluster, its filter and its binder. What stands in is the
//! watch, so that it may be late, list anew at any moment, and be out of step with the replica's own Bindings.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ideal_gpu::place::Policy;
use ideal_gpu::usage::Node;
use ideal_gpu_scheduler::bind::{BindError, Binder};
use ideal_gpu_scheduler::cluster::{Cluster, Relist};
use ideal_gpu_scheduler::extender_api::ExtenderBindingArgs;
use ideal_gpu_scheduler::filter::{Verdict, filter};
use ideal_gpu_scheduler::leader::LeadershipGate;
use ideal_gpu_scheduler::pod::Request;
use k8s_openapi::api::core::v1;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::api::{Api, NAMESPACE, Object};

/// `--bind-timeout`, as it is by default.
pub(crate) const BIND_TIMEOUT: Duration = Duration::from_secs(4);

/// Longer than any schedule.
const FOR_EVER: Duration = Duration::from_secs(365 * 86_400);

/// A listing of pods that has begun.
struct Listing {
    number: Relist,
    /// Once the API server has answered: what is still to be read, and the change that the answer is as old as.
    answer: Option<(VecDeque<Arc<Object>>, usize)>,
}

pub(crate) struct Replica {
    pub(crate) cluster: Arc<Cluster>,
    gate: Arc<LeadershipGate>,
    binder: Arc<Binder>,
    api: Api,
    /// Changes of pods and nodes that it has heard of.
    heard: (usize, usize),
    listing: Option<Listing>,
    bindings: Vec<AbortHandle>,
    /// Ends with it.
    _promises: JoinSet<()>,
}

impl Replica {
    /// Started anew: everything is read from the API server.
    pub(crate) fn started(api: &Api) -> Self {
        let (cluster, gate) = (Arc::new(Cluster::default()), Arc::new(LeadershipGate::default()));
        let binder = Arc::new(Binder::new(api.client(), BIND_TIMEOUT, Policy::Binpack));
        let (mut promises, known, watched) = (JoinSet::new(), Arc::clone(&cluster), Arc::clone(&binder));
        promises.spawn(async move { watched.watch_promises(&known).await });
        let mut replica = Self {
            cluster,
            gate,
            binder,
            api: api.clone(),
            heard: (0, 0),
            listing: None,
            bindings: Vec::new(),
            _promises: promises,
        };
        replica.refresh();
        replica
    }

    /// Lists nodes and pods anew, completely.
    pub(crate) fn refresh(&mut self) {
        let (nodes, version) = self.api.nodes();
        nodes.iter().for_each(|node| self.cluster.apply_node(node));
        self.cluster
            .keep_nodes(&nodes.iter().filter_map(|node| node.metadata.name.clone()).collect::<HashSet<_>>());
        self.heard.1 = version;
        self.relist();
        while self.listing.is_some() {
            self.hear_pods(usize::MAX);
        }
    }

    /// Its watch is told that it is too old. What it has read of a listing that runs is for nothing.
    pub(crate) fn relist(&mut self) {
        self.listing = Some(Listing { number: self.cluster.listing_starts(), answer: None });
    }

    /// Hears of so many changes at most.
    pub(crate) fn hear(&mut self, most: usize) {
        self.hear_nodes(most);
        self.hear_pods(most);
    }

    /// Hears of everything that there is to hear.
    pub(crate) fn hear_all(&mut self) {
        self.hear_nodes(usize::MAX);
        while self.listing.is_some() {
            self.hear_pods(usize::MAX);
        }
        self.hear_pods(usize::MAX);
    }

    pub(crate) fn hear_nodes(&mut self, most: usize) {
        for node in self.api.nodes_since(self.heard.1, most) {
            self.cluster.apply_node(&node);
            self.heard.1 += 1;
        }
    }

    fn hear_pods(&mut self, most: usize) {
        let Some(listing) = &mut self.listing else {
            for change in self.api.since(self.heard.0, most) {
                match change.deleted {
                    true => self.cluster.forget_pod(change.uid()),
                    false => self.cluster.apply_pod(&change.pod),
                }
                self.heard.0 = change.version;
            }
            return;
        };
        let Some((left, version)) = &mut listing.answer else {
            let (pods, version) = self.api.list();
            listing.answer = Some((pods.into(), version));
            return;
        };
        for object in left.drain(..most.min(left.len())) {
            self.cluster.apply_pod(&object.pod);
        }
        if left.is_empty() {
            self.cluster.listing_ends(listing.number);
            self.heard.0 = *version;
            self.listing = None;
        }
    }

    /// It leads from now on, or no more.
    pub(crate) fn leads(&self, leads: bool) {
        self.gate.set(leads.then(|| Instant::now() + FOR_EVER));
    }

    /// Those of the nodes that have room.
    pub(crate) fn filter<'n>(&self, pod: &v1::Pod, names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
        let request = Request::of(pod).unwrap();
        let uid = pod.metadata.uid.as_deref().unwrap();
        let verdicts = filter(&self.cluster, uid, Ok(request.as_ref()), Policy::Binpack, names);
        verdicts.into_iter().filter(|(_, verdict)| *verdict == Verdict::Fits).map(|(name, _)| name).collect()
    }

    /// Whether the pod's cards are counted on the node.
    pub(crate) fn counts(&self, uid: &str, node: &str) -> bool {
        let holds = |_: &str, node: Option<&Node>| node.is_some_and(|node| node.holds(uid));
        self.cluster.with_nodes(std::iter::once(node), holds).contains(&true)
    }

    /// Begins to bind a pod to a node.
    pub(crate) fn bind(&mut self, pod: &Object, node: &str) -> JoinHandle<Result<(), BindError>> {
        let args = ExtenderBindingArgs {
            pod_name: pod.pod.metadata.name.clone().unwrap(),
            pod_namespace: NAMESPACE.to_owned(),
            pod_uid: pod.uid().to_owned(),
            node: node.to_owned(),
        };
        let (binder, cluster, gate) =
            (Arc::clone(&self.binder), Arc::clone(&self.cluster), Arc::clone(&self.gate));
        let binding = tokio::spawn(async move { binder.bind(&cluster, &gate, &args).await });
        self.bindings.retain(|binding| !binding.is_finished());
        self.bindings.push(binding.abort_handle());
        binding
    }
}

/// Its process is killed, whatever it is about.
impl Drop for Replica {
    fn drop(&mut self) {
        self.bindings.iter().for_each(AbortHandle::abort);
    }
}
