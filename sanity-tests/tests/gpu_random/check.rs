//! What must hold after every event, looked at from outside: the kubelet's records and the files of the plugin beside what the
//! pod asks for and what was decided.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ideal_gpu::ask::Share;
use ideal_gpu::card::CardId;
use ideal_gpu::names::{CORE, CORE_PER_CARD, GPU, MEMORY, SLOTS_PER_CARD, WHOLE};
use ideal_gpu::slot::SlotId;
use ideal_gpu::usage::{Node, Used};
use proto::deviceplugin::v1beta1::ContainerAllocateResponse;
use sanity_tests::fake_kubelet::pod::Container;
use sanity_tests::fake_kubelet::rules::Ids;
use serde_json::Value;

use crate::counts::Compared;
use crate::site::Site;
use crate::world::{Job, World};

/// What one card carries: for each device id its pod and the largest core and memory of its holders.
type Carried = BTreeMap<String, (String, u64, u64)>;

/// The card of a device.
pub(crate) fn card(resource: &str, id: &str) -> CardId {
    if resource == GPU { SlotId::parse(id).unwrap().card } else { CardId::parse(id).unwrap() }
}

pub(crate) fn all(world: &World, compared: &mut Compared) {
    for (number, site) in world.sites.iter().enumerate() {
        let mut cards: BTreeMap<CardId, (Carried, bool)> = BTreeMap::new();
        for job in world.jobs.iter().filter(|job| job.stage.site() == Some(number)) {
            held_is_decided(site, job, &mut cards, compared);
        }
        for (id, (carried, whole)) in &cards {
            no_more_than_a_card(site, id, carried, *whole);
            compared.cards += 1;
        }
        let rules = site.rules.lock();
        assert!(rules.rejections().is_empty(), "{:?}", rules.rejections());
    }
    decisions_fit(world, compared);
}

