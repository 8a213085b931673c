//! Puts a plan on a node's cards, or says with numbers why it does not fit.

use std::fmt;

use crate::ask::Share;
use crate::card::{Card, CardId};
use crate::names::{CORE_PER_CARD, SLOTS_PER_CARD};
use crate::plan::Plan;
use crate::usage::{Node, Used};

/// Steps of the search at most: enough for every pod that a person would write, and a bound for those that nobody would.
const STEPS: u32 = 4000;

/// Whether work is gathered or spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// The fullest that has room: keeps cards free for large requests.
    #[default]
    Binpack,
    /// The emptiest: the least company.
    Spread,
}

impl Policy {
    /// Takes the policy's name.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "binpack" => Some(Self::Binpack),
            "spread" => Some(Self::Spread),
            _ => None,
        }
    }
}

/// A card's free room, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// NVML index.
    pub index: u32,
    /// Free percent, MiB and slots; `None` if nothing may go there, for this reason.
    pub free: Result<(u32, u64, u32), &'static str>,
}

/// Why a plan does not fit on a node. It may fit later, or elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The node has told of no cards.
    NoCards,
    /// A container wants more cards than the node has usable ones.
    FewCards {
        /// Cards that one container wants.
        wants: usize,
        /// Usable cards of the node.
        has: usize,
    },
    /// The kubelet would refuse: it counts devices of ill cards as taken too.
    Devices {
        /// Resource.
        resource: &'static str,
        /// Devices wanted.
        wants: u32,
        /// Devices free.
        free: u32,
    },
    /// Pods of unknown cards are here; the node will tell soon.
    Undecided {
        /// So many.
        pods: usize,
    },
    /// No distribution over the cards was found.
    NoRoom {
        /// The largest share of the plan.
        share: Share,
        /// Shares of the plan.
        count: usize,
        /// Each card's room.
        rooms: Vec<Room>,
    },
}

/// Without the sign for percent: kube-scheduler takes an extender's reason for a format of its event, in which `80 % a` becomes
/// `80 %!a(MISSING)`.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCards => f.write_str("no GPU cards"),
            Self::FewCards { wants, has } => {
                write!(f, "a container wants {wants} different cards and {has} are usable")
            }
            Self::Devices { resource, wants, free } => {
                write!(f, "{resource}: {wants} wanted, {free} free")
            }
            Self::Undecided { pods } => write!(f, "{pods} pods hold cards that the node has not told yet"),
            Self::NoRoom { share, count, rooms } => {
                match share {
                    Share::Whole => write!(f, "{count} shares wanted, whole cards among them")?,
                    Share::Slice { core, memory_mib } => {
                        write!(f, "{count} shares of up to {core} percent and {memory_mib} MiB wanted")?;
                    }
                }
                rooms.iter().try_for_each(|room| write!(f, "; card {room}"))
            }
        }
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.free {
            Ok((core, memory, slots)) => {
                write!(f, "{}: {core} percent, {memory} MiB, {slots} slots free", self.index)
            }
            Err(reason) => write!(f, "{}: {reason}", self.index),
        }
    }
}

/// Cards for the plan's needs, in their order.
pub fn place(node: &Node, plan: &Plan, policy: Policy) -> Result<Vec<CardId>, Why> {
    let search = search(node, plan, policy)?;
    let ids = search.chosen.iter().flatten().map(|card| node.cards()[*card].id.clone());
    Ok(ids.collect())
}

/// Whether [`place`] would find cards.
pub fn fits(node: &Node, plan: &Plan, policy: Policy) -> Result<(), Why> {
    search(node, plan, policy).map(drop)
}

/// How well a node suits by the policy `over_nodes`, 0 to 1, if the plan is put there by `over_cards`: the mean fill of its
/// usable cards.
pub fn score(node: &Node, plan: &Plan, over_cards: Policy, over_nodes: Policy) -> Result<f64, Why> {
    let used = search(node, plan, over_cards)?.used;
    let usable = node.cards().iter().zip(&used).filter(|(card, _)| card.usable());
    let (sum, count) =
        usable.fold((0.0, 0_u32), |(sum, count), (card, used)| (sum + used.fill(card), count + 1));
    let mean = sum / f64::from(count.max(1));
    Ok(match over_nodes {
        Policy::Binpack => mean,
        Policy::Spread => 1.0 - mean,
    })
}

