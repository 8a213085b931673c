//! The node's pods that ask for cards, with their decisions: what the API server tells, kept on disk, and until the kubelet
//! does not know the pod any more either.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use ideal_gpu::card::{CardId, Inventory};
use ideal_gpu::decision::Decision;
use ideal_gpu::pod::Policies;
use ideal_gpu::usage::Node;
use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::checkpoint::{Record, Store};
use crate::file::WriteError;
use crate::limits;
use crate::lister::Listed;
use crate::pod::Pod;

/// A pod of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As the API server has it, or as the record remembers it.
    pub(crate) pod: Pod,
    /// With a decision that follows from what the pod asks for.
    pub(crate) record: Option<Record>,
    /// The API server has it no more.
    pub(crate) gone: bool,
}

/// By uid.
pub type Pods = BTreeMap<String, Entry>;

#[derive(Default)]
struct Pages {
    pods: Pods,
    /// Names of pods that ask for no cards, by uid: they are listed by the kubelet too, and need no waiting for.
    others: BTreeMap<String, (String, String)>,
}

/// The pod cache. Clones share it.
#[derive(Clone)]
pub struct PodCache {
    pages: Arc<Mutex<Pages>>,
    store: Store,
    state: PathBuf,
    version: Arc<watch::Sender<u64>>,
}

impl Entry {
    fn remembered(record: Record) -> Self {
        let pod = Pod {
            uid: record.uid.clone(),
            namespace: record.namespace.clone(),
            name: record.name.clone(),
            created: record.created.clone(),
            ask: record.ask.clone(),
            decision: None,
            policies: Ok(Policies::default()),
            finished: false,
            init_done: BTreeSet::new(),
        };
        Self { pod, record: Some(record), gone: false }
    }

    /// The pod's decision becomes this.
    fn decided(&mut self, decision: Decision, own: bool) {
        self.record = Some(Record {
            uid: self.pod.uid.clone(),
            namespace: self.pod.namespace.clone(),
            name: self.pod.name.clone(),
            created: self.pod.created.clone(),
            ask: self.pod.ask.clone(),
            decision,
            own,
            steered: BTreeMap::new(),
            started: BTreeMap::new(),
        });
    }
}

