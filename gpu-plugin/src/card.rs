//! A node's cards, as the node tells them to the scheduler.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A card's UUID as NVML gives it, e.g. `GPU-8f3a…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CardId(String);

/// A text that is no card's UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("card: {0:?} is not allowed; allowed: GPU- and letters, digits, '-', at most 64 bytes")]
pub struct BadCardId(pub String);

impl CardId {
    /// Takes a UUID.
    pub fn parse(text: &str) -> Result<Self, BadCardId> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if text.starts_with("GPU-") && plain && (5..=64).contains(&text.len()) {
            return Ok(Self(text.to_owned()));
        }
        Err(BadCardId(text.to_owned()))
    }

    /// The UUID's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CardId {
    type Error = BadCardId;

    fn try_from(text: String) -> Result<Self, BadCardId> {
        Self::parse(&text)
    }
}

impl From<CardId> for String {
    fn from(id: CardId) -> Self {
        id.0
    }
}

impl fmt::Display for CardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// UUID.
    pub id: CardId,
    /// NVML's name, e.g. `NVIDIA GeForce RTX 3060`.
    pub model: String,
    /// MiB that slices may have together: the card's memory less what the driver keeps, times the node's overcommitment.
    pub memory_mib: u64,
    /// NVML index: the number under which `nvidia-smi` shows it.
    pub index: u32,
    /// NUMA node, where the kernel tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numa: Option<u32>,
    /// False while the health state machine keeps new work away.
    pub healthy: bool,
    /// True if the card is cut by MIG: then it is left alone.
    #[serde(default)]
    pub mig: bool,
}

impl Card {
    /// Whether new work may go there.
    pub fn usable(&self) -> bool {
        self.healthy && !self.mig
    }
}

/// A node's cards: the value of the annotation [`crate::names::CARDS`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// In NVML's order.
    pub cards: Vec<Card>,
}

impl Inventory {
    /// Reads the annotation. A card that is named twice is not two cards.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let inventory: Self = serde_json::from_str(text)?;
        let mut seen = BTreeSet::new();
        match inventory.cards.iter().find(|card| !seen.insert(&card.id)) {
            Some(twice) => Err(serde::de::Error::custom(format_args!("card {} is named twice", twice.id))),
            None => Ok(inventory),
        }
    }

    /// Writes the annotation.
    pub fn to_text(&self) -> String {
        // Plain strings and numbers: there is nothing that could fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inventory_survives_the_wire_and_names_each_card_once() {
        let card = |id: &str| {
            let id = CardId::parse(id).unwrap();
            let model = "NVIDIA GeForce RTX 3060".to_owned();
            Card { id, model, memory_mib: 12_000, index: 0, numa: None, healthy: true, mig: false }
        };
        let good = Inventory { cards: vec![card("GPU-a"), card("GPU-b")] };
        assert_eq!(Inventory::parse(&good.to_text()).unwrap(), good);
        let twice = Inventory { cards: vec![card("GPU-a"), card("GPU-a")] };
        assert!(Inventory::parse(&twice.to_text()).unwrap_err().to_string().contains("GPU-a is named twice"));
    }
}
