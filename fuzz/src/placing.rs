//! A node's cards as its annotation tells them, and pods placed on them until none fits: no card is ever given out beyond what it has.
//!
//! An input is the annotation in a line, then pods, an empty line between two, each as lines of containers.

use std::collections::BTreeSet;

use ideal_gpu::ask::PodAsk;
use ideal_gpu::card::Inventory;
use ideal_gpu::decision::Decision;
use ideal_gpu::names::{CORE_PER_CARD, SLOTS_PER_CARD};
use ideal_gpu::place::{Policy, place, score};
use ideal_gpu::plan::Plan;
use ideal_gpu::usage::Node;

use crate::decision::container;

/// Pods of one input at most: the search has a bound for one, not for all.
const PODS: usize = 12;

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (annotation, pods) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(inventory) = Inventory::parse(annotation) else { return };
    assert_eq!(Inventory::parse(&inventory.to_text()).ok().as_ref(), Some(&inventory), "written and read");
    let mut node = Node::new(inventory);
    for (at, pod) in pods.split("\n\n").take(PODS).enumerate() {
        let ask = PodAsk { containers: pod.lines().filter_map(container).collect() };
        let policy = if at % 2 == 0 { Policy::Binpack } else { Policy::Spread };
        put(&mut node, &ask, &format!("u{at}"), policy);
    }
    let uids: Vec<String> = node.pods().map(|(uid, _)| uid.to_owned()).collect();
    uids.iter().for_each(|uid| node.remove(uid));
    assert!(
        node.taken() == (0, 0) && node.used().iter().all(|used| *used == Default::default()),
        "all is free again"
    );
}

fn put(node: &mut Node, ask: &PodAsk, uid: &str, policy: Policy) {
    let plan = Plan::of(ask);
    let cards = match place(node, &plan, policy) {
        Ok(cards) => cards,
        Err(why) => {
            assert!(!why.to_string().contains('%'), "kube-scheduler takes a reason for a format");
            return;
        }
    };
    if let Ok(score) = score(node, &plan, policy, policy) {
        assert!((0.0..=1.0).contains(&score), "{score}");
    }
    let decision = Decision::new(uid, ask, &plan, &cards);
    let names: BTreeSet<&str> = ask.containers.iter().map(|container| container.name.as_str()).collect();
    if names.len() == ask.containers.len() {
        let read = Decision::about(&decision.to_text(), uid, ask);
        assert_eq!(read.ok().as_ref(), Some(&decision), "the node takes what the scheduler decides");
    }
    assert!(decision.fits(node), "what was placed fits");
    node.add(uid, decision.charge());
    for (card, used) in node.cards().iter().zip(node.used()) {
        assert!(used.slots <= SLOTS_PER_CARD && used.core <= CORE_PER_CARD, "{used:?} of {card:?}");
        assert!(used.memory_mib <= card.memory_mib, "{used:?} of {card:?}");
        assert!(!used.whole || used.slots == 0, "a card is whole or sliced: {used:?}");
        assert!(card.usable() || *used == Default::default(), "{used:?} of {card:?}");
    }
}
