//! A Kubernetes pod as what it asks of cards. Whatever else the pod holds is nobody's business here.

use std::collections::BTreeMap;

use ideal_gpu::ask::{Amounts, BadAsk, ContainerAsk, Phase, PodAsk};
use ideal_gpu::names::{CARD_POLICY, CORE, DECISION, GPU, MEMORY, NODE_POLICY, WHOLE};
use ideal_gpu::place::Policy;
use ideal_gpu::plan::Plan;
use ideal_gpu::quantity;
use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Our resources.
pub(crate) const RESOURCES: [&str; 4] = [GPU, CORE, MEMORY, WHOLE];

/// Why a pod's request is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPod {
    /// The amounts together.
    #[error(transparent)]
    Ask(#[from] BadAsk),
    /// One amount's form.
    #[error("container {container}: {resource}: {value} is not allowed; allowed: a whole number")]
    Quantity {
        /// Container.
        container: String,
        /// Resource.
        resource: &'static str,
        /// What came.
        value: String,
    },
    /// The API server wants them equal, and so do we.
    #[error(
        "container {container}: {resource}: a request of {request} beside a limit of {limit} is not allowed; allowed: both the same, or the limit alone"
    )]
    Differ {
        /// Container.
        container: String,
        /// Resource.
        resource: &'static str,
        /// What came.
        request: String,
        /// Beside it.
        limit: String,
    },
    /// A policy's name.
    #[error("annotation {annotation}: {value:?} is not allowed; allowed: binpack, spread")]
    Policy {
        /// Its name.
        annotation: &'static str,
        /// What came.
        value: String,
    },
}

/// What a pod asks for, with all that follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub(crate) ask: PodAsk,
    pub(crate) plan: Plan,
    pub(crate) policies: Policies,
}

/// Where the pod should go among what is possible; `None`: as the program's flags say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Policies {
    pub(crate) node: Option<Policy>,
    pub(crate) card: Option<Policy>,
}

impl Request {
    /// Reads a pod; `Ok(None)` if it does not ask for cards.
    pub fn of(pod: &Pod) -> Result<Option<Self>, BadPod> {
        let ask = ask(pod)?;
        if ask.containers.is_empty() {
            return Ok(None);
        }
        let plan = Plan::of(&ask);
        Ok(Some(Self { ask, plan, policies: policies(pod)? }))
    }

    /// What it asks for.
    pub fn ask(&self) -> &PodAsk {
        &self.ask
    }
}

/// The policies that the pod's annotations name.
pub(crate) fn policies(pod: &Pod) -> Result<Policies, BadPod> {
    let policy = |annotation: &'static str| match annotation_of(pod, annotation) {
        None => Ok(None),
        Some(value) => match Policy::parse(value) {
            Some(policy) => Ok(Some(policy)),
            None => Err(BadPod::Policy { annotation, value: value.to_owned() }),
        },
    };
    Ok(Policies { node: policy(NODE_POLICY)?, card: policy(CARD_POLICY)? })
}

/// The text of the decision that the pod carries, true or forged.
pub(crate) fn decision(pod: &Pod) -> Option<&str> {
    annotation_of(pod, DECISION)
}

fn annotation_of<'a>(pod: &'a Pod, name: &str) -> Option<&'a str> {
    pod.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

/// Whether the pod has ended for good: its containers' cards are free then, though it may stay for its logs.
pub(crate) fn finished(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// The node that the pod is bound to.
pub(crate) fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

/// Every container with its phase, in the kubelet's order.
pub(crate) fn containers(pod: &Pod) -> impl Iterator<Item = (&Container, Phase)> {
    let spec = pod.spec.as_ref();
    let init = spec.and_then(|spec| spec.init_containers.as_ref()).into_iter().flatten();
    let apps = spec.map(|spec| &spec.containers).into_iter().flatten();
    let phase = |container: &Container| Phase::of_init(container.restart_policy.as_deref());
    init.map(move |container| (container, phase(container))).chain(apps.map(|app| (app, Phase::App)))
}

/// What the containers ask for.
pub(crate) fn ask(pod: &Pod) -> Result<PodAsk, BadPod> {
    let mut asks = Vec::new();
    for (container, phase) in containers(pod) {
        asks.extend(ContainerAsk::parse(&container.name, phase, amounts(container)?)?);
    }
    Ok(PodAsk { containers: asks })
}

/// Devices that the kubelet will hand to a pod whose request cannot be read as a whole: at most those it names.
pub(crate) fn devices_named(pod: &Pod) -> (u32, u32) {
    let of = |resource: &str| {
        let named = containers(pod).filter_map(|(container, _)| named(container, resource).0);
        let sum = named.filter_map(|amount| quantity::whole(&amount.0)).fold(0_u64, u64::saturating_add);
        u32::try_from(sum).unwrap_or(u32::MAX / 2)
    };
    (of(GPU), of(WHOLE))
}

/// Whether any container names one of our resources, whatever the amount.
pub(crate) fn names_ours(pod: &Pod) -> bool {
    containers(pod).any(|(container, _)| {
        RESOURCES.iter().any(|resource| {
            let (limit, request) = named(container, resource);
            limit.or(request).is_some()
        })
    })
}

/// A resource's limit and request.
pub(crate) fn named<'a>(
    container: &'a Container,
    resource: &str,
) -> (Option<&'a Quantity>, Option<&'a Quantity>) {
    let resources = container.resources.as_ref();
    let get = |map: Option<&'a BTreeMap<String, Quantity>>| map.and_then(|map| map.get(resource));
    (get(resources.and_then(|r| r.limits.as_ref())), get(resources.and_then(|r| r.requests.as_ref())))
}

/// A container's amounts. The API server takes extended resources only with request and limit alike, or the limit alone.
pub(crate) fn amounts(container: &Container) -> Result<Amounts, BadPod> {
    let amount = |resource: &'static str| {
        let read = |quantity: &Quantity| {
            quantity::whole(&quantity.0).ok_or_else(|| BadPod::Quantity {
                container: container.name.clone(),
                resource,
                value: quantity.0.clone(),
            })
        };
        let (limit, request) = named(container, resource);
        let (limit, request) = (limit.map(read).transpose()?, request.map(read).transpose()?);
        if let Some(request) = request.filter(|request| Some(*request) != limit) {
            return Err(BadPod::Differ {
                container: container.name.clone(),
                resource,
                request: request.to_string(),
                limit: limit.map_or_else(|| "nothing".to_owned(), |limit| limit.to_string()),
            });
        }
        Ok(limit)
    };
    Ok(Amounts { gpu: amount(GPU)?, core: amount(CORE)?, memory: amount(MEMORY)?, whole: amount(WHOLE)? })
}

#[cfg(test)]
mod tests;
