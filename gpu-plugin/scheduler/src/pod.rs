//! A Kubernetes pod as what it asks of cards. Whatever else the pod holds is nobody's business here.

use std::collections::BTreeMap;

use ideal_gpu::ask::{Phase, PodAsk};
use ideal_gpu::names::DECISION;
use ideal_gpu::plan::Plan;
use ideal_gpu::pod::{ContainerSpec, PodRequest, PodSpecError, Policies, Quantities};
use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// What a pod asks for, with all that follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub(crate) ask: PodAsk,
    pub(crate) plan: Plan,
    pub(crate) policies: Policies,
}

impl Request {
    /// Reads a pod; `Ok(None)` if it does not ask for cards.
    pub fn of(pod: &Pod) -> Result<Option<Self>, PodSpecError> {
        let Some(PodRequest { ask, policies }) = read(pod)? else { return Ok(None) };
        Ok(Some(Self { plan: Plan::of(&ask), ask, policies: policies? }))
    }

    /// Reads a pod that may hold cards already: policies that cannot be read are as none.
    pub(crate) fn of_known(pod: &Pod) -> Result<Option<Self>, PodSpecError> {
        let Some(PodRequest { ask, policies }) = read(pod)? else { return Ok(None) };
        Ok(Some(Self { plan: Plan::of(&ask), ask, policies: policies.unwrap_or_default() }))
    }

    /// What it asks for.
    pub fn ask(&self) -> &PodAsk {
        &self.ask
    }
}

fn read(pod: &Pod) -> Result<Option<PodRequest>, PodSpecError> {
    PodRequest::parse(containers(pod), pod.metadata.annotations.as_ref())
}

/// The policies that the pod's annotations name.
pub(crate) fn policies(pod: &Pod) -> Result<Policies, PodSpecError> {
    Policies::parse(pod.metadata.annotations.as_ref())
}

/// The text of the decision that the pod carries, true or forged.
pub(crate) fn decision(pod: &Pod) -> Option<&str> {
    pod.metadata.annotations.as_ref()?.get(DECISION).map(String::as_str)
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

/// Every container, in the kubelet's order.
fn containers(pod: &Pod) -> impl Iterator<Item = ContainerSpec<'_>> {
    let spec = pod.spec.as_ref();
    let init = spec.and_then(|spec| spec.init_containers.as_ref()).into_iter().flatten();
    let apps = spec.map(|spec| &spec.containers).into_iter().flatten();
    let phase = |container: &Container| Phase::of_init(container.restart_policy.as_deref());
    let init = init.map(move |container| (container, phase(container)));
    init.chain(apps.map(|app| (app, Phase::App))).map(|(container, phase)| {
        ContainerSpec::new(&container.name, phase, |resource| quantities(container, resource))
    })
}

/// Devices that the kubelet will hand to a pod whose request cannot be read as a whole: at most those it names.
pub(crate) fn devices_named(pod: &Pod) -> (u32, u32) {
    let (mut slots, mut whole) = (0_u64, 0_u64);
    for (container_slots, container_whole) in containers(pod).map(|container| container.device_limits()) {
        slots = slots.saturating_add(container_slots);
        whole = whole.saturating_add(container_whole);
    }
    let count = |sum| u32::try_from(sum).unwrap_or(u32::MAX / 2);
    (count(slots), count(whole))
}

/// Whether any container names one of our resources, whatever the amount.
pub(crate) fn names_ours(pod: &Pod) -> bool {
    containers(pod).any(|container| container.names_ours())
}

/// What a container names for a resource.
pub(crate) fn quantities<'a>(container: &'a Container, resource: &str) -> Quantities<'a> {
    let resources = container.resources.as_ref();
    let get = |map: Option<&'a BTreeMap<String, Quantity>>| Some(map?.get(resource)?.0.as_str());
    Quantities {
        limit: get(resources.and_then(|resources| resources.limits.as_ref())),
        request: get(resources.and_then(|resources| resources.requests.as_ref())),
    }
}

#[cfg(test)]
mod tests;
