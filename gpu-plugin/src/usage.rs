//! What is used of a node's cards, and whether a plan fits. One entry a pod, so that adding twice is adding once.

use std::collections::HashMap;

use crate::ask::Share;
use crate::card::{Card, CardId, Inventory};
use crate::names::{CORE_PER_CARD, MAX_CARDS_PER_NODE, SLOTS_PER_CARD};

/// What is used of one card.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Slots.
    pub slots: u32,
    /// Percent.
    pub core: u32,
    /// MiB.
    pub memory_mib: u64,
    /// Somebody has it alone.
    pub whole: bool,
}

/// What a pod holds: cards and the share of each.
pub type Charge = Vec<(CardId, Share)>;

/// A node's cards and the pods on them.
#[derive(Debug, Clone, Default)]
pub struct Node {
    cards: Vec<Card>,
    used: Vec<Used>,
    pods: HashMap<String, Charge>,
    /// Devices that the kubelet counts as taken: slots and whole cards, also those on cards that are ill or gone.
    taken: (u32, u32),
    /// Pods that are here with a request and without a decision: what they hold is not known.
    undecided: HashMap<String, (u32, u32)>,
}

impl Used {
    /// Whether the share still fits beside what is used.
    pub fn fits(&self, card: &Card, share: Share) -> bool {
        match share {
            Share::Whole => !self.whole && self.slots == 0,
            Share::Slice { core, memory_mib } => {
                !self.whole
                    && self.slots < SLOTS_PER_CARD
                    && self.core.saturating_add(core) <= CORE_PER_CARD
                    && self.memory_mib.saturating_add(memory_mib) <= card.memory_mib
            }
        }
    }

    /// Adds a share.
    pub fn add(&mut self, share: Share) {
        match share {
            Share::Whole => self.whole = true,
            Share::Slice { core, memory_mib } => {
                self.slots += 1;
                self.core = self.core.saturating_add(core);
                self.memory_mib = self.memory_mib.saturating_add(memory_mib);
            }
        }
    }

    /// How full the card is, 0 to 1: the fuller of compute and memory; what is scarce decides.
    pub fn fill(&self, card: &Card) -> f64 {
        if self.whole {
            return 1.0;
        }
        let core = f64::from(self.core) / f64::from(CORE_PER_CARD);
        // Precision below a millionth of a card does not matter.
        let memory = self.memory_mib as f64 / (card.memory_mib.max(1)) as f64;
        core.max(memory).min(1.0)
    }
}

/// Adds a pod's charge to what is used of the cards, and to the devices that the kubelet counts: those of cards that are
/// gone too.
fn count(cards: &[Card], used: &mut [Used], taken: &mut (u32, u32), charge: &Charge) {
    for (id, share) in charge {
        match share {
            Share::Slice { .. } => taken.0 += 1,
            Share::Whole => taken.1 += 1,
        }
        if let Some(at) = cards.iter().position(|card| card.id == *id) {
            used[at].add(*share);
        }
    }
}

impl Node {
    /// A node with these cards and no pods.
    pub fn new(inventory: Inventory) -> Self {
        let mut node = Self::default();
        node.set_inventory(inventory);
        node
    }

    /// The cards are these now; the pods stay.
    pub fn set_inventory(&mut self, inventory: Inventory) {
        self.cards = inventory.cards;
        self.recount();
    }

    /// The cards.
    pub fn cards(&self) -> &[Card] {
        &self.cards
    }

    /// What is used of each card, in the same order.
    pub fn used(&self) -> &[Used] {
        &self.used
    }

    /// Devices that the kubelet counts as taken: slots and whole cards.
    pub fn taken(&self) -> (u32, u32) {
        // A pod that was let past the webhook may name any number.
        let add = |(a, b): (u32, u32), (c, d): &(u32, u32)| (a.saturating_add(*c), b.saturating_add(*d));
        self.undecided.values().fold(self.taken, add)
    }

    /// Devices that the kubelet can hand out: those of usable cards, of as many as a machine can have.
    pub fn allocatable(&self) -> (u32, u32) {
        let usable = self.cards.iter().filter(|card| card.usable()).count();
        let usable =
            u32::try_from(usable).map_or(MAX_CARDS_PER_NODE, |usable| usable.min(MAX_CARDS_PER_NODE));
        (usable * SLOTS_PER_CARD, usable)
    }

    /// Pods whose cards nobody knows (yet).
    pub fn undecided(&self) -> usize {
        self.undecided.len()
    }

    /// Whether the pod is counted here, with a decision.
    pub fn holds(&self, uid: &str) -> bool {
        self.pods.contains_key(uid)
    }

    /// Counts a pod; counted already, its charge is replaced.
    pub fn add(&mut self, uid: &str, charge: Charge) {
        self.remove(uid);
        count(&self.cards, &mut self.used, &mut self.taken, &charge);
        self.pods.insert(uid.to_owned(), charge);
    }

    /// Counts a pod that is here without a decision, with the devices it asks for.
    pub fn add_undecided(&mut self, uid: &str, devices: (u32, u32)) {
        self.remove(uid);
        self.undecided.insert(uid.to_owned(), devices);
    }

    /// Forgets a pod; not here is fine.
    pub fn remove(&mut self, uid: &str) {
        self.undecided.remove(uid);
        if self.pods.remove(uid).is_none() {
            return;
        }
        // Counted anew, not subtracted: while a promise and its outcome overlap, two pods may stand on one whole card, and
        // the one that goes must not take the other's mark along.
        self.recount();
    }

    /// Every pod with a decision, and what it holds.
    pub fn pods(&self) -> impl Iterator<Item = (&str, &Charge)> {
        self.pods.iter().map(|(uid, charge)| (uid.as_str(), charge))
    }

    fn recount(&mut self) {
        self.used = vec![Used::default(); self.cards.len()];
        self.taken = (0, 0);
        for charge in self.pods.values() {
            count(&self.cards, &mut self.used, &mut self.taken, charge);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_beyond_all_numbers_leave_none_free() {
        let mut node = Node::default();
        node.add_undecided("a", (u32::MAX - 1, 0));
        node.add_undecided("b", (2, u32::MAX));
        node.add_undecided("c", (0, 1));
        assert_eq!(node.taken(), (u32::MAX, u32::MAX));
    }

    #[test]
    fn a_whole_card_that_two_pods_were_promised_stays_taken_until_both_are_gone() {
        let id = CardId::parse("GPU-0").unwrap();
        let card = Card {
            id: id.clone(),
            model: "test".into(),
            memory_mib: 100,
            index: 0,
            numa: None,
            healthy: true,
            mig: false,
        };
        let mut node = Node::new(Inventory { cards: vec![card] });
        node.add("a", vec![(id.clone(), Share::Whole)]);
        node.add("b", vec![(id, Share::Whole)]);
        node.remove("a");
        assert!(node.used()[0].whole);
        node.remove("b");
        assert_eq!((node.used()[0], node.taken()), (Used::default(), (0, 0)));
    }
}
