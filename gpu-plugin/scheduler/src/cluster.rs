//! What is known of the cluster: every node's cards, every pod on them, and what this program has promised. It is rebuilt
//! from the API server alone; nothing is kept elsewhere.
//!
//! The order of the watch's news and of our own binds is not fixed, so every pod carries the number of the listing during
//! which it was last heard of: a listing may only take away what is older than itself. What we bound or looked at while it ran,
//! and it did not show, may be newer than its answer or gone: that is looked at again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ideal_gpu::card::{CardId, Inventory};
use ideal_gpu::decision::Decision;
use ideal_gpu::names::CARDS;
use ideal_gpu::place::{Policy, Why, place};
use ideal_gpu::usage::{Node, Used};
use k8s_openapi::api::core::v1;
use parking_lot::RwLock;
use tokio::time::Instant;

use crate::pod::{self, Request};

/// Where a pod is, as far as its cards are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Nowhere yet.
    Unbound,
    /// A Binding with this decision is on its way since then, or its outcome is not known.
    Promised { node: String, decision: Decision, sent: Instant },
    /// Bound; its cards are counted there.
    Bound { node: String },
}

/// Which listing of pods: the first is 1, and 0 is before any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Relist(u64);

/// A pod that asks for cards and has not ended.
struct TrackedPod {
    namespace: String,
    name: String,
    /// `None` for a pod whose request cannot be read; it may be bound all the same.
    request: Option<Arc<Request>>,
    place: Placement,
    /// The listing of pods during which it was last heard of, by whatever way.
    last_seen_relist: Relist,
    /// The last listing that showed it, or after which the watch or a look did: of its end a watch will tell.
    confirmed_relist: Relist,
}

#[derive(Default)]
struct State {
    nodes: HashMap<String, Node>,
    /// The nodes that exist; others are here only because pods name them.
    existing: HashSet<String>,
    pods: HashMap<String, TrackedPod>,
    /// The current listing of pods.
    listing: Relist,
    /// The last one that has ended.
    listed: Relist,
}

/// The cluster, behind one lock that nobody holds across an await.
#[derive(Default)]
pub struct Cluster {
    state: RwLock<State>,
}

/// Why no cards can be promised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReserveError {
    /// They do not fit (any more).
    #[error("node {node}: {why}")]
    Full {
        /// Node.
        node: String,
        /// With numbers.
        why: Why,
    },
    /// It is bound.
    #[error("the pod is bound to {0} already")]
    Bound(String),
    /// An earlier Binding may still arrive.
    #[error("the outcome of an earlier binding to {0} is not known yet")]
    Elsewhere(String),
    /// Its cards went to another pod, by a replica that led meanwhile or by the node itself; or they are ill.
    #[error("the cards of an earlier binding to {0} are not free any more, and its outcome is not known yet")]
    Taken(String),
    /// It is gone, or never was.
    #[error("the pod is not known, or asks for no cards")]
    Unknown,
}

/// A pod about which not everything is known.
pub(crate) struct Open {
    pub(crate) uid: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// It is promised: when its Binding was last sent. `None`: it may be gone.
    pub(crate) sent: Option<Instant>,
}

/// One card, for metrics.
pub(crate) struct CardUse<'a> {
    pub(crate) node: &'a str,
    pub(crate) card: &'a CardId,
    pub(crate) memory_mib: u64,
    pub(crate) used: Used,
}

impl Cluster {
    /// A node as the API server tells it. Cards that cannot be read are as none: nothing new goes there.
    pub fn apply_node(&self, node: &v1::Node) {
        let Some(name) = node.metadata.name.as_deref() else { return };
        let text = node.metadata.annotations.as_ref().and_then(|annotations| annotations.get(CARDS));
        let inventory = text.map_or_else(Inventory::default, |text| {
            Inventory::parse(text).unwrap_or_else(|error| {
                tracing::warn!(node = name, %error, "The node's cards cannot be read");
                Inventory::default()
            })
        });
        let mut state = self.state.write();
        state.existing.insert(name.to_owned());
        let same = state.nodes.get(name).is_some_and(|node| node.cards() == inventory.cards);
        if !same {
            tracing::info!(node = name, cards = inventory.cards.len(), "A node's cards");
            state.nodes.entry(name.to_owned()).or_default().set_inventory(inventory);
        }
    }

    /// A node that is gone; pods that still name it stay counted.
    pub(crate) fn forget_node(&self, name: &str) {
        self.state.write().forget_node(name);
    }

    /// A complete listing of nodes has ended.
    pub fn keep_nodes(&self, listed: &HashSet<String>) {
        let mut state = self.state.write();
        let gone: Vec<String> = state.existing.difference(listed).cloned().collect();
        gone.iter().for_each(|name| state.forget_node(name));
    }

    /// A pod as a listing or the watch tells it.
    pub fn apply_pod(&self, pod: &v1::Pod) {
        self.hear(pod, None);
    }

