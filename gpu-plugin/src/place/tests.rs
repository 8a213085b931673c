use super::*;
use proptest::prelude::*;

use crate::ask::{ContainerAsk, Phase, PodAsk};
use crate::card::Inventory;
use crate::decision::Decision;

fn card(index: u32, memory_mib: u64) -> Card {
    let id = CardId::parse(&format!("GPU-{index}")).unwrap();
    Card { id, model: "test".into(), memory_mib, index, numa: None, healthy: true, mig: false }
}

fn node(cards: u32) -> Node {
    Node::new(Inventory { cards: (0..cards).map(|i| card(i, 10_000)).collect() })
}

fn slice(core: u32, memory_mib: u64) -> Share {
    Share::Slice { core, memory_mib }
}

fn pod(containers: &[(u32, Share)]) -> PodAsk {
    let one = |(i, (cards, share)): (usize, &(u32, Share))| ContainerAsk {
        name: format!("c{i}"),
        phase: Phase::App,
        cards: *cards,
        share: *share,
    };
    PodAsk { containers: containers.iter().enumerate().map(one).collect() }
}

fn put(node: &mut Node, uid: &str, ask: &PodAsk, policy: Policy) -> Result<Vec<CardId>, Why> {
    let plan = Plan::of(ask);
    let cards = place(node, &plan, policy)?;
    let decision = Decision::new(uid, ask, &plan, &cards);
    decision.check(uid, ask).unwrap();
    node.add(uid, decision.charge());
    Ok(cards)
}

#[test]
fn a_share_of_each_of_two_cards_charges_both() {
    let mut node = node(2);
    let ask = pod(&[(2, slice(80, 200))]);
    let cards = put(&mut node, "a", &ask, Policy::Binpack).unwrap();
    assert_ne!(cards[0], cards[1]);
    assert!(node.used().iter().all(|u| (u.core, u.memory_mib, u.slots) == (80, 200, 1)));
    // By the sums that Kubernetes sees (200 - 80 = 120 %) a second one would fit.
    let why = put(&mut node, "b", &ask, Policy::Binpack).unwrap_err();
    let text = why.to_string();
    assert!(!text.contains('%'), "kube-scheduler takes it for a format: {text}");
    assert!(text.contains("card 0: 20 percent, 9800 MiB, 4 slots free"), "{text}");
    node.remove("a");
    assert!(put(&mut node, "b", &ask, Policy::Binpack).is_ok());
}

#[test]
fn whole_cards_and_slices_never_mix_and_five_share_a_card() {
    let mut node = node(2);
    for i in 0..5 {
        put(&mut node, &format!("s{i}"), &pod(&[(1, slice(5, 10))]), Policy::Binpack).unwrap();
    }
    assert_eq!(node.used()[0].slots, 5, "binpack gathers");
    put(&mut node, "w", &pod(&[(1, Share::Whole)]), Policy::Binpack).unwrap();
    assert!(node.used()[1].whole);
    let why = put(&mut node, "w2", &pod(&[(1, Share::Whole)]), Policy::Binpack).unwrap_err();
    assert!(why.to_string().contains("card 1: taken whole"), "{why}");
    let why = put(&mut node, "s5", &pod(&[(1, slice(5, 10))]), Policy::Binpack).unwrap_err();
    assert!(why.to_string().contains("0 slots free"), "{why}");
}

#[test]
fn spread_goes_to_the_emptiest_and_ill_or_cut_cards_are_left_alone() {
    let mut inventory = Inventory { cards: (0..4).map(|i| card(i, 10_000)).collect() };
    inventory.cards[0].healthy = false;
    inventory.cards[1].mig = true;
    let mut node = Node::new(inventory);
    let first = put(&mut node, "a", &pod(&[(1, slice(10, 10))]), Policy::Spread).unwrap();
    let second = put(&mut node, "b", &pod(&[(1, slice(10, 10))]), Policy::Spread).unwrap();
    assert_eq!((first[0].as_str(), second[0].as_str()), ("GPU-2", "GPU-3"));
    let why = put(&mut node, "c", &pod(&[(3, slice(1, 1))]), Policy::Spread).unwrap_err();
    assert_eq!(why, Why::FewCards { wants: 3, has: 2 });
}

