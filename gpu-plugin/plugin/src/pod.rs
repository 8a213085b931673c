//! What of a pod matters on its node. The rest of the object is dropped while it is read.

use std::collections::{BTreeMap, BTreeSet};

use ideal_gpu::ask::{Phase, PodAsk};
use ideal_gpu::names::DECISION;
use ideal_gpu::pod::{ContainerSpec, PodRequest, PodSpecError, Policies, Quantities};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use crate::object_meta;

/// A pod as the API server sends it.
#[derive(Debug, Clone, Deserialize)]
pub struct ApiPod {
    #[serde(deserialize_with = "object_meta::slim")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    init_containers: Vec<Container>,
    containers: Vec<Container>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    name: String,
    restart_policy: Option<String>,
    resources: Resources,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Resources {
    limits: Option<BTreeMap<String, Quantity>>,
    requests: Option<BTreeMap<String, Quantity>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: Option<String>,
    init_container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct ContainerStatus {
    name: String,
    state: State,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct State {
    terminated: Option<Terminated>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Terminated {
    exit_code: i32,
}

/// A pod that asks for cards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) uid: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// RFC 3339 in UTC, so that text order is time order.
    pub(crate) created: String,
    pub(crate) ask: PodAsk,
    /// The annotation, true or forged.
    pub(crate) decision: Option<String>,
    /// Where the node should put it if nobody else has decided; an error where the scheduler would have refused the pod.
    pub(crate) policies: Result<Policies, PodSpecError>,
    /// Its containers have ended for good.
    pub(crate) finished: bool,
    /// Init containers that have ended well.
    pub(crate) init_done: BTreeSet<String>,
}

object_meta::read_in_place_of!(ApiPod, k8s_openapi::api::core::v1::Pod);

impl ApiPod {
    /// What the pod asks for; `Ok(None)` if that is no card.
    pub fn request(&self) -> Result<Option<PodRequest>, PodSpecError> {
        PodRequest::parse(self.spec.containers(), self.metadata.annotations.as_ref())
    }

    /// The pod, if it asks for cards.
    pub(crate) fn read(self) -> Result<Option<Pod>, PodSpecError> {
        let Some(PodRequest { ask, policies }) = self.request()? else { return Ok(None) };
        let done =
            |status: &ContainerStatus| status.state.terminated.as_ref().is_some_and(|t| t.exit_code == 0);
        let init_done =
            self.status.init_container_statuses.into_iter().filter(done).map(|status| status.name);
        Ok(Some(Pod {
            uid: self.metadata.uid.unwrap_or_default(),
            namespace: self.metadata.namespace.unwrap_or_default(),
            name: self.metadata.name.unwrap_or_default(),
            created: self.metadata.creation_timestamp.map(|time| time.0.to_string()).unwrap_or_default(),
            ask,
            decision: self.metadata.annotations.and_then(|mut annotations| annotations.remove(DECISION)),
            policies,
            finished: matches!(self.status.phase.as_deref(), Some("Succeeded" | "Failed")),
            init_done: init_done.collect(),
        }))
    }
}

impl Spec {
    /// Every container, in the kubelet's order.
    fn containers(&self) -> impl Iterator<Item = ContainerSpec<'_>> {
        let phase = |container: &Container| Phase::of_init(container.restart_policy.as_deref());
        let init = self.init_containers.iter().map(move |container| (container, phase(container)));
        let all = init.chain(self.containers.iter().map(|container| (container, Phase::App)));
        all.map(|(container, phase)| {
            ContainerSpec::new(&container.name, phase, |resource| container.quantities(resource))
        })
    }
}

impl Container {
    fn quantities<'a>(&'a self, resource: &str) -> Quantities<'a> {
        let get = |map: Option<&'a BTreeMap<String, Quantity>>| Some(map?.get(resource)?.0.as_str());
        Quantities {
            limit: get(self.resources.limits.as_ref()),
            request: get(self.resources.requests.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use ideal_gpu::ask::Share;
    use ideal_gpu::names::{CARD_POLICY, CORE, GPU, MEMORY, WHOLE};
    use ideal_gpu::place::Policy;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_matters_of_a_pod_is_read() {
        let limits = |core: u32| json!({GPU: "1", CORE: core.to_string(), MEMORY: "40k", "cpu": "100m"});
        let pod = json!({
            "metadata": {"name": "p", "namespace": "ns", "uid": "u1", "creationTimestamp": "2026-01-01T00:00:00Z",
                "annotations": {DECISION: "d", CARD_POLICY: "spread", "other": "x"}},
            "spec": {
                "initContainers": [
                    {"name": "i", "resources": {"limits": limits(10)}},
                    {"name": "s", "restartPolicy": "Always", "resources": {"limits": limits(20)}}],
                "containers": [{"name": "plain"}, {"name": "w", "resources": {"limits": {WHOLE: "2"}}}]},
            "status": {"phase": "Running", "initContainerStatuses": [
                {"name": "i", "state": {"terminated": {"exitCode": 0}}},
                {"name": "s", "state": {"running": {}}}]}});
        let read = serde_json::from_value::<ApiPod>(pod).unwrap().read().unwrap().unwrap();
        let asks: Vec<_> = read.ask.containers.iter().map(|c| (c.name.as_str(), c.phase, c.share)).collect();
        let slice = |core| Share::Slice { core, memory_mib: 40_000 };
        let wanted = [
            ("i", Phase::Init, slice(10)),
            ("s", Phase::Sidecar, slice(20)),
            ("w", Phase::App, Share::Whole),
        ];
        assert_eq!(asks, wanted);
        assert_eq!((read.decision.as_deref(), read.created.as_str()), (Some("d"), "2026-01-01T00:00:00Z"));
        assert_eq!(read.policies, Ok(Policies { node: None, card: Some(Policy::Spread) }));
        assert!(!read.finished);
        assert_eq!(read.init_done, ["i".to_owned()].into());
        let other = json!({"metadata": {"name": "q", "uid": "u2"}, "spec": {"containers": [{"name": "c"}]}});
        assert_eq!(serde_json::from_value::<ApiPod>(other).unwrap().read().unwrap(), None);
    }
    fn read(annotations: Value, resources: Value) -> Result<Option<Pod>, PodSpecError> {
        let pod = json!({
            "metadata": {"name": "p", "uid": "u1", "annotations": annotations},
            "spec": {"containers": [{"name": "c", "resources": resources}]}});
        serde_json::from_value::<ApiPod>(pod).unwrap().read()
    }

    #[test]
    fn a_pod_that_the_scheduler_would_refuse_asks_for_nothing_here_and_says_why() {
        let limits = json!({GPU: "1", CORE: "10", MEMORY: "5"});
        let unreadable = read(json!({}), json!({"limits": {GPU: "one", CORE: "10", MEMORY: "5"}}));
        let quantity = PodSpecError::Quantity { container: "c".into(), resource: GPU, value: "one".into() };
        assert_eq!(unreadable, Err(quantity));
        let differs = read(json!({}), json!({"limits": limits, "requests": {GPU: "2"}}));
        assert!(matches!(differs, Err(PodSpecError::Differ { resource: GPU, .. })), "{differs:?}");
        let numbers = read(json!({}), json!({"limits": {GPU: 1, CORE: 10, MEMORY: 5}, "requests": limits}));
        assert_eq!(numbers.unwrap().unwrap().ask.containers.len(), 1);
    }

    #[test]
    fn a_pod_whose_policy_cannot_be_read_is_a_pod_with_cards_all_the_same() {
        let limits = json!({"limits": {GPU: "1", CORE: "10", MEMORY: "5"}});
        let pod = read(json!({CARD_POLICY: "random"}), limits).unwrap().unwrap();
        assert_eq!(pod.ask.containers.len(), 1);
        let wanted = PodSpecError::Policy { annotation: CARD_POLICY, value: "random".into() };
        assert_eq!(pod.policies, Err(wanted));
    }
}