    /// A pod as it was looked at, by a request that was sent when [`Self::listed`] was `listed`.
    pub(crate) fn looked(&self, pod: &v1::Pod, listed: Relist) {
        self.hear(pod, Some(listed));
    }

    /// The last complete listing of pods.
    pub(crate) fn listed(&self) -> Relist {
        self.state.read().listed
    }

    fn hear(&self, pod: &v1::Pod, looked: Option<Relist>) {
        let Some(uid) = pod.metadata.uid.as_deref() else { return };
        let request = match Request::of_known(pod) {
            Ok(request) => request.map(|request| Some(Arc::new(request))),
            Err(_) if pod::names_ours(pod) => Some(None),
            Err(_) => None,
        };
        let mut state = self.state.write();
        match request {
            Some(request) if !pod::finished(pod) => state.apply_pod(uid, pod, request, looked),
            _ => state.forget_pod(uid),
        }
    }

    /// A pod that is gone: what it held is free.
    pub fn forget_pod(&self, uid: &str) {
        self.state.write().forget_pod(uid);
    }

    /// A listing of pods starts.
    pub fn listing_starts(&self) -> Relist {
        let mut state = self.state.write();
        state.listing = Relist(state.listing.0 + 1);
        state.listing
    }

    /// A complete listing of pods has ended: pods not heard of since it started are gone, but for those whose Binding is on
    /// its way; of those its answer will tell.
    pub fn listing_ends(&self, listing: Relist) {
        let mut state = self.state.write();
        state.listed = listing;
        let gone = |known: &TrackedPod| {
            known.last_seen_relist < listing && !matches!(known.place, Placement::Promised { .. })
        };
        let gone: Vec<String> =
            state.pods.iter().filter(|(_, known)| gone(known)).map(|(uid, _)| uid.clone()).collect();
        gone.iter().for_each(|uid| state.forget_pod(uid));
    }

    /// Runs `look` with each node in turn, under one read lock.
    pub fn with_nodes<'n, T>(
        &self,
        names: impl Iterator<Item = &'n str>,
        mut look: impl FnMut(&'n str, Option<&Node>) -> T,
    ) -> Vec<T> {
        let state = self.state.read();
        names.map(|name| look(name, state.nodes.get(name))).collect()
    }

    /// The pod's request; `None` if it is not known.
    pub(crate) fn request(&self, uid: &str) -> Option<Arc<Request>> {
        self.state.read().pods.get(uid)?.request.clone()
    }

    /// Whether the pod is known at all, readable or not.
    pub fn knows(&self, uid: &str) -> bool {
        self.state.read().pods.contains_key(uid)
    }

    /// Where the pod is.
    pub(crate) fn place(&self, uid: &str) -> Option<Placement> {
        self.state.read().pods.get(uid).map(|known| known.place.clone())
    }

    /// Chooses cards on the node and counts them at once. A promise that is still open is given again, unchanged, unless
    /// somebody else has got its cards.
    pub(crate) fn promise(&self, uid: &str, node: &str, policy: Policy) -> Result<Decision, ReserveError> {
        let mut state = self.state.write();
        let State { nodes, pods, listing, .. } = &mut *state;
        let known = pods.get_mut(uid).ok_or(ReserveError::Unknown)?;
        let request = known.request.clone().ok_or(ReserveError::Unknown)?;
        match &mut known.place {
            Placement::Unbound => {}
            Placement::Promised { node: earlier, decision, sent } if earlier == node => {
                let mut others = nodes.get(node).cloned().unwrap_or_default();
                others.remove(uid);
                let ill = |id: &CardId| others.cards().iter().any(|card| card.id == *id && !card.usable());
                // Other cards would be a second promise: this one has to end first.
                if !decision.fits(&others) || decision.charge().iter().any(|(id, _)| ill(id)) {
                    return Err(ReserveError::Taken(node.to_owned()));
                }
                *sent = Instant::now();
                return Ok(decision.clone());
            }
            Placement::Promised { node, .. } => return Err(ReserveError::Elsewhere(node.clone())),
            Placement::Bound { node } => return Err(ReserveError::Bound(node.clone())),
        }
        let full = |why| ReserveError::Full { node: node.to_owned(), why };
        let allocations = nodes.get_mut(node).ok_or_else(|| full(Why::NoCards))?;
        let cards = place(allocations, &request.plan, policy).map_err(full)?;
        let decision = Decision::new(uid, &request.ask, &request.plan, &cards);
        allocations.add(uid, decision.charge());
        known.place =
            Placement::Promised { node: node.to_owned(), decision: decision.clone(), sent: Instant::now() };
        known.last_seen_relist = *listing;
        Ok(decision)
    }

    /// The Binding was carried out.
    pub(crate) fn kept(&self, uid: &str) {
        let mut state = self.state.write();
        let listing = state.listing;
        let Some(known) = state.pods.get_mut(uid) else { return };
        if let Placement::Promised { node, .. } = &known.place {
            known.place = Placement::Bound { node: node.clone() };
            known.last_seen_relist = listing;
        }
    }

