//! Random clusters and pods.

use ideal_gpu::ask::{Amounts, ContainerAsk, Phase, PodAsk};
use ideal_gpu::card::{Card, CardId, Inventory};
use ideal_gpu::names::{CORE, GPU, MEMORY, WHOLE};
use rand::Rng as _;
use rand::rngs::StdRng;
use sanity_tests::fake_kubelet::pod::{Container, Kind, Pod};

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

/// A pod with 1 to 4 containers, and what it asks for in our terms.
pub(crate) fn pod(rng: &mut StdRng, number: usize) -> (Pod, PodAsk) {
    let mut containers = Vec::new();
    let starting = rng.random_range(0..=2);
    for at in 0..starting {
        let kind = if rng.random_bool(0.4) { Kind::Sidecar } else { Kind::Init };
        containers.push(container(rng, format!("i{at}"), kind));
    }
    for at in 0..rng.random_range(1..=4 - starting) {
        containers.push(container(rng, format!("c{at}"), Kind::App));
    }
    let pod =
        Pod { uid: format!("uid-{number}"), namespace: "ns".into(), name: format!("p{number}"), containers };
    let asks = pod.containers.iter().filter_map(ask);
    let ask = PodAsk { containers: asks.collect() };
    (pod, ask)
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

fn ask(container: &Container) -> Option<ContainerAsk> {
    let of = |name: &str| container.limits.get(name).copied();
    let amounts = Amounts { gpu: of(GPU), core: of(CORE), memory: of(MEMORY), whole: of(WHOLE) };
    let phase = match container.kind {
        Kind::Init => Phase::Init,
        Kind::Sidecar => Phase::Sidecar,
        Kind::App => Phase::App,
    };
    ContainerAsk::parse(&container.name, phase, amounts).unwrap()
}
