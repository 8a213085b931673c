//! Device ids that the kubelet sees: few, and each names its card.

use crate::card::CardId;
use crate::names::SLOTS_PER_CARD;

/// A kubelet device of `ideal.com/gpu`: one of a card's five slots. Its id is `<number>-<UUID>`, so that it ends in the card's
/// key, which is what tools that read the pod-resources API look for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId {
    /// 0 to 4.
    pub number: u32,
    /// The card.
    pub card: CardId,
}

impl SlotId {
    /// Reads a device id.
    pub fn parse(id: &str) -> Option<Self> {
        let (number, card) = id.split_once('-')?;
        let number = number.parse().ok().filter(|n| *n < SLOTS_PER_CARD && number.len() == 1)?;
        Some(Self { number, card: CardId::parse(card).ok()? })
    }

    /// Every slot of a card.
    pub fn all(card: &CardId) -> impl Iterator<Item = Self> + '_ {
        (0..SLOTS_PER_CARD).map(|number| Self { number, card: card.clone() })
    }
}

impl std::fmt::Display for SlotId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.number, self.card)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_id_survives_the_wire_and_ends_in_its_card() {
        let card = CardId::parse("GPU-8f3a0c1e-0000-1111-2222-333344445555").unwrap();
        for slot in SlotId::all(&card) {
            assert!(slot.to_string().ends_with(card.as_str()));
            assert_eq!(SlotId::parse(&slot.to_string()), Some(slot));
        }
        for bad in ["5-GPU-a", "00-GPU-a", "-GPU-a", "1-MIG-a", "1", "GPU-a"] {
            assert!(SlotId::parse(bad).is_none(), "{bad}");
        }
    }
}
