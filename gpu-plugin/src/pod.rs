//! What a pod asks of cards, read from its containers' limits and requests and from its annotations: once, so that the
//! scheduler and the node read the same, and each says the same of a pod that cannot be read.

use std::collections::BTreeMap;

use crate::ask::{Amounts, BadAsk, ContainerAsk, Phase, PodAsk};
use crate::names::{CARD_POLICY, CORE, GPU, MEMORY, NODE_POLICY, WHOLE};
use crate::place::Policy;
use crate::quantity;

/// Why a pod's request cannot be read, or could be satisfied by no node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PodSpecError {
    /// The amounts together.
    #[error(transparent)]
    Ask(#[from] BadAsk),
    /// One amount's form.
    #[error("container {container}: {resource}: {value} is not allowed; allowed: a whole number")]
    Quantity {
        /// Container name.
        container: String,
        /// Resource name.
        resource: &'static str,
        /// The text that came.
        value: String,
    },
    /// The API server wants them equal, and so do we.
    #[error(
        "container {container}: {resource}: a request of {request} beside a limit of {limit} is not allowed; allowed: both the same, or the limit alone"
    )]
    Differ {
        /// Container name.
        container: String,
        /// Resource name.
        resource: &'static str,
        /// The request, as a whole number.
        request: String,
        /// The limit, as a whole number, or `nothing`.
        limit: String,
    },
    /// A policy's name.
    #[error("annotation {annotation}: {value:?} is not allowed; allowed: binpack, spread")]
    Policy {
        /// Annotation name.
        annotation: &'static str,
        /// The text that came.
        value: String,
    },
}

/// The quantities that a container names for one resource, as text; `None` where it names none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quantities<'a> {
    /// Under `resources.limits`.
    pub limit: Option<&'a str>,
    /// Under `resources.requests`.
    pub request: Option<&'a str>,
}

/// A container of a pod, as far as cards are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSpec<'a> {
    name: &'a str,
    phase: Phase,
    gpu: Quantities<'a>,
    core: Quantities<'a>,
    memory: Quantities<'a>,
    whole: Quantities<'a>,
}

impl<'a> ContainerSpec<'a> {
    /// The container `name`; `named` gives what it names for a resource.
    pub fn new(name: &'a str, phase: Phase, named: impl Fn(&'static str) -> Quantities<'a>) -> Self {
        Self { name, phase, gpu: named(GPU), core: named(CORE), memory: named(MEMORY), whole: named(WHOLE) }
    }

    /// Whether it names one of our resources, whatever the amount.
    pub fn names_ours(&self) -> bool {
        [self.gpu, self.core, self.memory, self.whole] != [Quantities::default(); 4]
    }

    /// Limits of slots of slices and of whole cards, each 0 if it is not named or cannot be read: what the kubelet will hand to
    /// the container even if its request cannot be read as a whole.
    pub fn device_limits(&self) -> (u64, u64) {
        let amount = |named: Quantities<'_>| named.limit.and_then(quantity::whole).unwrap_or(0);
        (amount(self.gpu), amount(self.whole))
    }

    /// What it asks for; `Ok(None)` if that is no card.
    fn ask(&self) -> Result<Option<ContainerAsk>, PodSpecError> {
        let amounts = Amounts {
            gpu: self.amount(GPU, self.gpu)?,
            core: self.amount(CORE, self.core)?,
            memory: self.amount(MEMORY, self.memory)?,
            whole: self.amount(WHOLE, self.whole)?,
        };
        Ok(amounts.parse(self.name, self.phase)?)
    }

    /// A resource's amount. The API server takes extended resources only with request and limit alike, or the limit alone.
    fn amount(&self, resource: &'static str, named: Quantities<'_>) -> Result<Option<u64>, PodSpecError> {
        let read = |text: &str| {
            quantity::whole(text).ok_or_else(|| PodSpecError::Quantity {
                container: self.name.to_owned(),
                resource,
                value: text.to_owned(),
            })
        };
        let (limit, request) = (named.limit.map(read).transpose()?, named.request.map(read).transpose()?);
        match request {
            Some(request) if Some(request) != limit => Err(PodSpecError::Differ {
                container: self.name.to_owned(),
                resource,
                request: request.to_string(),
                limit: limit.map_or_else(|| "nothing".to_owned(), |limit| limit.to_string()),
            }),
            _ => Ok(limit),
        }
    }
}

/// Where a pod should go among what is possible; `None`: as the program's flags say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policies {
    /// Over nodes.
    pub node: Option<Policy>,
    /// Over the cards of a node.
    pub card: Option<Policy>,
}

impl Policies {
    /// The policies that a pod's annotations name.
    pub fn parse(annotations: Option<&BTreeMap<String, String>>) -> Result<Self, PodSpecError> {
        let policy = |annotation: &'static str| match annotations.and_then(|all| all.get(annotation)) {
            None => Ok(None),
            Some(value) => match Policy::parse(value) {
                Some(policy) => Ok(Some(policy)),
                None => Err(PodSpecError::Policy { annotation, value: value.clone() }),
            },
        };
        Ok(Self { node: policy(NODE_POLICY)?, card: policy(CARD_POLICY)? })
    }
}

/// What a pod asks for. Its policies are read apart from that: a pod that holds cards holds them whatever is written into its
/// annotations later, and whoever chooses cards for it needs policies that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodRequest {
    /// Its containers that ask for cards: one at least.
    pub ask: PodAsk,
    /// By its annotations.
    pub policies: Result<Policies, PodSpecError>,
}

impl PodRequest {
    /// Reads a pod by its containers, in the kubelet's order, and its annotations; `Ok(None)` if it asks for no cards.
    pub fn parse<'a>(
        containers: impl Iterator<Item = ContainerSpec<'a>>,
        annotations: Option<&BTreeMap<String, String>>,
    ) -> Result<Option<Self>, PodSpecError> {
        let mut asks = Vec::new();
        for container in containers {
            asks.extend(container.ask()?);
        }
        if asks.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { ask: PodAsk { containers: asks }, policies: Policies::parse(annotations) }))
    }
}

#[cfg(test)]
mod tests;
