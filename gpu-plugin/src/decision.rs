//! A decision: which container gets which cards. It is made by the scheduler, travels on the Binding into the pod's
//! annotation, and is what the node carries out. By container name; checked against the pod wherever it is read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ask::{ContainerAsk, PodAsk, Share};
use crate::card::CardId;
use crate::plan::Plan;
use crate::usage::{Charge, Node};

/// Version of the form. Another one is not read.
const VERSION: u32 = 1;

/// A slot or whole card that is held for the pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Held {
    card: CardId,
    /// Percent; absent for a whole card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    core: Option<u32>,
    /// MiB; absent for a whole card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
}

/// A container's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    /// It gets so many cards.
    cards: usize,
    /// Out of these, by their place in `held`.
    from: Vec<usize>,
    /// Percent of each; absent for whole cards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    core: Option<u32>,
    /// MiB of each; absent for whole cards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
}

/// A decision about one pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    version: u32,
    /// The pod's UID: a decision copied to another pod is none.
    uid: String,
    held: Vec<Held>,
    containers: BTreeMap<String, Part>,
}

/// Why a text is no decision about a pod.
#[derive(Debug, thiserror::Error)]
pub enum NotADecision {
    /// Its form.
    #[error("it cannot be read")]
    Form(#[from] serde_json::Error),
    /// Its version.
    #[error("its version is {0} and {VERSION} is read here")]
    Version(u32),
    /// Made for another pod.
    #[error("it was made for the pod {0}")]
    AnotherPod(String),
    /// It does not follow from what the pod asks for.
    #[error("{0}")]
    Differs(String),
}

/// Why a container does not get the cards that the kubelet recorded for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotGranted {
    /// The decision does not know the container.
    #[error("no cards were decided for container {0}")]
    NoSuchContainer(String),
    /// The kubelet recorded another number of devices.
    #[error(
        "container {container}: {decided} cards were decided and the kubelet recorded {recorded} devices"
    )]
    Count {
        /// Container.
        container: String,
        /// Cards decided.
        decided: usize,
        /// Devices recorded.
        recorded: usize,
    },
    /// The kubelet recorded a card that was not decided, or one twice.
    #[error(
        "container {container}: the kubelet recorded a device of card {card}, which was not decided for it"
    )]
    WrongCard {
        /// Container.
        container: String,
        /// The card.
        card: CardId,
    },
}

fn share(core: Option<u32>, memory: Option<u64>) -> Share {
    match (core, memory) {
        (Some(core), Some(memory_mib)) => Share::Slice { core, memory_mib },
        _ => Share::Whole,
    }
}

fn amounts(share: Share) -> (Option<u32>, Option<u64>) {
    match share {
        Share::Whole => (None, None),
        Share::Slice { core, memory_mib } => (Some(core), Some(memory_mib)),
    }
}

impl Decision {
    /// The decision that puts the needs of the plan of `ask` on `cards`, in their order.
    pub fn new(uid: &str, ask: &PodAsk, plan: &Plan, cards: &[CardId]) -> Self {
        let held = plan.needs.iter().zip(cards).map(|(need, card)| {
            let (core, memory) = amounts(need.share);
            Held { card: card.clone(), core, memory }
        });
        let part = |(container, holder): (&ContainerAsk, &crate::plan::Holder)| {
            let (core, memory) = amounts(container.share);
            let part = Part { cards: holder.count, from: holder.from.clone(), core, memory };
            (container.name.clone(), part)
        };
        let containers = ask.containers.iter().zip(&plan.holders).map(part).collect();
        Self { version: VERSION, uid: uid.to_owned(), held: held.collect(), containers }
    }

    /// Reads the annotation of the pod `uid`.
    pub fn parse(text: &str, uid: &str) -> Result<Self, NotADecision> {
        let decision: Self = serde_json::from_str(text)?;
        if decision.version != VERSION {
            return Err(NotADecision::Version(decision.version));
        }
        if decision.uid != uid {
            return Err(NotADecision::AnotherPod(decision.uid));
        }
        Ok(decision)
    }

    /// Reads the annotation of the pod `uid` as a decision that follows from what the pod asks for: see [`Self::check`].
    pub fn about(text: &str, uid: &str, ask: &PodAsk) -> Result<Self, NotADecision> {
        let decision = Self::parse(text, uid)?;
        decision.check(uid, ask).map(|()| decision)
    }

