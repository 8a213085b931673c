//! What a pod asks for, parsed once: per container a number of cards and a share of each, or whole cards.

use crate::names::{CORE, CORE_PER_CARD, GPU, MAX_CARDS_PER_NODE, MEMORY, WHOLE};

/// A share of one card. Only what [`Share::slice`] takes can exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Share {
    /// Part of a card that others use too.
    Slice {
        /// Percent of its compute, 1 to 100.
        core: u32,
        /// MiB of its memory, at least 1.
        memory_mib: u64,
    },
    /// All of it, alone.
    Whole,
}

impl Share {
    /// The share that has room for either.
    pub fn larger(self, other: Self) -> Self {
        match (self, other) {
            (Self::Slice { core: c1, memory_mib: m1 }, Self::Slice { core: c2, memory_mib: m2 }) => {
                Self::Slice { core: c1.max(c2), memory_mib: m1.max(m2) }
            }
            _ => Self::Whole,
        }
    }
}

/// When a container runs, as Kubernetes counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// An init container that ends before the next one starts: what it held goes to the later ones.
    Init,
    /// A restartable init container: runs from its turn to the pod's end.
    Sidecar,
    /// An ordinary container.
    App,
}

impl Phase {
    /// The phase of an init container with this `restartPolicy` of its own.
    pub fn of_init(restart_policy: Option<&str>) -> Self {
        if restart_policy == Some("Always") { Self::Sidecar } else { Self::Init }
    }
}

/// What one container asks for: `cards` different cards, the same share of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerAsk {
    /// Container name; decisions go by it, never by position.
    pub name: String,
    /// When it runs.
    pub phase: Phase,
    /// Different cards, 1 to [`MAX_CARDS_PER_NODE`].
    pub cards: u32,
    /// Of each.
    pub share: Share,
}

/// What a pod asks for: the containers that ask for cards at all, init containers first, in the pod's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodAsk {
    /// In Kubernetes' order of starting.
    pub containers: Vec<ContainerAsk>,
}

/// Amounts as a container's `resources` name them; `None` for a resource that is not named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts {
    /// [`GPU`].
    pub gpu: Option<u64>,
    /// [`CORE`].
    pub core: Option<u64>,
    /// [`MEMORY`].
    pub memory: Option<u64>,
    /// [`WHOLE`].
    pub whole: Option<u64>,
}

/// A request that no node could ever satisfy: which resource, which value, what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("container {container}: {resource}: {value} is not allowed; allowed: {allowed}")]
pub struct BadAsk {
    /// Container.
    pub container: String,
    /// Resource name.
    pub resource: &'static str,
    /// What came.
    pub value: String,
    /// What would have been taken.
    pub allowed: String,
}

impl Amounts {
    /// What the container with this name asks for; `Ok(None)` if that is no card. A resource with the amount 0 is as one not
    /// named, except memory and compute beside cards, where 0 is a mistake.
    pub fn parse(self, name: &str, phase: Phase) -> Result<Option<ContainerAsk>, BadAsk> {
        let bad = |resource, value: u64, allowed: String| BadAsk {
            container: name.to_owned(),
            resource,
            value: value.to_string(),
            allowed,
        };
        let cards = self.gpu.unwrap_or(0);
        let whole = self.whole.unwrap_or(0);
        let limit = u64::from(MAX_CARDS_PER_NODE);
        if cards == 0 {
            for (resource, value) in [(CORE, self.core), (MEMORY, self.memory)] {
                if let Some(value) = value.filter(|value| *value != 0) {
                    return Err(bad(resource, value, format!("nothing without {GPU}, the number of cards")));
                }
            }
            if whole == 0 {
                return Ok(None);
            }
        }
        for (resource, value) in [(GPU, cards), (WHOLE, whole)] {
            if value > limit {
                return Err(bad(resource, value, format!("at most {limit} cards, which no machine exceeds")));
            }
        }
        if cards > 0 && whole > 0 {
            return Err(bad(
                WHOLE,
                whole,
                format!("nothing beside {GPU}: a container has slices or whole cards"),
            ));
        }
        if whole > 0 {
            let cards = u32::try_from(whole).unwrap_or(MAX_CARDS_PER_NODE);
            return Ok(Some(ContainerAsk { name: name.to_owned(), phase, cards, share: Share::Whole }));
        }
        let core = self.core.unwrap_or(0);
        if !(1..=u64::from(CORE_PER_CARD)).contains(&core) {
            return Err(bad(CORE, core, format!("1 to {CORE_PER_CARD} percent of each card")));
        }
        let memory_mib = self.memory.unwrap_or(0);
        if memory_mib == 0 {
            return Err(bad(MEMORY, memory_mib, "at least 1 MiB of each card".to_owned()));
        }
        let core = u32::try_from(core).unwrap_or(CORE_PER_CARD);
        let cards = u32::try_from(cards).unwrap_or(MAX_CARDS_PER_NODE);
        let share = Share::Slice { core, memory_mib };
        Ok(Some(ContainerAsk { name: name.to_owned(), phase, cards, share }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(gpu: u64, core: u64, memory: u64, whole: u64) -> Result<Option<ContainerAsk>, BadAsk> {
        let some = |n| (n != u64::MAX).then_some(n);
        let amounts = Amounts { gpu: some(gpu), core: some(core), memory: some(memory), whole: some(whole) };
        amounts.parse("c", Phase::App)
    }

    const NONE: u64 = u64::MAX;

    #[test]
    fn the_guides_container_is_two_cards_and_a_share_of_each() {
        let ask = parse(2, 80, 200, NONE).unwrap().unwrap();
        assert_eq!((ask.cards, ask.share), (2, Share::Slice { core: 80, memory_mib: 200 }));
        assert_eq!(parse(NONE, NONE, NONE, 1).unwrap().unwrap().share, Share::Whole);
        assert_eq!(parse(NONE, NONE, NONE, NONE), Ok(None));
        assert_eq!(parse(0, 0, 0, 0), Ok(None));
    }

    #[test]
    fn what_no_node_could_satisfy_is_refused_by_resource_value_and_what_is_allowed() {
        for (amounts, resource, value) in [
            ((1, 101, 200, NONE), CORE, "101"),
            ((1, 0, 200, NONE), CORE, "0"),
            ((1, 50, 0, NONE), MEMORY, "0"),
            ((1, 50, NONE, NONE), MEMORY, "0"),
            ((NONE, 50, 200, NONE), CORE, "50"),
            ((NONE, NONE, 200, NONE), MEMORY, "200"),
            ((17, 50, 200, NONE), GPU, "17"),
            ((NONE, NONE, NONE, 17), WHOLE, "17"),
            ((1, 50, 200, 1), WHOLE, "1"),
        ] {
            let (gpu, core, memory, whole) = amounts;
            let error = parse(gpu, core, memory, whole).unwrap_err();
            assert_eq!((error.resource, error.value.as_str()), (resource, value), "{error}");
            assert!(error.to_string().contains("allowed: "), "{error}");
        }
    }
}