#[test]
fn the_search_goes_back_where_the_favourite_leads_nowhere() {
    let mut node = node(2);
    put(&mut node, "a", &pod(&[(1, slice(50, 100))]), Policy::Binpack).unwrap();
    // Two containers: gathered greedily the 40 % would go beside the 50 %, and the pair of 60 % would find no two cards.
    let ask = pod(&[(1, slice(40, 100)), (2, slice(45, 100))]);
    let cards = put(&mut node, "b", &ask, Policy::Binpack).unwrap();
    assert_eq!(cards.len(), 3);
    assert!(node.used().iter().all(|used| used.core <= 100));
}

fn some_pod() -> impl Strategy<Value = PodAsk> {
    let phase = prop_oneof![Just(Phase::App), Just(Phase::Init), Just(Phase::Sidecar)];
    let share =
        prop_oneof![4 => (1u32..=100, 1u64..9_000).prop_map(|(c, m)| slice(c, m)), 1 => Just(Share::Whole)];
    proptest::collection::vec((phase, 1u32..=3, share), 1..=4).prop_map(|mut containers| {
        // Init containers come first in a pod.
        containers.sort_by_key(|(phase, ..)| *phase == Phase::App);
        let one = |(i, (phase, cards, share))| ContainerAsk { name: format!("c{i}"), phase, cards, share };
        PodAsk { containers: containers.into_iter().enumerate().map(one).collect() }
    })
}

proptest! {
    /// Whatever comes and goes: no card has more than 100 %, its memory, five slots, or slices beside a whole holder; and a
    /// decision survives the wire.
    #[test]
    fn nothing_is_ever_overcommitted(pods in proptest::collection::vec((some_pod(), any::<bool>(), any::<bool>()), 1..40)) {
        let mut node = node(4);
        let mut here: Vec<String> = Vec::new();
        for (i, (ask, spread, leaves)) in pods.into_iter().enumerate() {
            let policy = if spread { Policy::Spread } else { Policy::Binpack };
            let uid = format!("u{i}");
            if put(&mut node, &uid, &ask, policy).is_ok() {
                here.push(uid);
            }
            if leaves && !here.is_empty() {
                node.remove(&here.remove(0));
            }
            for (card, used) in node.cards().iter().zip(node.used()) {
                prop_assert!(used.core <= 100 && used.memory_mib <= card.memory_mib && used.slots <= 5);
                prop_assert!(!used.whole || used.slots == 0);
            }
        }
        here.iter().for_each(|uid| node.remove(uid));
        prop_assert!(node.used().iter().all(|used| *used == Used::default()));
        prop_assert_eq!(node.taken(), (0, 0));
    }

    /// The plan needs just as many devices as Kubernetes counts for the pod: the kubelet refuses nothing that was accepted.
    #[test]
    fn the_plan_counts_devices_as_kubernetes_does(ask in some_pod()) {
        let count = |whole: bool| {
            let (mut running, mut most) = (0u32, 0u32);
            for container in ask.containers.iter().filter(|c| (c.share == Share::Whole) == whole) {
                match container.phase {
                    Phase::Init => most = most.max(running + container.cards),
                    Phase::Sidecar | Phase::App => running += container.cards,
                }
                most = most.max(running);
            }
            most
        };
        prop_assert_eq!(Plan::of(&ask).devices(), (count(false), count(true)));
    }
}

#[test]
fn a_node_scores_by_how_full_its_usable_cards_are_with_the_pod_on_them() {
    let mut inventory = Inventory { cards: (0..3).map(|i| card(i, 10_000)).collect() };
    inventory.cards[2].healthy = false;
    let mut node = Node::new(inventory);
    put(&mut node, "a", &pod(&[(1, slice(40, 1_000))]), Policy::Binpack).unwrap();
    let plan = Plan::of(&pod(&[(1, slice(10, 6_000))]));
    // Packed, card 0 holds 50 % and 7,000 MiB of 10,000; spread, card 1 holds 6,000 beside the 40 % of card 0.
    for (cards, mean) in [(Policy::Binpack, 0.35), (Policy::Spread, 0.5)] {
        let packed = score(&node, &plan, cards, Policy::Binpack).unwrap();
        let spread = score(&node, &plan, cards, Policy::Spread).unwrap();
        assert!((packed - mean).abs() < 1e-9 && (spread - (1.0 - mean)).abs() < 1e-9, "{packed} {spread}");
    }
    let why = score(&node, &Plan::of(&pod(&[(3, slice(1, 1))])), Policy::Binpack, Policy::Binpack);
    assert_eq!(why, Err(Why::FewCards { wants: 3, has: 2 }));
}
