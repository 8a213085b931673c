//! Which slots a pod needs, and which containers may hold each: the kubelet's own rules of handing out devices.
//!
//! The kubelet gives devices container by container, init containers first. A container is served from what earlier
//! init containers have left, at random if they left more than it needs, and only then from free devices. An init container
//! leaves all it held; a sidecar or an ordinary container keeps what it got. (kubelet, devicemanager/manager.go, Allocate)

use crate::ask::{Phase, PodAsk, Share};
use crate::names::{MAX_CARDS_PER_NODE, SLOTS_PER_CARD};

/// Slots and whole cards together that a machine can have at most. A pod that needs more fits nowhere (see
/// [`Node::allocatable`](crate::usage::Node::allocatable)), so the rest of it need not be planned: it could be thousands of containers.
const MOST: usize = (MAX_CARDS_PER_NODE * (SLOTS_PER_CARD + 1)) as usize;

/// A slot that the pod needs, on one card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The most that any container asks of it which may hold it.
    pub share: Share,
    /// Slots that must be on other cards than this one: those that one container holds together with it.
    pub apart: Vec<usize>,
}

/// A container's part in the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Container.
    pub name: String,
    /// It holds so many slots.
    pub count: usize,
    /// Out of these, by their place in [`Plan::needs`]. As many as `count` if nothing is left to chance.
    pub from: Vec<usize>,
}

/// What a pod needs, cards not chosen yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Slots (of slices) and whole cards.
    pub needs: Vec<Need>,
    /// In the pod's order.
    pub holders: Vec<Holder>,
}

/// What earlier init containers have left of one resource.
#[derive(Default)]
struct Pool {
    /// The slots that may be among them.
    members: Vec<usize>,
    /// So many of them are.
    count: usize,
}

impl Plan {
    /// Makes the plan for a pod; of one that needs more than any machine has, a part that does so too.
    pub fn of(ask: &PodAsk) -> Self {
        let mut plan = Self::default();
        // Slots of slices and whole cards are two kubelet resources, and nothing goes from one to the other.
        let mut pools = [Pool::default(), Pool::default()];
        for container in &ask.containers {
            if plan.needs.len() > MOST {
                break;
            }
            let pool = &mut pools[usize::from(container.share == Share::Whole)];
            let count = container.cards as usize;
            let mut from = pool.members.clone();
            let fresh = count.saturating_sub(pool.count);
            for _ in 0..fresh {
                from.push(plan.needs.len());
                plan.needs.push(Need { share: container.share, apart: Vec::new() });
            }
            if pool.count == 0 {
                // Nothing was left, so nothing of it can be held.
                from.retain(|slot| *slot >= plan.needs.len() - fresh);
            }
            for slot in &from {
                plan.needs[*slot].share = plan.needs[*slot].share.larger(container.share);
                let others = from.iter().copied().filter(|other| other != slot);
                let apart = &mut plan.needs[*slot].apart;
                apart.extend(others);
                apart.sort_unstable();
                apart.dedup();
            }
            match container.phase {
                Phase::Init => {
                    pool.count = pool.count.max(count);
                    pool.members.clone_from(&from);
                }
                Phase::Sidecar | Phase::App => pool.count = pool.count.saturating_sub(count),
            }
            plan.holders.push(Holder { name: container.name.clone(), count, from });
        }
        plan
    }

    /// Slots of slices, and whole cards: what the kubelet will count against its two resources.
    pub fn devices(&self) -> (u32, u32) {
        let whole = self.needs.iter().filter(|need| need.share == Share::Whole).count();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (count(self.needs.len() - whole), count(whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::ContainerAsk;

    fn ask(containers: &[(&str, Phase, u32, u32)]) -> PodAsk {
        let one = |(name, phase, cards, core): &(&str, Phase, u32, u32)| ContainerAsk {
            name: (*name).to_owned(),
            phase: *phase,
            cards: *cards,
            share: Share::Slice { core: *core, memory_mib: u64::from(*core) * 10 },
        };
        PodAsk { containers: containers.iter().map(one).collect() }
    }

    fn from(plan: &Plan) -> Vec<(usize, Vec<usize>)> {
        plan.holders.iter().map(|h| (h.count, h.from.clone())).collect()
    }

    #[test]
    fn ordinary_containers_have_slots_of_their_own_on_different_cards() {
        let plan = Plan::of(&ask(&[("a", Phase::App, 2, 80), ("b", Phase::App, 1, 30)]));
        assert_eq!(from(&plan), [(2, vec![0, 1]), (1, vec![2])]);
        assert_eq!(plan.needs[0].apart, [1]);
        assert!(plan.needs[2].apart.is_empty(), "another container may share the card");
    }

    #[test]
    fn what_an_init_container_leaves_is_held_again_with_room_for_the_largest() {
        let plan =
            Plan::of(&ask(&[("i", Phase::Init, 2, 10), ("a", Phase::App, 1, 80), ("b", Phase::App, 1, 30)]));
        // The kubelet gives `a` either of the two, so both must have room for it.
        assert_eq!(from(&plan), [(2, vec![0, 1]), (1, vec![0, 1]), (1, vec![0, 1])]);
        assert_eq!(plan.needs[0].share, Share::Slice { core: 80, memory_mib: 800 });
        assert_eq!(plan.devices(), (2, 0));
        let grows = Plan::of(&ask(&[("i", Phase::Init, 1, 10), ("a", Phase::App, 3, 20)]));
        assert_eq!(from(&grows), [(1, vec![0]), (3, vec![0, 1, 2])]);
    }

    #[test]
    fn a_sidecar_keeps_what_it_has() {
        let plan = Plan::of(&ask(&[
            ("s", Phase::Sidecar, 1, 10),
            ("i", Phase::Init, 1, 20),
            ("a", Phase::App, 1, 30),
        ]));
        assert_eq!(from(&plan), [(1, vec![0]), (1, vec![1]), (1, vec![1])]);
        let after = Plan::of(&ask(&[
            ("i", Phase::Init, 1, 20),
            ("s", Phase::Sidecar, 1, 10),
            ("a", Phase::App, 1, 30),
        ]));
        // The sidecar takes the init container's slot and does not give it back.
        assert_eq!(from(&after), [(1, vec![0]), (1, vec![0]), (1, vec![1])]);
    }

    #[test]
    fn a_pod_of_thousands_of_containers_is_planned_as_far_as_it_can_fit() {
        let pair = [("i", Phase::Init, 16, 1), ("s", Phase::Sidecar, 15, 1)];
        let plan = Plan::of(&ask(&pair.repeat(100)));
        let apart: usize = plan.needs.iter().map(|need| need.apart.len()).sum();
        assert!(
            (MOST + 1..=MOST + 16).contains(&plan.needs.len()) && apart < 20_000,
            "{} {apart}",
            plan.needs.len()
        );
        assert!(plan.devices().0 > MAX_CARDS_PER_NODE * SLOTS_PER_CARD);
    }
}
