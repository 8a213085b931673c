//! Stands for one replica of ideal-gpu-scheduler, made of the same arithmetic (`place`, `Plan`, `Decision`, the ledger): it
//! hears of the API server's changes late, promises in memory, and posts a Binding whose answer may be lost.

use std::collections::{BTreeMap, BTreeSet};

use ideal_gpu::ask::PodAsk;
use ideal_gpu::decision::Decision;
use ideal_gpu::ledger::Node;
use ideal_gpu::place::{Policy, place};
use ideal_gpu::plan::Plan;

use crate::world::{Api, Change};

#[derive(Default)]
pub(crate) struct Replica {
    pub(crate) nodes: BTreeMap<String, Node>,
    /// Changes that it has heard of.
    heard: usize,
    /// Bindings sent and not heard of: pod and node.
    promised: BTreeMap<String, String>,
    bound: BTreeSet<String>,
}

impl Replica {
    /// Started anew: everything is read from the API server.
    pub(crate) fn restarted(api: &Api) -> Self {
        let mut replica = Self::default();
        replica.hear(api, usize::MAX);
        replica
    }

    /// Hears of at most so many changes.
    pub(crate) fn hear(&mut self, api: &Api, most: usize) {
        let until = self.heard.saturating_add(most).min(api.log.len());
        for change in &api.log[self.heard..until] {
            match change {
                Change::Node(name, inventory) => {
                    self.nodes.entry(name.clone()).or_default().set_inventory(inventory.clone());
                }
                Change::Bound(uid, node, text, ask) => self.bound(uid, node, text, ask),
                Change::Gone(uid) => {
                    self.promised.remove(uid);
                    self.bound.remove(uid);
                    self.nodes.values_mut().for_each(|node| node.remove(uid));
                }
            }
        }
        self.heard = until;
    }

    fn bound(&mut self, uid: &str, node: &str, text: &str, ask: &PodAsk) {
        let decision = Decision::parse(text, uid).unwrap();
        decision.check(uid, ask).unwrap();
        if let Some(promised) = self.promised.remove(uid)
            && promised != node
        {
            self.nodes.get_mut(&promised).unwrap().remove(uid);
        }
        self.bound.insert(uid.to_owned());
        self.nodes.get_mut(node).unwrap().add(uid, decision.charge());
    }

    /// The nodes that have room.
    pub(crate) fn filter(&self, uid: &str, plan: &Plan, policy: Policy) -> Vec<String> {
        if let Some(node) = self.promised.get(uid) {
            return vec![node.clone()];
        }
        let fits = |(name, node): (&String, &Node)| place(node, plan, policy).is_ok().then(|| name.clone());
        self.nodes.iter().filter_map(fits).collect()
    }

    /// Promises cards; nothing if they do not fit any more or the pod is bound as far as is known here.
    pub(crate) fn promise(
        &mut self,
        uid: &str,
        ask: &PodAsk,
        node: &str,
        policy: Policy,
    ) -> Option<Decision> {
        if self.bound.contains(uid) || self.promised.contains_key(uid) {
            return None;
        }
        let plan = Plan::of(ask);
        let ledger = self.nodes.get_mut(node)?;
        let decision = Decision::new(uid, ask, &plan, &place(ledger, &plan, policy).ok()?);
        ledger.add(uid, decision.charge());
        self.promised.insert(uid.to_owned(), node.to_owned());
        Some(decision)
    }

    /// The Binding was refused for certain.
    pub(crate) fn give_back(&mut self, uid: &str) {
        if let Some(node) = self.promised.remove(uid) {
            self.nodes.get_mut(&node).unwrap().remove(uid);
        }
    }
}
