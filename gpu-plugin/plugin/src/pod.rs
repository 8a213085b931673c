//! What of a pod matters on its node. The rest of the object is dropped while it is read.

use std::collections::{BTreeMap, BTreeSet};

use ideal_gpu::ask::{Amounts, BadAsk, ContainerAsk, Phase, PodAsk};
use ideal_gpu::names::{CORE, GPU, MEMORY, WHOLE};
use ideal_gpu::place::Policy;
use ideal_gpu::quantity;
use serde::Deserialize;

/// A pod as the API server sends it.
#[derive(Debug, Clone, Deserialize)]
pub struct Wire {
    pub(crate) metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) uid: String,
    pub(crate) resource_version: String,
    creation_timestamp: String,
    annotations: Option<Annotations>,
}

/// The names are those of `ideal_gpu::names`; a test compares them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Annotations {
    #[serde(rename = "ideal.com/decision")]
    decision: Option<String>,
    #[serde(rename = "ideal.com/card-policy")]
    card_policy: Option<String>,
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
    limits: Option<BTreeMap<String, serde_json::Value>>,
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
    pub(crate) card_policy: Option<Policy>,
    /// Its containers have ended for good.
    pub(crate) finished: bool,
    /// Init containers that have ended well.
    pub(crate) init_done: BTreeSet<String>,
}

impl Wire {
    /// What the pod asks for.
    pub fn ask(&self) -> Result<PodAsk, BadAsk> {
        self.spec.ask()
    }

    /// The pod, if it asks for cards.
    pub(crate) fn read(self) -> Result<Option<Pod>, BadAsk> {
        let ask = self.ask()?;
        if ask.containers.is_empty() {
            return Ok(None);
        }
        let annotations = self.metadata.annotations.unwrap_or_default();
        let done =
            |status: &ContainerStatus| status.state.terminated.as_ref().is_some_and(|t| t.exit_code == 0);
        let init_done =
            self.status.init_container_statuses.into_iter().filter(done).map(|status| status.name);
        Ok(Some(Pod {
            uid: self.metadata.uid,
            namespace: self.metadata.namespace,
            name: self.metadata.name,
            created: self.metadata.creation_timestamp,
            ask,
            decision: annotations.decision,
            card_policy: annotations.card_policy.as_deref().and_then(Policy::parse),
            finished: matches!(self.status.phase.as_deref(), Some("Succeeded" | "Failed")),
            init_done: init_done.collect(),
        }))
    }
}

impl Spec {
    fn ask(&self) -> Result<PodAsk, BadAsk> {
        let phase = |container: &Container| Phase::of_init(container.restart_policy.as_deref());
        let init = self.init_containers.iter().map(|container| (container, phase(container)));
        let all = init.chain(self.containers.iter().map(|container| (container, Phase::App)));
        let mut containers = Vec::new();
        for (container, phase) in all {
            containers.extend(ContainerAsk::parse(&container.name, phase, container.amounts())?);
        }
        Ok(PodAsk { containers })
    }
}

impl Container {
    /// The API server takes extended resources only with a limit, and as whole numbers.
    fn amounts(&self) -> Amounts {
        let amount = |name: &str| match self.resources.limits.as_ref()?.get(name)? {
            serde_json::Value::String(text) => quantity::whole(text),
            other => other.as_u64(),
        };
        Amounts { gpu: amount(GPU), core: amount(CORE), memory: amount(MEMORY), whole: amount(WHOLE) }
    }
}

#[cfg(test)]
mod tests {
    use ideal_gpu::ask::Share;
    use ideal_gpu::names::{CARD_POLICY, DECISION};
    use serde_json::json;

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
        let read = serde_json::from_value::<Wire>(pod).unwrap().read().unwrap().unwrap();
        let asks: Vec<_> = read.ask.containers.iter().map(|c| (c.name.as_str(), c.phase, c.share)).collect();
        let slice = |core| Share::Slice { core, memory_mib: 40_000 };
        let wanted = [
            ("i", Phase::Init, slice(10)),
            ("s", Phase::Sidecar, slice(20)),
            ("w", Phase::App, Share::Whole),
        ];
        assert_eq!(asks, wanted);
        assert_eq!((read.decision.as_deref(), read.card_policy), (Some("d"), Some(Policy::Spread)));
        assert!(!read.finished);
        assert_eq!(read.init_done, ["i".to_owned()].into());
        let other = json!({"metadata": {"name": "q", "uid": "u2"}, "spec": {"containers": [{"name": "c"}]}});
        assert_eq!(serde_json::from_value::<Wire>(other).unwrap().read().unwrap(), None);
    }
}