    /// Writes the annotation.
    pub fn to_text(&self) -> String {
        // Plain strings and numbers: there is nothing that could fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether it follows from what the pod `uid` asks for: the same containers, amounts and slots, and different cards where
    /// a container holds several. Where the cards are is its own affair.
    pub fn check(&self, uid: &str, ask: &PodAsk) -> Result<(), NotADecision> {
        if self.uid != uid {
            return Err(NotADecision::AnotherPod(self.uid.clone()));
        }
        let plan = Plan::of(ask);
        let cards: Vec<CardId> = self.held.iter().map(|held| held.card.clone()).collect();
        let differs = |what: &str| Err(NotADecision::Differs(what.to_owned()));
        if plan.holders.len() != ask.containers.len() {
            return differs("the pod asks for more than any machine has");
        }
        if cards.len() != plan.needs.len() {
            return differs("it holds another number of cards than the pod asks for");
        }
        if *self != Self::new(uid, ask, &plan, &cards) {
            return differs("its containers or amounts are not those that the pod asks for");
        }
        let together =
            |(at, need): (usize, &crate::plan::Need)| need.apart.iter().any(|o| cards[*o] == cards[at]);
        if plan.needs.iter().enumerate().any(together) {
            return differs("it gives a container one card twice");
        }
        Ok(())
    }

    /// What the pod holds.
    pub fn charge(&self) -> Charge {
        self.held.iter().map(|held| (held.card.clone(), share(held.core, held.memory))).collect()
    }

    /// Whether a node that does not count it has room for all that it holds.
    pub fn fits(&self, node: &Node) -> bool {
        let mut used = node.used().to_vec();
        self.charge().iter().all(|(id, share)| {
            let Some(at) = node.cards().iter().position(|card| card.id == *id) else { return false };
            let fits = used[at].fits(&node.cards()[at], *share);
            used[at].add(*share);
            fits
        })
    }

    /// The pod.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The containers that get cards.
    pub fn containers(&self) -> impl Iterator<Item = &str> {
        self.containers.keys().map(String::as_str)
    }

    /// The number of cards that the container gets, the share of each, and the cards they come from: as many, unless an init
    /// container's are handed on and the kubelet chooses among them.
    pub fn part(&self, container: &str) -> Option<(usize, Share, Vec<&CardId>)> {
        let part = self.containers.get(container)?;
        let from = part.from.iter().filter_map(|at| self.held.get(*at)).map(|held| &held.card).collect();
        Some((part.cards, share(part.core, part.memory), from))
    }

    /// The share of each card, if the cards of the devices that the kubelet recorded for the container are what was decided.
    pub fn grant(&self, container: &str, recorded: &[CardId]) -> Result<Share, NotGranted> {
        let (decided, share, from) =
            self.part(container).ok_or_else(|| NotGranted::NoSuchContainer(container.to_owned()))?;
        let container = container.to_owned();
        if recorded.len() != decided {
            return Err(NotGranted::Count { container, decided, recorded: recorded.len() });
        }
        let mut left = from;
        for (at, card) in recorded.iter().enumerate() {
            let known = left.iter().position(|c| *c == card).filter(|_| !recorded[..at].contains(card));
            match known {
                Some(found) => drop(left.swap_remove(found)),
                None => return Err(NotGranted::WrongCard { container, card: card.clone() }),
            }
        }
        Ok(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::Phase;

    fn id(n: u32) -> CardId {
        CardId::parse(&format!("GPU-{n}")).unwrap()
    }

    fn ask() -> PodAsk {
        let share = Share::Slice { core: 80, memory_mib: 200 };
        PodAsk { containers: vec![ContainerAsk { name: "c".into(), phase: Phase::App, cards: 2, share }] }
    }

    fn decision() -> Decision {
        Decision::new("u1", &ask(), &Plan::of(&ask()), &[id(0), id(3)])
    }

    #[test]
    fn a_decision_survives_the_wire() {
        let text = decision().to_text();
        assert!(text.len() < 300, "{text}");
        assert_eq!(Decision::parse(&text, "u1").unwrap(), decision());
        decision().check("u1", &ask()).unwrap();
    }

    #[test]
    fn a_forged_or_foreign_decision_is_none() {
        let text = decision().to_text();
        assert!(matches!(Decision::parse(&text, "u2"), Err(NotADecision::AnotherPod(_))));
        for (from, to) in [("\"core\":80", "\"core\":5"), ("GPU-3", "GPU-0"), ("\"cards\":2", "\"cards\":1")]
        {
            let forged = text.replace(from, to);
            assert_ne!(forged, text);
            let read = Decision::parse(&forged, "u1").unwrap();
            assert!(read.check("u1", &ask()).is_err(), "{forged}");
        }
        for junk in ["", "{}", "[]", "{\"version\":9}", &text.replace("version", "versio")] {
            assert!(Decision::parse(junk, "u1").is_err(), "{junk}");
        }
        // A place that nothing is held at must not be followed.
        let wild = text.replace("\"from\":[0,1]", "\"from\":[0,99]");
        assert!(Decision::parse(&wild, "u1").unwrap().check("u1", &ask()).is_err());
    }

    #[test]
    fn only_the_decided_cards_are_granted_each_once() {
        let granted = decision().grant("c", &[id(3), id(0)]);
        assert_eq!(granted, Ok(Share::Slice { core: 80, memory_mib: 200 }));
        assert!(matches!(decision().grant("c", &[id(0), id(1)]), Err(NotGranted::WrongCard { .. })));
        assert!(matches!(decision().grant("c", &[id(0), id(0)]), Err(NotGranted::WrongCard { .. })));
        assert!(matches!(decision().grant("c", &[id(0)]), Err(NotGranted::Count { .. })));
        assert!(matches!(decision().grant("d", &[id(0)]), Err(NotGranted::NoSuchContainer(_))));
    }
}