    /// The Binding was refused, or can no longer arrive: the cards are free. A pod that the watch has shown bound stays so.
    pub(crate) fn give_back(&self, uid: &str) {
        let mut state = self.state.write();
        let State { nodes, pods, .. } = &mut *state;
        let Some(known) = pods.get_mut(uid) else { return };
        if let Placement::Promised { node, .. } = &known.place {
            if let Some(node) = nodes.get_mut(node) {
                node.remove(uid);
            }
            known.place = Placement::Unbound;
        }
    }

    /// Pods to look at: those that are promised, and those that may be gone.
    pub(crate) fn open(&self) -> Vec<Open> {
        let state = self.state.read();
        let open = |(uid, known): (&String, &TrackedPod)| {
            let sent = match known.place {
                Placement::Promised { sent, .. } => Some(sent),
                _ if known.confirmed_relist < state.listed => None,
                _ => return None,
            };
            let [uid, namespace, name] = [uid, &known.namespace, &known.name].map(String::clone);
            Some(Open { uid, namespace, name, sent })
        };
        state.pods.iter().filter_map(open).collect()
    }

    /// Shows every card, for metrics.
    pub(crate) fn each_card(&self, mut show: impl FnMut(CardUse<'_>)) {
        for (node, allocations) in &self.state.read().nodes {
            for (card, used) in allocations.cards().iter().zip(allocations.used()) {
                show(CardUse { node, card: &card.id, memory_mib: card.memory_mib, used: *used });
            }
        }
    }

    /// Pods that hold cards or are promised some, and pods whose cards nobody knows.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.state.read();
        let undecided = state.nodes.values().map(Node::undecided).sum();
        let placed = state.pods.values().filter(|known| known.place != Placement::Unbound).count();
        (placed, undecided)
    }
}

impl State {
    fn forget_node(&mut self, name: &str) {
        self.existing.remove(name);
        if let Some(node) = self.nodes.get_mut(name) {
            node.set_inventory(Inventory::default());
        }
        self.tidy(name);
    }

    /// Drops what is remembered of a node that neither exists nor has pods.
    fn tidy(&mut self, name: &str) {
        let empty = |node: &Node| node.pods().next().is_none() && node.undecided() == 0;
        if !self.existing.contains(name) && self.nodes.get(name).is_some_and(empty) {
            self.nodes.remove(name);
        }
    }

    fn forget_pod(&mut self, uid: &str) {
        let Some(known) = self.pods.remove(uid) else { return };
        if let Placement::Promised { node, .. } | Placement::Bound { node } = known.place {
            self.uncount(uid, &node);
        }
    }

    fn uncount(&mut self, uid: &str, node: &str) {
        if let Some(allocations) = self.nodes.get_mut(node) {
            allocations.remove(uid);
        }
        self.tidy(node);
    }

    fn apply_pod(&mut self, uid: &str, pod: &v1::Pod, request: Option<Arc<Request>>, looked: Option<Relist>) {
        let known = self.pods.get(uid);
        // Not known when it was looked at: the watch may have told of its end while the answer was on its way.
        let confirmed_relist = looked.map_or(self.listing, |listed| {
            known.map_or(Relist(0), |known| known.confirmed_relist.max(listed))
        });
        let before = known.map(|known| known.place.clone());
        let place = match (pod::node(pod), before) {
            (Some(node), before) => {
                if let Some(Placement::Promised { node: was, .. } | Placement::Bound { node: was }) = before
                    && was != node
                {
                    self.uncount(uid, &was);
                }
                self.count(uid, node, pod, request.as_deref());
                Placement::Bound { node: node.to_owned() }
            }
            // News from before our own Binding: what we did is later.
            (None, Some(place)) => place,
            (None, None) => Placement::Unbound,
        };
        let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
        let known = TrackedPod {
            namespace: namespace.clone().unwrap_or_default(),
            name: name.clone().unwrap_or_default(),
            request,
            place,
            last_seen_relist: self.listing,
            confirmed_relist,
        };
        self.pods.insert(uid.to_owned(), known);
    }

    /// Counts a bound pod by its decision, if it has one that follows from what it asks for.
    fn count(&mut self, uid: &str, node: &str, pod: &v1::Pod, request: Option<&Request>) {
        let decided = match (pod::decision(pod), request) {
            (Some(text), Some(request)) => Decision::about(text, uid, &request.ask)
                .inspect_err(|error| tracing::warn!(uid, node, %error, "A decision that cannot be used"))
                .ok(),
            _ => None,
        };
        let allocations = self.nodes.entry(node.to_owned()).or_default();
        match (decided, request) {
            (Some(decision), _) => allocations.add(uid, decision.charge()),
            (None, Some(request)) => allocations.add_undecided(uid, request.plan.devices()),
            (None, None) => allocations.add_undecided(uid, pod::devices_named(pod)),
        }
    }
}

#[cfg(test)]
mod tests;
