//! Stands for the node's plugin, made of the same arithmetic (`Plan`, `Decision::part`, `Decision::grant`): it sees what the
//! kubelet lists and what was decided, never which pod a call is about. The real one is driven over sockets elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use ideal_gpu::ask::{Phase, PodAsk, Share};
use ideal_gpu::card::{CardId, Inventory};
use ideal_gpu::decision::Decision;
use ideal_gpu::names::{GPU, WHOLE};
use ideal_gpu::plan::Plan;
use ideal_gpu::slot::SlotId;
use proto::deviceplugin::v1beta1::{CdiDevice, ContainerAllocateResponse};
use proto::podresources::v1::{ContainerResources, PodResources};
use sanity_tests::fake_kubelet::admission::{Plugins, lock};
use sanity_tests::fake_kubelet::lister;
use sanity_tests::fake_kubelet::rules::{Ask, Ids, Rules};

/// What the node keeps of a pod; on disk in the real plugin, so it survives a restart.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) ask: PodAsk,
    pub(crate) decision: Decision,
    steered: BTreeMap<String, Ids>,
    ended: BTreeSet<String>,
}

impl Record {
    pub(crate) fn new(name: &str, ask: PodAsk, decision: Decision) -> Self {
        let name = name.to_owned();
        Self { name, ask, decision, steered: BTreeMap::new(), ended: BTreeSet::new() }
    }
}

/// What a container was created with.
pub(crate) type Limits = BTreeMap<(String, String), (BTreeSet<CardId>, Share)>;

pub(crate) struct Agent<'a> {
    pub(crate) rules: &'a Mutex<Rules>,
    pub(crate) state: &'a Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) pods: BTreeMap<String, Record>,
    pub(crate) limits: Limits,
}

pub(crate) fn card(resource: &str, id: &str) -> CardId {
    if resource == GPU { SlotId::parse(id).unwrap().card } else { CardId::parse(id).unwrap() }
}

/// The devices of a node's cards.
pub(crate) fn devices(resource: &str, inventory: &Inventory) -> Vec<(String, bool)> {
    let ids = |card: &CardId| match resource {
        GPU => SlotId::all(card).map(|slot| slot.to_string()).collect(),
        _ => vec![card.to_string()],
    };
    let one = |card: &ideal_gpu::card::Card| {
        let usable = card.usable();
        ids(&card.id).into_iter().map(move |id| (id, usable)).collect::<Vec<_>>()
    };
    inventory.cards.iter().flat_map(one).collect()
}

fn held(container: &ContainerResources, resource: &str) -> Ids {
    let of = container.devices.iter().filter(|devices| devices.resource_name == resource);
    of.flat_map(|devices| devices.device_ids.iter().cloned()).collect()
}

fn is(share: Share, resource: &str) -> bool {
    (share == Share::Whole) == (resource == WHOLE)
}

/// The container of a listed pod that asks for devices now.
fn waiting(record: &Record, listed: &PodResources, resource: &str) -> Option<String> {
    let plan = Plan::of(&record.ask);
    let mut seen = BTreeSet::new();
    let recorded = |name: &str| {
        listed
            .containers
            .iter()
            .any(|container| container.name == name && !held(container, resource).is_empty())
    };
    for (ask, holder) in record.ask.containers.iter().zip(&plan.holders) {
        let fresh = holder.from.iter().filter(|slot| seen.insert(**slot)).count();
        if !is(ask.share, resource) || fresh == 0 {
            continue;
        }
        let done = match ask.phase {
            Phase::Init => record.steered.contains_key(&ask.name),
            Phase::Sidecar | Phase::App => recorded(&ask.name),
        };
        if !done {
            return Some(ask.name.clone());
        }
    }
    None
}

impl Agent<'_> {
    fn prefer(&self, resource: &str, ask: &Ask) -> Result<Vec<String>, String> {
        let listed = lister::list(&mut lock(self.rules)).pod_resources;
        let mut state = self.state.lock().unwrap();
        let mut found = Vec::new();
        for pod in &listed {
            let record = state.pods.iter().find(|(_, record)| record.name == pod.name);
            let (uid, record) = record.ok_or_else(|| format!("{} is listed and not known", pod.name))?;
            found.extend(waiting(record, pod, resource).map(|container| (uid.clone(), container)));
        }
        // The kubelet admits one pod at a time.
        let [(uid, container)] = found.as_slice() else {
            return Err(format!("not one pod waits: {found:?}"));
        };
        let record = state.pods.get_mut(uid).unwrap();
        let (count, _, from) = record.decision.part(container).unwrap();
        let mut ids: Vec<String> = ask.must.iter().cloned().collect();
        let fresh = count - ids.len();
        for wanted in &from[from.len() - fresh..] {
            let free = ask.available.iter().find(|id| !ids.contains(id) && card(resource, id) == **wanted);
            ids.push(free.ok_or_else(|| format!("no free device of {wanted}"))?.clone());
        }
        record.steered.insert(container.clone(), ids.iter().cloned().collect());
        Ok(ids)
    }

    /// Each container that may hold these ids and has not ended; the kubelet starts them in order.
    fn grant(&self, resource: &str, ids: &Ids) -> Result<(), String> {
        let listed = lister::list(&mut lock(self.rules)).pod_resources;
        let mut state = self.state.lock().unwrap();
        for pod in &listed {
            let Some((uid, record)) = state.pods.iter().find(|(_, record)| record.name == pod.name) else {
                continue;
            };
            let shown = pod.containers.iter().flat_map(|container| held(container, resource));
            let owned: Ids = shown.chain(record.steered.values().flatten().cloned()).collect();
            let may = record.ask.containers.iter().find(|ask| match ask.phase {
                _ if !is(ask.share, resource) || ask.cards as usize != ids.len() => false,
                Phase::Init => !record.ended.contains(&ask.name) && ids.is_subset(&owned),
                _ => pod.containers.iter().any(|c| c.name == ask.name && held(c, resource) == *ids),
            });
            let Some(ask) = may else { continue };
            let cards: Vec<CardId> = ids.iter().map(|id| card(resource, id)).collect();
            let share = record.decision.grant(&ask.name, &cards).map_err(|e| e.to_string())?;
            let key = (uid.clone(), ask.name.clone());
            state.limits.insert(key, (cards.into_iter().collect(), share));
            return Ok(());
        }
        Err(format!("nobody holds {ids:?}"))
    }
}

impl State {
    /// The pod's status says that an init container has ended.
    pub(crate) fn ended(&mut self, uid: &str, container: &str) {
        self.pods.get_mut(uid).unwrap().ended.insert(container.to_owned());
    }
}

impl Plugins for Agent<'_> {
    async fn preferred(&self, resource: &str, ask: &Ask) -> Result<Vec<String>, String> {
        self.prefer(resource, ask)
    }

    async fn allocate(&self, resource: &str, ids: &Ids) -> Result<ContainerAllocateResponse, String> {
        let name = |id| CdiDevice { name: format!("{resource}={id}") };
        Ok(ContainerAllocateResponse { cdi_devices: ids.iter().map(name).collect(), ..Default::default() })
    }

    async fn pre_start(&self, resource: &str, ids: &Ids) -> Result<(), String> {
        self.grant(resource, ids)
    }
}