/// A search that has found cards.
fn search<'a>(node: &'a Node, plan: &'a Plan, policy: Policy) -> Result<Search<'a>, Why> {
    admissible(node, plan)?;
    // Large shares first: what is hard to place finds the most room.
    let mut order: Vec<usize> = (0..plan.needs.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(size(plan.needs[*at].share)));
    let mut search = Search {
        node,
        plan,
        policy,
        order,
        used: node.used().to_vec(),
        chosen: vec![None; plan.needs.len()],
        steps: 0,
    };
    if search.go(0) {
        return Ok(search);
    }
    let largest = search.order.first().map_or(Share::Whole, |at| plan.needs[*at].share);
    let rooms = node.cards().iter().zip(node.used()).map(|(card, used)| room(card, used)).collect();
    Err(Why::NoRoom { share: largest, count: plan.needs.len(), rooms })
}

/// What is quickly seen, and what the kubelet will count.
fn admissible(node: &Node, plan: &Plan) -> Result<(), Why> {
    let usable = node.cards().iter().filter(|card| card.usable()).count();
    if node.cards().is_empty() {
        return Err(Why::NoCards);
    }
    let most = plan.holders.iter().map(|holder| holder.count).max().unwrap_or(0);
    if most > usable {
        return Err(Why::FewCards { wants: most, has: usable });
    }
    if node.undecided() > 0 {
        return Err(Why::Undecided { pods: node.undecided() });
    }
    let (wants, has, taken) = (plan.devices(), node.allocatable(), node.taken());
    let both = [
        (crate::names::GPU, wants.0, has.0.saturating_sub(taken.0)),
        (crate::names::WHOLE, wants.1, has.1.saturating_sub(taken.1)),
    ];
    match both.into_iter().find(|(_, wants, free)| wants > free) {
        Some((resource, wants, free)) => Err(Why::Devices { resource, wants, free }),
        None => Ok(()),
    }
}

/// For ordering only: whole cards, then compute, then memory.
fn size(share: Share) -> (u32, u64) {
    match share {
        Share::Whole => (u32::MAX, u64::MAX),
        Share::Slice { core, memory_mib } => (core, memory_mib),
    }
}

fn room(card: &Card, used: &Used) -> Room {
    let free = if card.mig {
        Err("MIG is on, the card is left alone")
    } else if !card.healthy {
        Err("unhealthy")
    } else if used.whole {
        Err("taken whole")
    } else {
        let memory = card.memory_mib.saturating_sub(used.memory_mib);
        Ok((CORE_PER_CARD.saturating_sub(used.core), memory, SLOTS_PER_CARD.saturating_sub(used.slots)))
    };
    Room { index: card.index, free }
}

/// A search that tries the policy's favourite first and goes back when it leads nowhere.
struct Search<'a> {
    node: &'a Node,
    plan: &'a Plan,
    policy: Policy,
    order: Vec<usize>,
    used: Vec<Used>,
    chosen: Vec<Option<usize>>,
    steps: u32,
}

impl Search<'_> {
    fn go(&mut self, depth: usize) -> bool {
        let Some(at) = self.order.get(depth).copied() else { return true };
        let share = self.plan.needs[at].share;
        let mut tried: Vec<(Used, &Card)> = Vec::new();
        for card in self.candidates(at) {
            let (before, this) = (self.used[card], &self.node.cards()[card]);
            // A card just like one that led nowhere leads nowhere too, unless the plan keeps slots apart.
            let alike =
                |(used, other): &(Used, &Card)| *used == before && other.memory_mib == this.memory_mib;
            if self.plan.needs[at].apart.is_empty() && tried.iter().any(alike) {
                continue;
            }
            self.steps += 1;
            if self.steps > STEPS {
                return false;
            }
            self.used[card].add(share);
            self.chosen[at] = Some(card);
            if self.go(depth + 1) {
                return true;
            }
            self.chosen[at] = None;
            self.used[card] = before;
            tried.push((before, this));
        }
        false
    }

    /// Cards on which the need fits beside what was chosen so far, the policy's favourite first.
    fn candidates(&self, at: usize) -> Vec<usize> {
        let need = &self.plan.needs[at];
        let cards = self.node.cards();
        let apart = |card: usize| need.apart.iter().all(|other| self.chosen[*other] != Some(card));
        let fits = |card: &usize| {
            cards[*card].usable() && apart(*card) && self.used[*card].fits(&cards[*card], need.share)
        };
        let mut found: Vec<usize> = (0..cards.len()).filter(fits).collect();
        let fill = |card: &usize| self.used[*card].fill(&cards[*card]);
        found.sort_by(|a, b| match self.policy {
            Policy::Binpack => fill(b).total_cmp(&fill(a)),
            Policy::Spread => fill(a).total_cmp(&fill(b)),
        });
        found
    }
}

#[cfg(test)]
mod tests;
