//! Which container is it? The kubelet's calls name none, so it follows from what the kubelet lists, what it recorded, and what
//! was decided. Plain functions over plain data.

use std::collections::{BTreeMap, BTreeSet};

use ideal_gpu::ask::{ContainerAsk, Phase};
use ideal_gpu::card::CardId;
use ideal_gpu::plan::Plan;

use crate::lister::Listed;
use crate::pod_cache::{Entry, Pods};
use crate::resource::Resource;

/// A container by pod and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) uid: String,
    pub(crate) name: String,
}

/// The newest pod of a name: an older one of a StatefulSet may not be forgotten yet.
fn entry<'a>(pods: &'a Pods, listed: &Listed) -> Option<&'a Entry> {
    let same = |entry: &&Entry| entry.pod.namespace == listed.namespace && entry.pod.name == listed.name;
    pods.values().filter(same).max_by_key(|entry| (!entry.gone, &entry.pod.created))
}

fn recorded(listed: &Listed, container: &str, resource: Resource) -> bool {
    listed.held(container, resource).is_some_and(|ids| !ids.is_empty())
}

/// Whether the kubelet has no record of what it was steered to for this pod. Then it lists a successor of the same name, of
/// which the API server has not told yet; or it has lost its records.
fn unrecorded(entry: &Entry, listed: &Listed) -> bool {
    let lasts = |name: &String| {
        entry.pod.ask.containers.iter().any(|ask| ask.name == *name && ask.phase != Phase::Init)
    };
    let none = |name: &String| Resource::ALL.into_iter().all(|resource| !recorded(listed, name, resource));
    let steered = entry.record.iter().flat_map(|record| record.steered.keys());
    steered.into_iter().any(|name| lasts(name) && none(name))
}

/// The container of the pod that gets devices next, if any: the kubelet goes through them in order, and asks only for those
/// that what earlier init containers left does not suffice for.
fn waiting<'a>(entry: &'a Entry, listed: &Listed, resource: Resource) -> Option<&'a ContainerAsk> {
    let plan = Plan::of(&entry.pod.ask);
    let mut seen = BTreeSet::new();
    let all = &entry.pod.ask.containers;
    for (at, (ask, holder)) in all.iter().zip(&plan.holders).enumerate() {
        // Every slot is looked at, so that the set is complete.
        let fresh = holder.from.iter().filter(|slot| seen.insert(**slot)).count() > 0;
        if Resource::of(ask.share) != resource || !fresh {
            continue;
        }
        let done = match ask.phase {
            // Not listed by the kubelet: what it was steered to tells, or that a later container has its devices.
            Phase::Init => {
                let steered =
                    entry.record.as_ref().is_some_and(|record| record.steered.contains_key(&ask.name));
                steered || all[at + 1..].iter().any(|later| recorded(listed, &later.name, resource))
            }
            Phase::Sidecar | Phase::App => recorded(listed, &ask.name, resource),
        };
        if !done {
            return Some(ask);
        }
    }
    None
}

/// The containers that GetPreferredAllocation may be about, the likeliest first. The kubelet admits one pod at a time, so
/// there is one, unless pods that were rejected are still listed: those that replace them are newer, and decided ones come
/// before others. A pod that the kubelet seems to have lost its records of is among them once it is `late`.
pub(crate) fn next(
    pods: &Pods,
    listed: &[Listed],
    resource: Resource,
    size: usize,
    must: &[CardId],
    late: bool,
) -> Vec<Container> {
    let mut found: Vec<(&Entry, &ContainerAsk)> = Vec::new();
    for pod in listed {
        let may = |entry: &&Entry| !entry.pod.finished && (late || !unrecorded(entry, pod));
        let Some(entry) = entry(pods, pod).filter(may) else { continue };
        let Some(ask) = waiting(entry, pod, resource).filter(|ask| ask.cards as usize == size) else {
            continue;
        };
        let part = entry.record.as_ref().and_then(|record| record.decision.part(&ask.name));
        if part.is_none_or(|(_, _, from)| must.iter().all(|card| from.contains(&card))) {
            found.push((entry, ask));
        }
    }
    found.sort_by(|(a, _), (b, _)| {
        (b.record.is_some(), &b.pod.created).cmp(&(a.record.is_some(), &a.pod.created))
    });
    found
        .into_iter()
        .map(|(entry, ask)| Container { uid: entry.pod.uid.clone(), name: ask.name.clone() })
        .collect()
}