/// Each container holds as many devices as it asks for, on different cards, all of them decided for it.
fn held_is_decided(
    site: &Site,
    job: &Job,
    cards: &mut BTreeMap<CardId, (Carried, bool)>,
    compared: &mut Compared,
) {
    let rules = site.rules.lock();
    for ((uid, name, resource), held) in rules.holders().iter().filter(|((uid, _, _), _)| *uid == job.pod.uid)
    {
        let container = job.pod.container(name).unwrap();
        let ids: Vec<CardId> = held.ids.iter().map(|id| card(resource, id)).collect();
        let distinct: BTreeSet<&CardId> = ids.iter().collect();
        assert_eq!(ids.len() as u64, container.limits[resource], "{uid} {name}: {ids:?}");
        assert_eq!(distinct.len(), ids.len(), "{uid} {name}: one card twice: {ids:?}");
        let (_, _, from) = job.decision.as_ref().unwrap().part(name).unwrap();
        assert!(ids.iter().all(|id| from.contains(&id)), "{uid} {name}: {ids:?} is not of {from:?}");
        compared.holders += 1;
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
fn decisions_fit(world: &World, compared: &mut Compared) {
    let mut cards: BTreeMap<(usize, CardId), Vec<Share>> = BTreeMap::new();
    for job in &world.jobs {
        if let (Some(site), Some(decision)) = (job.stage.site(), &job.decision) {
            for (card, share) in decision.charge() {
                cards.entry((site, card)).or_default().push(share);
            }
        }
    }
    for ((site, id), shares) in cards {
        let card = world.sites[site].inventory.cards.iter().find(|card| card.id == id).unwrap();
        let (mut core, mut memory) = (0, 0);
        for share in &shares {
            if let Share::Slice { core: c, memory_mib } = share {
                (core, memory) = (core + c, memory + memory_mib);
            }
        }
        let alone = !shares.contains(&Share::Whole) || shares.len() == 1;
        assert!(core <= 100 && memory <= card.memory_mib && shares.len() <= 5 && alone, "{id}: {shares:?}");
        compared.cards += 1;
    }
}

/// The container was created with its cards and exactly the share that it asks for.
pub(crate) fn created(
    site: &Site,
    job: &Job,
    container: &Container,
    answers: &[ContainerAllocateResponse],
    compared: &mut Compared,
) {
    let rules = site.rules.lock();
    let mut wanted = BTreeSet::new();
    for (resource, kind) in [(GPU, "ideal.com/gpu"), (WHOLE, "ideal.com/card")] {
        let asked = container.limits.get(resource).copied().unwrap_or(0);
        let held = rules.held(&job.pod.uid, &container.name, resource).cloned();
        let ids = held.map(|held| held.ids).unwrap_or_default();
        assert_eq!(ids.len() as u64, asked, "{}: {ids:?}", container.name);
        wanted.extend(ids.iter().map(|id| format!("{kind}={id}")));
        if resource == GPU && !ids.is_empty() {
            limits(&site.state(), &job.pod.uid, &ids, container);
            compared.slices += 1;
        }
        compared.whole += u64::from(resource == WHOLE && !ids.is_empty());
    }
    let named = answers.iter().flat_map(|answer| &answer.cdi_devices).map(|device| device.name.clone());
    assert_eq!(named.collect::<BTreeSet<_>>(), wanted);
}

/// What each slot of a container shows are its own limits: these cards, and what it asks for of each.
pub(crate) fn limits(state: &Path, uid: &str, ids: &Ids, container: &Container) {
    let cards: BTreeSet<String> = ids.iter().map(|id| card(GPU, id).to_string()).collect();
    for id in ids {
        let file = state.join("slots").join(id).join("limits.json");
        let limits: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let of = |field: &str| {
            limits["cards"].as_array().unwrap().iter().map(|c| c[field].clone()).collect::<Vec<_>>()
        };
        let shown = of("uuid");
        assert_eq!(shown.len(), cards.len(), "{limits}");
        assert_eq!(shown.iter().map(|c| c.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(), cards);
        let all = |field: &str, is: u64| of(field).iter().all(|shown| *shown == is);
        assert!(all("core_percent", container.limits[CORE]), "{limits}: {container:?}");
        assert!(all("memory_mib", container.limits[MEMORY]), "{limits}: {container:?}");
        assert_eq!((&limits["pod_uid"], &limits["container"]), (&uid.into(), &container.name[..].into()));
    }
}

/// Everybody has heard of everything and nothing is on its way: each scheduler counts what is bound and nothing else, and each
/// plugin knows the pods of its node and no others.
pub(crate) fn settled(world: &World, compared: &mut Compared) {
    for (number, site) in world.sites.iter().enumerate() {
        let here = || world.jobs.iter().filter(|job| job.stage.site() == Some(number));
        let mut wanted = Node::new(site.inventory.clone());
        for job in here() {
            job.decision.iter().for_each(|decision| wanted.add(&job.pod.uid, decision.charge()));
        }
        for replica in &world.replicas {
            replica.cluster.with_nodes([site.name.as_str()].into_iter(), |_, node| {
                let node = node.unwrap();
                let uids = |node: &Node| node.pods().map(|(uid, _)| uid.to_owned()).collect::<BTreeSet<_>>();
                let all: Vec<_> = world.jobs.iter().map(|job| (&job.pod.uid, job.stage)).collect();
                assert_eq!(uids(node), uids(&wanted), "pods that are counted on {}: {all:?}", site.name);
                assert_eq!((node.used(), node.taken()), (wanted.used(), wanted.taken()));
                assert_eq!(node.undecided(), 0);
            });
            compared.ledgers += 1;
        }
        let there = world.jobs.iter().filter(|job| job.stage.object_of() == Some(number));
        let uids = there.filter(|job| job.asks()).map(|job| job.pod.uid.clone()).collect();
        if let Some(agent) = &site.agent {
            kept(site, &agent.pod_cache.read(|pods| pods.keys().cloned().collect()), &uids);
            compared.books += 1;
        }
    }
}

/// The plugin remembers these pods, and has files of no others.
fn kept(site: &Site, pod_cache: &BTreeSet<String>, uids: &BTreeSet<String>) {
    assert_eq!(pod_cache, uids, "pods in the pod_cache of {}", site.name);
    let names = |folder: &str| {
        let entries = std::fs::read_dir(site.state().join(folder)).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<BTreeSet<_>>()
    };
    assert_eq!(names("pods"), uids.iter().map(|uid| format!("{uid}.json")).collect());
    let containers = names("containers");
    assert!(containers.is_subset(uids), "{containers:?} beside {uids:?}");
    for slot in names("slots") {
        let shown = std::fs::canonicalize(site.state().join("slots").join(&slot));
        let owner = shown.ok().map(|folder| folder.parent().unwrap().file_name().unwrap().to_owned());
        assert!(owner.is_none_or(|uid| containers.contains(uid.to_str().unwrap())), "{slot}");
    }
}

/// Every pod is gone: nothing is used anywhere.
pub(crate) fn nothing_is_left(world: &World, compared: &mut Compared) {
    settled(world, compared);
    for site in &world.sites {
        let rules = site.rules.lock();
        assert!(rules.holders().is_empty() && rules.active().count() == 0);
        assert_eq!(site.agent.as_ref().unwrap().pod_cache.read(|pods| pods.len()), 0);
        compared.empty += 1;
    }
    for replica in &world.replicas {
        replica.cluster.with_nodes(world.sites.iter().map(|site| site.name.as_str()), |_, node| {
            let node = node.unwrap();
            assert!(node.used().iter().all(|used| *used == Used::default()), "{:?}", node.used());
            assert_eq!((node.taken(), node.undecided(), node.pods().count()), ((0, 0), 0, 0));
        });
        assert!(world.jobs.iter().all(|job| !replica.cluster.knows(&job.pod.uid)));
        assert_eq!(replica.cluster.counts(), (0, 0));
        compared.empty += 1;
    }
}
