//! PreStartContainer: who is it, is it what was decided, and what is it created with. The last moment before the container.

use std::collections::BTreeSet;
use std::time::Duration;

use ideal_gpu::ask::Share;
use ideal_gpu::card::CardId;
use tokio::time::{Instant, timeout_at};
use tracing::info;

use crate::checkpoint::Record;
use crate::context::PluginContext;
use crate::devices;
use crate::error::StartError;
use crate::identity::{self, Holder};
use crate::limits::{self, Who};
use crate::pod_cache::Entry;
use crate::prefer;
use crate::resource::Resource;

/// How long it is waited for what is not known yet. The kubelet gives up after 30 s, and tries again by itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an init container's end may take to be told, where that decides between two shares.
const INIT_PATIENCE: Duration = Duration::from_secs(3);

/// What a container gets.
struct Grant {
    entry: Entry,
    container: String,
    share: Share,
}

/// Prepares the start of the container that holds exactly these ids.
pub(crate) async fn prepare(
    context: &PluginContext,
    resource: Resource,
    ids: BTreeSet<String>,
) -> Result<(), StartError> {
    let prepared = match devices::known(context, resource, &ids) {
        Ok(()) => grant(context, resource, &ids).await,
        Err(unknown) => Err(unknown.into()),
    };
    let written = prepared.and_then(|grant| write(context, resource, &ids, &grant));
    if let Err(error) = &written {
        context.counts.refused(error.reason());
    }
    written
}

async fn grant(
    context: &PluginContext,
    resource: Resource,
    ids: &BTreeSet<String>,
) -> Result<Grant, StartError> {
    let started = Instant::now();
    let mut changes = context.pod_cache.changes();
    loop {
        changes.mark_unchanged();
        let deadline = match look(context, resource, ids, started).await {
            Ok(Some(grant)) => return Ok(grant),
            Ok(None) => started + INIT_PATIENCE,
            Err(error) if Instant::now() >= started + PATIENCE => return Err(error),
            Err(StartError::UnknownPod(_) | StartError::Undecided(_)) => started + PATIENCE,
            Err(error) => return Err(error),
        };
        let _ = timeout_at(deadline, changes.changed()).await;
    }
}

/// Looks once; `None` if an init container's end would tell more.
async fn look(
    context: &PluginContext,
    resource: Resource,
    ids: &BTreeSet<String>,
    started: Instant,
) -> Result<Option<Grant>, StartError> {
    let listed = context.lister.list().await?;
    let holder = context.pod_cache.read(|pods| identity::holder(pods, &listed, resource, ids));
    let (uid, containers) = match holder {
        Holder::Pod { uid, containers } => (uid, containers),
        Holder::UnknownPod { namespace, name } => {
            return Err(StartError::UnknownPod(format!("{namespace}/{name}")));
        }
        Holder::Nobody => {
            let ids = ids.iter().map(String::as_str).collect::<Vec<_>>();
            return Err(StartError::Nobody(ids.join(", ")));
        }
    };
    if context.pod_cache.read(|pods| pods.get(&uid).is_some_and(|entry| entry.record.is_none())) {
        prefer::adopt_all(&context.pod_cache, context, &listed);
    }
    let Some(entry) = context.pod_cache.read(|pods| pods.get(&uid).cloned()) else {
        return Err(StartError::UnknownPod(uid));
    };
    let Some(record) = &entry.record else { return Err(StartError::Undecided(uid)) };
    if containers.is_empty() {
        return Err(StartError::NoContainer(uid));
    }
    let cards: Vec<CardId> = ids.iter().filter_map(|id| resource.card(id)).collect();
    let granted = match identity::starting(&entry, &containers) {
        Ok(name) => Some((name.to_owned(), record.decision.grant(name, &cards)?)),
        Err(several) => one_of(record, &several, &cards, Instant::now() >= started + INIT_PATIENCE)?,
    };
    Ok(granted.map(|(container, share)| Grant { container, share, entry }))
}

/// A container and its share out of several that hold the same devices in turn: the first that has not started yet, for they
/// start in order. Where their shares differ and time is up, it gets the most that any of them has: the pod is charged with that
/// anyway.
fn one_of(
    record: &Record,
    several: &[&str],
    cards: &[CardId],
    late: bool,
) -> Result<Option<(String, Share)>, StartError> {
    let shares = several.iter().map(|name| record.decision.grant(name, cards));
    let shares = shares.collect::<Result<Vec<_>, _>>()?;
    let next = several.iter().find(|name| !record.started.contains_key(**name)).or(several.last());
    let (Some(next), Some(share)) = (next, shares.first()) else { return Ok(None) };
    if shares.iter().all(|other| other == share) {
        return Ok(Some(((*next).to_owned(), *share)));
    }
    if !late {
        return Ok(None);
    }
    let largest = shares.iter().copied().fold(*share, Share::larger);
    Ok(Some(((*next).to_owned(), largest)))
}

/// Writes what the container is created with. The same again begins its accounting anew and changes nothing else.
fn write(
    context: &PluginContext,
    resource: Resource,
    ids: &BTreeSet<String>,
    grant: &Grant,
) -> Result<(), StartError> {
    let pod = &grant.entry.pod;
    let snapshot = context.gpu_watch.snapshot.borrow().clone();
    let mut cards: Vec<CardId> = ids.iter().filter_map(|id| resource.card(id)).collect();
    // CUDA numbers the cards of a container as NVML does.
    cards.sort_by_key(|id| {
        snapshot.cards.iter().find(|card| card.id == *id).map_or(u32::MAX, |card| card.index)
    });
    let who = Who { uid: &pod.uid, namespace: &pod.namespace, pod: &pod.name, container: &grant.container };
    let isolation = &context.settings.isolation;
    if let Some(limits) = limits::of(who, &cards, grant.share, isolation) {
        let slots: Vec<&str> = ids.iter().map(String::as_str).collect();
        limits::write(&context.settings.places.state, &limits, &slots, isolation)?;
        if let Some(card_time) = &context.card_time {
            card_time.serve(&limits)?;
        }
    }
    if !context.settings.no_cdi {
        context.settings.places.write_specs(&snapshot.with_minors(), isolation)?;
    }
    context.pod_cache.started(&pod.uid, &grant.container, &cards);
    info!(uid = pod.uid, pod = pod.name, container = grant.container, ?ids, share = ?grant.share, "A container starts");
    Ok(())
}