impl PodCache {
    /// With what was kept of an earlier life.
    pub fn open(state: PathBuf) -> Result<Self, WriteError> {
        let store = Store::open(&state)?;
        let entries = store.load().into_iter().map(|record| (record.uid.clone(), Entry::remembered(record)));
        let pages = Pages { pods: entries.collect(), others: BTreeMap::new() };
        info!(pods = pages.pods.len(), "Decisions remembered");
        let pages = Arc::new(Mutex::new(pages));
        Ok(Self { pages, store, state, version: Arc::new(watch::Sender::new(0)) })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Pages) -> T) -> T {
        let result = change(&mut self.pages.lock());
        self.version.send_modify(|version| *version += 1);
        result
    }

    /// Looks at the pods.
    pub fn read<T>(&self, look: impl FnOnce(&Pods) -> T) -> T {
        look(&self.pages.lock().pods)
    }

    /// Tells of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Whether the kubelet lists a pod that the API server has not told of yet.
    pub(crate) fn behind(&self, listed: &[Listed]) -> bool {
        let pages = self.pages.lock();
        let ours = pages.pods.values().map(|entry| (entry.pod.namespace.as_str(), entry.pod.name.as_str()));
        let others = pages.others.values().map(|(namespace, name)| (namespace.as_str(), name.as_str()));
        let known: HashSet<(&str, &str)> = ours.chain(others).collect();
        listed.iter().any(|pod| !known.contains(&(pod.namespace.as_str(), pod.name.as_str())))
    }

    /// The API server has a pod that asks for no cards.
    pub(crate) fn other(&self, uid: String, namespace: String, name: String) {
        self.change(|pages| pages.others.insert(uid, (namespace, name)));
    }

    /// The API server has this pod. The first decision that follows from what it asks for stays: devices hang on it.
    pub(crate) fn apply(&self, pod: Pod) {
        let uid = pod.uid.clone();
        let decision = pod.decision.as_deref().map(|text| Decision::about(text, &uid, &pod.ask));
        self.change(|pages| {
            let entry = pages.pods.entry(uid.clone()).or_insert(Entry {
                pod: pod.clone(),
                record: None,
                gone: false,
            });
            (entry.pod, entry.gone) = (pod, false);
            match (decision, &entry.record) {
                (Some(Ok(decision)), None) => {
                    entry.decided(decision, false);
                    self.save(entry);
                }
                (Some(Ok(decision)), Some(record)) if decision != record.decision => {
                    warn!(uid, "The pod's decision was changed after it was made: the first one stays");
                }
                (Some(Err(reason)), _) => warn!(uid, %reason, "The pod's annotation is no decision about it"),
                _ => {}
            }
        });
    }

    /// The API server has a pod no more.
    pub(crate) fn delete(&self, uid: &str) {
        self.change(|pages| {
            pages.others.remove(uid);
            if let Some(entry) = pages.pods.get_mut(uid) {
                entry.gone = true;
            }
        });
    }

    /// The API server has these pods and no others.
    pub(crate) fn keep(&self, uids: &HashSet<String>) {
        self.change(|pages| {
            pages.others.retain(|uid, _| uids.contains(uid));
            for (uid, entry) in &mut pages.pods {
                entry.gone = !uids.contains(uid);
            }
        });
    }

    /// Whether pods wait for the kubelet to let go of them.
    pub(crate) fn has_gone(&self) -> bool {
        self.read(|pods| pods.values().any(|entry| entry.gone))
    }

    /// Forgets what neither the API server nor the kubelet has.
    pub(crate) fn sweep(&self, listed: &[Listed]) {
        let runs = |pod: &Pod| listed.iter().any(|l| l.namespace == pod.namespace && l.name == pod.name);
        let current = |pods: &Pods, entry: &Entry| {
            // A pod of the same name that the API server has is the one that the kubelet lists.
            let same = |other: &Entry| {
                other.pod.namespace == entry.pod.namespace && other.pod.name == entry.pod.name
            };
            !pods.values().any(|other| !other.gone && same(other))
        };
        let over = self.read(|pods| {
            let over =
                pods.values().filter(|entry| entry.gone && !(runs(&entry.pod) && current(pods, entry)));
            over.map(|entry| entry.pod.uid.clone()).collect::<Vec<_>>()
        });
        for uid in over {
            self.change(|pages| pages.pods.remove(&uid));
            self.store.remove(&uid);
            limits::remove(&self.state, &uid);
            info!(uid, "The pod is gone: its cards are free");
        }
    }

    /// The node decides about a pod that has no decision.
    pub(crate) fn decide(&self, uid: &str, decision: Decision) {
        self.change(|pages| {
            if let Some(entry) = pages.pods.get_mut(uid).filter(|entry| entry.record.is_none()) {
                entry.decided(decision, true);
                self.save(entry);
            }
        });
    }

    /// The kubelet was steered to these ids for a container.
    pub(crate) fn steered(&self, uid: &str, container: &str, ids: BTreeSet<String>) {
        self.note(uid, |record| drop(record.steered.insert(container.to_owned(), ids)));
    }

    /// A container starts with these cards.
    pub(crate) fn started(&self, uid: &str, container: &str, cards: &[CardId]) {
        self.note(uid, |record| drop(record.started.insert(container.to_owned(), cards.to_vec())));
    }

    fn note(&self, uid: &str, note: impl FnOnce(&mut Record)) {
        self.change(|pages| {
            let Some(entry) = pages.pods.get_mut(uid) else { return };
            let Some(record) = &mut entry.record else { return };
            let before = record.clone();
            note(record);
            if *record != before {
                self.save(entry);
            }
        });
    }

    fn save(&self, entry: &Entry) {
        let Some(record) = &entry.record else { return };
        if let Err(e) = self.store.save(record) {
            let error = serve::chain::chain(&e);
            error!(
                uid = record.uid,
                error, "The decision is not on disk: cut off, the node would not start this pod again"
            );
        }
    }
}

/// The node's allocations: every pod with a decision whose containers have not ended, except one.
pub(crate) fn usage(pods: &Pods, inventory: Inventory, except: &str) -> Node {
    let mut node = Node::new(inventory);
    for (uid, entry) in pods {
        if let Some(record) = entry.record.as_ref().filter(|_| uid != except && !entry.pod.finished) {
            node.add(uid, record.decision.charge());
        }
    }
    node
}

#[cfg(test)]
mod tests;