/// Who holds a set of ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A container of this pod: one of these, in the pod's order. Several if an init container's devices were handed on.
    Pod { uid: String, containers: Vec<String> },
    /// A pod that the API server has not told of.
    UnknownPod { namespace: String, name: String },
    /// The kubelet has recorded them for nobody.
    Nobody,
}

/// Who holds exactly these ids.
pub(crate) fn holder(pods: &Pods, listed: &[Listed], resource: Resource, ids: &BTreeSet<String>) -> Holder {
    let exact = |pod: &Listed, container: &str| pod.held(container, resource) == Some(ids);
    let shown = listed.iter().find(|pod| pod.containers.iter().any(|(name, _)| exact(pod, name)));
    if let Some(pod) = shown {
        return match entry(pods, pod) {
            Some(entry) => {
                Holder::Pod { uid: entry.pod.uid.clone(), containers: candidates(entry, pod, resource, ids) }
            }
            None => Holder::UnknownPod { namespace: pod.namespace.clone(), name: pod.name.clone() },
        };
    }
    // No container that lasts holds them: an init container does.
    let with_init = listed.iter().filter_map(|pod| {
        let entry = entry(pods, pod).filter(|entry| !entry.pod.finished)?;
        let containers = candidates(entry, pod, resource, ids);
        (!containers.is_empty()).then_some((entry, containers))
    });
    match with_init.max_by_key(|(entry, _)| &entry.pod.created) {
        Some((entry, containers)) => Holder::Pod { uid: entry.pod.uid.clone(), containers },
        None => Holder::Nobody,
    }
}

/// The pod's containers that may hold exactly these ids.
fn candidates(entry: &Entry, listed: &Listed, resource: Resource, ids: &BTreeSet<String>) -> Vec<String> {
    let empty = BTreeMap::new();
    let steered = entry.record.as_ref().map_or(&empty, |record| &record.steered);
    let shown = listed.containers.iter().filter_map(|(_, held)| held.get(&resource));
    let owned: BTreeSet<&String> = shown.chain(steered.values()).flatten().collect();
    // A sidecar keeps what it got, so no init container after it ever holds that.
    let kept = |ask: &ContainerAsk, id: &String| {
        let before = entry.pod.ask.containers.iter().take_while(|other| other.name != ask.name);
        let mut sidecars = before.filter(|other| other.phase == Phase::Sidecar);
        sidecars.any(|sidecar| listed.held(&sidecar.name, resource).is_some_and(|held| held.contains(id)))
    };
    // What a later container got anew was never an init container's, though one pod holds both.
    let cards: Vec<CardId> = ids.iter().filter_map(|id| resource.card(id)).collect();
    let decided = |ask: &ContainerAsk| {
        entry.record.as_ref().is_none_or(|record| record.decision.grant(&ask.name, &cards).is_ok())
    };
    let may = |ask: &&ContainerAsk| match ask.phase {
        _ if Resource::of(ask.share) != resource || ask.cards as usize != ids.len() => false,
        Phase::Init => decided(ask) && ids.iter().all(|id| owned.contains(id) && !kept(ask, id)),
        Phase::Sidecar | Phase::App => listed.held(&ask.name, resource) == Some(ids),
    };
    entry.pod.ask.containers.iter().filter(may).map(|ask| ask.name.clone()).collect()
}

/// Which of several candidates starts, where it can be told: the kubelet starts them in order, each init container until it
/// has ended well.
pub(crate) fn starting<'a>(entry: &Entry, candidates: &'a [String]) -> Result<&'a str, Vec<&'a str>> {
    let ask = |name: &str| entry.pod.ask.containers.iter().find(|ask| ask.name == name);
    let ended =
        |name: &str| ask(name).is_some_and(|a| a.phase == Phase::Init) && entry.pod.init_done.contains(name);
    let left: Vec<&str> = candidates.iter().map(String::as_str).filter(|name| !ended(name)).collect();
    let started = |name: &str| entry.record.as_ref().is_some_and(|record| record.started.contains_key(name));
    match left.as_slice() {
        [one] => Ok(*one),
        [first, ..] if !started(first) => Ok(*first),
        // Init containers that have all ended run again after the node was restarted.
        [] if candidates.len() == 1 => Ok(&candidates[0]),
        [] => Err(candidates.iter().map(String::as_str).collect()),
        _ => Err(left),
    }
}

#[cfg(test)]
mod tests;
