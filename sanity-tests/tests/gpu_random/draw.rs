//! Random clusters and pods.

use std::collections::BTreeMap;

use ideal_gpu::card::{Card, CardId, Inventory};
use ideal_gpu::names::{CORE, GPU, MEMORY, WHOLE};
use rand::Rng as _;
use rand::rngs::StdRng;
use sanity_tests::fake_kubelet::pod::{Container, Kind, Pod};
use serde_json::{Value, json};

/// 1 to 8 cards; those of one machine have the same memory.
pub(crate) fn inventory(rng: &mut StdRng, node: usize) -> Inventory {
    let memory_mib = [12_288, 15_360, 81_559, 143_771][rng.random_range(0..4)];
    let card = |index: u32| Card {
        id: CardId::parse(&format!("GPU-{node}-{index}")).unwrap(),
        model: "NVIDIA Fake".to_owned(),
        memory_mib,
        index,
        numa: None,
        healthy: true,
        mig: false,
    };
    Inventory { cards: (0..rng.random_range(1..=8)).map(card).collect() }
}

/// A pod with 1 to 4 containers.
pub(crate) fn pod(rng: &mut StdRng, number: usize) -> Pod {
    let mut containers = Vec::new();
    let starting = rng.random_range(0..=2);
    for at in 0..starting {
        let kind = if rng.random_bool(0.4) { Kind::Sidecar } else { Kind::Init };
        containers.push(container(rng, format!("i{at}"), kind));
    }
    for at in 0..rng.random_range(1..=4 - starting) {
        containers.push(container(rng, format!("c{at}"), Kind::App));
    }
    // Often all containers of a pod ask for the same.
    if rng.random_bool(0.2) {
        let same = containers[0].limits.clone();
        containers.iter_mut().for_each(|container| container.limits.clone_from(&same));
    }
    Pod { uid: format!("uid-{number}"), namespace: "ns".into(), name: format!("p{number}"), containers }
}

fn container(rng: &mut StdRng, name: String, kind: Kind) -> Container {
    let cards = if rng.random_bool(0.6) { 1 } else { rng.random_range(1..=4) };
    let slice = |core: u64, memory: u64| vec![(GPU, cards), (CORE, core), (MEMORY, memory)];
    let limits = match rng.random_range(0..10) {
        0 => Vec::new(),
        1 => vec![(WHOLE, rng.random_range(1..=2))],
        2 => slice(100, rng.random_range(1..20_000)),
        3 | 4 => slice(rng.random_range(1..=100), rng.random_range(1..=12_288)),
        // Many fit on a card: its fifth slot is what ends it.
        _ => slice(rng.random_range(1..=20), rng.random_range(1..=2000)),
    };
    Container { name, kind, limits: limits.into_iter().map(|(name, n)| (name.to_owned(), n)).collect() }
}

/// A pod as its user writes it.
pub(crate) fn manifest(pod: &Pod, node: Option<&str>) -> Value {
    let container = |container: &Container| {
        let limits: BTreeMap<&String, String> =
            container.limits.iter().map(|(k, v)| (k, v.to_string())).collect();
        let mut object = json!({"name": container.name, "resources": {"limits": limits, "requests": limits}});
        if container.kind == Kind::Sidecar {
            object["restartPolicy"] = json!("Always");
        }
        object
    };
    let of = |app: bool| {
        let these = pod.containers.iter().filter(|container| (container.kind == Kind::App) == app);
        these.map(container).collect::<Vec<_>>()
    };
    let mut object = json!({
        "metadata": {"name": pod.name, "namespace": pod.namespace},
        "spec": {"initContainers": of(false), "containers": of(true)},
        "status": {"phase": "Pending"},
    });
    if let Some(node) = node {
        object["spec"]["nodeSelector"] = json!({"test/node": node});
    }
    object
}
