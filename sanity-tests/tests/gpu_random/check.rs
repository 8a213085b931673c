//! What must hold after every event, looked at from outside: the kubelet's records beside what was decided.

use std::collections::{BTreeMap, BTreeSet};

use ideal_gpu::ask::Share;
use ideal_gpu::card::CardId;
use ideal_gpu::names::{CORE, CORE_PER_CARD, GPU, MEMORY, SLOTS_PER_CARD, WHOLE};
use proto::deviceplugin::v1beta1::ContainerAllocateResponse;
use sanity_tests::fake_kubelet::pod::Container;

use crate::agent::card;
use crate::world::{Job, Site, Stage, World};

/// What one card carries: for each device id its pod and the largest core and memory of its holders.
type Carried = BTreeMap<String, (String, u64, u64)>;

pub(crate) fn all(world: &World) {
    for (number, site) in world.sites.iter().enumerate() {
        let mut cards: BTreeMap<CardId, (Carried, bool)> = BTreeMap::new();
        let here = |job: &&Job| matches!(job.stage, Stage::Bound(n) | Stage::Runs(n, _) if n == number);
        for job in world.jobs.iter().filter(here) {
            held_is_decided(site, job, &mut cards);
        }
        for (id, (carried, whole)) in &cards {
            no_more_than_a_card(site, id, carried, *whole);
        }
        let rules = site.rules.lock().unwrap();
        assert!(rules.rejections().is_empty(), "{:?}", rules.rejections());
    }
    decisions_fit(world);
}

/// Each container holds as many devices as it asks for, on different cards, all of them decided for it.
fn held_is_decided(site: &Site, job: &Job, cards: &mut BTreeMap<CardId, (Carried, bool)>) {
    let rules = site.rules.lock().unwrap();
    let decision = job.decision.as_ref().unwrap();
    for ((uid, name, resource), held) in rules.holders().iter().filter(|((uid, _, _), _)| *uid == job.pod.uid)
    {
        let container = job.pod.container(name).unwrap();
        let ids: Vec<CardId> = held.ids.iter().map(|id| card(resource, id)).collect();
        let distinct: BTreeSet<&CardId> = ids.iter().collect();
        assert_eq!(ids.len() as u64, container.limits[resource], "{uid} {name}: {ids:?}");
        assert_eq!(distinct.len(), ids.len(), "{uid} {name}: one card twice: {ids:?}");
        let (_, _, from) = decision.part(name).unwrap();
        assert!(ids.iter().all(|id| from.contains(&id)), "{uid} {name}: {ids:?} is not of {from:?}");
        let of = |resource: &str| container.limits.get(resource).copied().unwrap_or(0);
        for id in &held.ids {
            let (carried, whole) = cards.entry(card(resource, id)).or_default();
            *whole |= resource == WHOLE;
            let entry = carried.entry(id.clone()).or_insert_with(|| (uid.clone(), 0, 0));
            assert_eq!(entry.0, *uid, "{id} is held by two pods");
            *entry = (uid.clone(), entry.1.max(of(CORE)), entry.2.max(of(MEMORY)));
        }
    }
}

fn no_more_than_a_card(site: &Site, id: &CardId, carried: &Carried, whole: bool) {
    let memory = site.inventory.cards.iter().find(|card| card.id == *id).unwrap().memory_mib;
    let sum = |of: fn(&(String, u64, u64)) -> u64| carried.values().map(of).sum::<u64>();
    assert!(sum(|c| c.1) <= u64::from(CORE_PER_CARD), "{id}: compute: {carried:?}");
    assert!(sum(|c| c.2) <= memory, "{id}: memory: {carried:?}");
    assert!(carried.len() <= SLOTS_PER_CARD as usize, "{id}: slots: {carried:?}");
    assert!(!whole || carried.len() == 1, "{id}: whole and shared: {carried:?}");
}

/// The decisions of all pods that are bound, admitted or not, fit on the cards together.
fn decisions_fit(world: &World) {
    let mut cards: BTreeMap<(usize, CardId), Vec<Share>> = BTreeMap::new();
    for job in &world.jobs {
        if let (Stage::Bound(site) | Stage::Runs(site, _), Some(decision)) = (job.stage, &job.decision) {
            for (card, share) in decision.charge() {
                cards.entry((site, card)).or_default().push(share);
            }
        }
    }
    for ((site, id), shares) in cards {
        let card = world.sites[site].inventory.cards.iter().find(|card| card.id == id).unwrap();
        let of = |share: &Share| match share {
            Share::Slice { core, memory_mib } => (u64::from(*core), *memory_mib),
            Share::Whole => (u64::from(CORE_PER_CARD), card.memory_mib),
        };
        let core: u64 = shares.iter().map(|share| of(share).0).sum();
        let memory: u64 = shares.iter().map(|share| of(share).1).sum();
        let alone = !shares.contains(&Share::Whole) || shares.len() == 1;
        assert!(core <= 100 && memory <= card.memory_mib && shares.len() <= 5 && alone, "{id}: {shares:?}");
    }
}

/// The container was created with its cards and exactly the share that it asks for.
pub(crate) fn created(site: &Site, job: &Job, container: &Container, answers: &[ContainerAllocateResponse]) {
    let rules = site.rules.lock().unwrap();
    let mut ids = BTreeSet::new();
    for resource in [GPU, WHOLE] {
        let held = rules.held(&job.pod.uid, &container.name, resource);
        ids.extend(held.into_iter().flat_map(|held| &held.ids).map(|id| (resource, id.clone())));
    }
    let named = answers.iter().flat_map(|answer| &answer.cdi_devices).map(|device| device.name.clone());
    let wanted: BTreeSet<String> = ids.iter().map(|(resource, id)| format!("{resource}={id}")).collect();
    assert_eq!(named.collect::<BTreeSet<_>>(), wanted);
    let key = (job.pod.uid.clone(), container.name.clone());
    let state = site.state.lock().unwrap();
    let Some((cards, share)) = state.limits.get(&key) else {
        assert!(ids.is_empty(), "{} holds {ids:?} without limits", container.name);
        return;
    };
    assert_eq!(*cards, ids.iter().map(|(resource, id)| card(resource, id)).collect());
    let of = |resource: &str| container.limits.get(resource).copied().unwrap_or(0);
    match share {
        Share::Whole => assert_eq!(of(WHOLE), cards.len() as u64),
        Share::Slice { core, memory_mib } => {
            assert_eq!((u64::from(*core), *memory_mib), (of(CORE), of(MEMORY)))
        }
    }
}

/// Every pod is gone: nothing is used anywhere.
pub(crate) fn nothing_is_left(world: &World) {
    for site in &world.sites {
        let rules = site.rules.lock().unwrap();
        let state = site.state.lock().unwrap();
        assert!(rules.holders().is_empty() && rules.active().count() == 0);
        assert!(state.pods.is_empty() && state.limits.is_empty());
    }
    for node in world.replicas.iter().flat_map(|replica| replica.nodes.values()) {
        assert!(node.used().iter().all(|used| *used == Default::default()), "{:?}", node.used());
        assert_eq!((node.taken(), node.undecided(), node.pods().count()), ((0, 0), 0, 0));
    }
}
