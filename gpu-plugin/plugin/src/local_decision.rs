//! Decisions of the node itself, for pods that no scheduler of ours has decided on: by what is allocated there before the kubelet hands out
//! devices, and by the devices where it has done so already.

use std::collections::BTreeSet;

use ideal_gpu::card::CardId;
use ideal_gpu::decision::Decision;
use ideal_gpu::place::{Policy, Why, place};
use ideal_gpu::plan::Plan;
use ideal_gpu::pod::PodSpecError;
use ideal_gpu::usage::Node;

use crate::lister::Listed;
use crate::pod_cache::Entry;
use crate::resource::Resource;

/// Why the node decides nothing about a pod.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecideError {
    /// The scheduler would have refused the pod.
    #[error(transparent)]
    Spec(#[from] PodSpecError),
    /// The cards that are free are not enough.
    #[error("{0}")]
    NoRoom(Why),
}

/// Cards for a pod that has no devices yet; by `policy` if it names none.
pub(crate) fn decide(node: &Node, entry: &Entry, policy: Policy) -> Result<Decision, DecideError> {
    let policies = entry.pod.policies.clone()?;
    let plan = Plan::of(&entry.pod.ask);
    let cards = place(node, &plan, policies.card.unwrap_or(policy)).map_err(DecideError::NoRoom)?;
    Ok(Decision::new(&entry.pod.uid, &entry.pod.ask, &plan, &cards))
}

/// The decision that the recorded devices of a pod amount to, if they are what the pod asks for and all of it fits beside the
/// others; `None` also where init containers leave it to chance.
pub(crate) fn adopt(node: &Node, entry: &Entry, listed: &Listed) -> Option<Decision> {
    let plan = Plan::of(&entry.pod.ask);
    let mut cards: Vec<Option<CardId>> = vec![None; plan.needs.len()];
    for (holder, ask) in plan.holders.iter().zip(&entry.pod.ask.containers) {
        let resource = Resource::of(ask.share);
        let ids: &BTreeSet<String> = listed.held(&holder.name, resource)?;
        if ids.len() != holder.count || holder.from.len() != holder.count {
            return None;
        }
        let mut left = ids.iter().map(|id| resource.card(id)).collect::<Option<Vec<_>>>()?;
        for slot in &holder.from {
            if let Some(there) = &cards[*slot] {
                let at = left.iter().position(|card| card == there)?;
                left.swap_remove(at);
            }
        }
        for slot in holder.from.iter().filter(|slot| cards[**slot].is_none()).collect::<Vec<_>>() {
            cards[*slot] = left.pop();
        }
    }
    let cards = cards.into_iter().collect::<Option<Vec<_>>>()?;
    let decision = Decision::new(&entry.pod.uid, &entry.pod.ask, &plan, &cards);
    decision.check(&entry.pod.uid, &entry.pod.ask).ok()?;
    decision.fits(node).then_some(decision)
}
