//! GetPreferredAllocation: the ids of the cards that were decided for the container that is next.

use std::collections::BTreeSet;
use std::time::Duration;

use ideal_gpu::card::CardId;
use tokio::time::{Instant, timeout_at};
use tracing::info;

use crate::context::PluginContext;
use crate::error::{DeviceIdError, PreferError};
use crate::identity::{self, Container};
use crate::lister::Listed;
use crate::local_decision::{self, DecideError};
use crate::metrics::Source;
use crate::pod_cache::{self, PodCache};
use crate::resource::Resource;

/// How long a pod that the kubelet knows may stay unknown here. The kubelet's watch and ours bring it within milliseconds of each
/// other; the kubelet itself waits without a deadline, and admits no other pod meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the kubelet asks.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) available: Vec<String>,
    pub(crate) must: Vec<String>,
    pub(crate) size: usize,
}

/// The ids for the container that is next.
pub(crate) async fn prefer(
    context: &PluginContext,
    resource: Resource,
    ask: &Ask,
) -> Result<Vec<String>, PreferError> {
    let cards = |id: &String| {
        resource.card(id).ok_or_else(|| DeviceIdError::Unknown { resource: resource.name(), id: id.clone() })
    };
    let must = ask.must.iter().map(cards).collect::<Result<Vec<_>, _>>()?;
    let deadline = Instant::now() + PATIENCE;
    let mut changes = context.pod_cache.changes();
    loop {
        changes.mark_unchanged();
        let listed = context.lister.list().await?;
        let late = Instant::now() >= deadline;
        let found =
            context.pod_cache.read(|pods| identity::next(pods, &listed, resource, ask.size, &must, late));
        match found.first() {
            // A pod that is not known yet may be the one that asks.
            Some(container) if late || !context.pod_cache.behind(&listed) => {
                return answer(context, resource, ask, container, &listed);
            }
            None if late => {
                context.counts.preferred(Source::None);
                return Err(PreferError::Nobody { resource: resource.name(), size: ask.size });
            }
            // Or a successor of the same name.
            _ => {}
        }
        // Either way it is looked again: then with the deadline behind it.
        let _ = timeout_at(deadline, changes.changed()).await;
    }
}

fn answer(
    context: &PluginContext,
    resource: Resource,
    ask: &Ask,
    container: &Container,
    listed: &[Listed],
) -> Result<Vec<String>, PreferError> {
    let Container { uid, name } = container;
    let decided = context.pod_cache.read(|pods| pods.get(uid).is_some_and(|entry| entry.record.is_some()));
    if !decided {
        decide(context, uid, listed)?;
    }
    let ids = context.pod_cache.read(|pods| {
        let record = pods.get(uid).and_then(|entry| entry.record.as_ref());
        let part = record.and_then(|record| record.decision.part(name));
        let (_, _, from) = part.ok_or(PreferError::Nobody { resource: resource.name(), size: ask.size })?;
        let taken = |card| PreferError::Taken { uid: uid.clone(), container: name.clone(), card };
        pick(resource, &from, ask).map_err(taken)
    })?;
    context.pod_cache.steered(uid, name, ids.iter().cloned().collect());
    let own =
        context.pod_cache.read(|pods| pods.get(uid).and_then(|e| e.record.as_ref()).is_some_and(|r| r.own));
    context.counts.preferred(if own { Source::Own } else { Source::Decision });
    info!(uid, container = name, ?ids, own, "Devices for a container");
    Ok(ids)
}

/// Nobody has decided about this pod: the node does.
fn decide(context: &PluginContext, uid: &str, listed: &[Listed]) -> Result<(), PreferError> {
    adopt_all(&context.pod_cache, context, listed);
    let inventory = context.gpu_watch.snapshot.borrow().inventory();
    let decision = context.pod_cache.read(|pods| {
        let entry = pods.get(uid)?;
        Some(local_decision::decide(&pod_cache::usage(pods, inventory, uid), entry, context.settings.policy))
    });
    match decision {
        Some(Ok(decision)) => {
            context.pod_cache.decide(uid, decision);
            Ok(())
        }
        Some(Err(DecideError::NoRoom(why))) => {
            Err(PreferError::NoRoom { uid: uid.to_owned(), why: why.to_string() })
        }
        Some(Err(DecideError::Spec(error))) => Err(PreferError::Spec { uid: uid.to_owned(), error }),
        None => Ok(()),
    }
}

/// Pods that got their devices before there was a decision: what they have is what was decided.
pub(crate) fn adopt_all(pod_cache: &PodCache, context: &PluginContext, listed: &[Listed]) {
    for pod in listed {
        let inventory = context.gpu_watch.snapshot.borrow().inventory();
        let adopted = pod_cache.read(|pods| {
            let same = |entry: &&pod_cache::Entry| {
                entry.pod.namespace == pod.namespace && entry.pod.name == pod.name && !entry.gone
            };
            let entry =
                pods.values().find(same).filter(|entry| entry.record.is_none() && !entry.pod.finished)?;
            let decision =
                local_decision::adopt(&pod_cache::usage(pods, inventory, &entry.pod.uid), entry, pod)?;
            Some((entry.pod.uid.clone(), decision))
        });
        if let Some((uid, decision)) = adopted {
            info!(uid, "The pod has its devices already: they are taken as decided");
            pod_cache.decide(&uid, decision);
        }
    }
}

/// Ids of the container's cards: those it must have, and free ones of the cards that are its own; the card without a free one
/// if that fails. The cards of a part begin with what earlier containers may leave and end with what this one gets anew.
fn pick(resource: Resource, from: &[&CardId], ask: &Ask) -> Result<Vec<String>, CardId> {
    let mut ids = ask.must.clone();
    let mut free: BTreeSet<&String> = ask.available.iter().filter(|id| !ask.must.contains(id)).collect();
    let fresh = ask.size.saturating_sub(ids.len()).min(from.len());
    for card in &from[from.len() - fresh..] {
        let id = free.iter().find(|id| resource.card(id).as_ref() == Some(*card)).copied();
        let id = id.ok_or_else(|| (*card).clone())?;
        free.remove(id);
        ids.push(id.clone());
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_the_decided_cards_and_what_must_be_there_is() {
        let cards = ["GPU-a", "GPU-b", "GPU-c"].map(|id| CardId::parse(id).unwrap());
        let [a, b, c] = &cards;
        let available = ["1-GPU-a", "4-GPU-b", "2-GPU-b", "0-GPU-c", "0-GPU-d"].map(String::from).to_vec();
        let ask = |must: &[&str], size| Ask {
            available: available.clone(),
            must: must.iter().map(|id| (*id).to_owned()).collect(),
            size,
        };
        let pick = |from: &[&CardId], ask: Ask| pick(Resource::Slices, from, &ask);
        assert_eq!(pick(&[b, a], ask(&[], 2)).unwrap(), ["2-GPU-b", "1-GPU-a"]);
        // An init container left a device of either `a` or `b`; the kubelet reuses it, and only `c` is new.
        assert_eq!(pick(&[a, b, c], ask(&["4-GPU-b"], 2)).unwrap(), ["4-GPU-b", "0-GPU-c"]);
        let gone = CardId::parse("GPU-z").unwrap();
        assert_eq!(pick(&[a, &gone], ask(&[], 2)), Err(gone.clone()));
    }
}
