//! A pod, as far as the kubelet's devices are concerned.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// When a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An init container: ends before the next one starts.
    Init,
    /// An init container with `restartPolicy: Always`: runs to the pod's end.
    Sidecar,
    /// An ordinary container.
    App,
}

/// A container and the extended resources that it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Name.
    pub name: String,
    /// When it runs.
    pub kind: Kind,
    /// `resources.limits`, extended resources only.
    pub limits: BTreeMap<String, u64>,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// UID.
    pub uid: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Init containers first, each kind in the pod's order.
    pub containers: Vec<Container>,
}

impl Pod {
    /// Reads a pod as the API server gives it; `None` if it is none.
    pub fn read(pod: &Value) -> Option<Self> {
        let text = |at: &str| pod.pointer(at).and_then(Value::as_str).map(str::to_owned);
        let list = |at: &str| pod.pointer(at).and_then(Value::as_array).cloned().unwrap_or_default();
        let init = list("/spec/initContainers").into_iter().map(|container| {
            let sidecar = container["restartPolicy"] == "Always";
            (if sidecar { Kind::Sidecar } else { Kind::Init }, container)
        });
        let apps = list("/spec/containers").into_iter().map(|container| (Kind::App, container));
        let containers = init.chain(apps).filter_map(|(kind, container)| read_container(kind, &container));
        Some(Self {
            uid: text("/metadata/uid")?,
            namespace: text("/metadata/namespace")?,
            name: text("/metadata/name")?,
            containers: containers.collect(),
        })
    }

    /// What the pod asks for of a resource, as the kubelet's and the scheduler's `PodRequests` add it up: the most that it
    /// needs at any one time. (staging/src/k8s.io/component-helpers/resource/helpers.go)
    pub fn request(&self, resource: &str) -> u64 {
        let (mut running, mut starting, mut sidecars) = (0, 0, 0);
        for container in &self.containers {
            let amount = container.limits.get(resource).copied().unwrap_or(0);
            match container.kind {
                Kind::App => running += amount,
                Kind::Sidecar => {
                    running += amount;
                    sidecars += amount;
                    starting = starting.max(sidecars);
                }
                Kind::Init => starting = starting.max(sidecars + amount),
            }
        }
        running.max(starting)
    }

    /// The resources that any container asks for.
    pub fn resources(&self) -> BTreeSet<&str> {
        self.containers.iter().flat_map(|container| container.limits.keys().map(String::as_str)).collect()
    }

    /// A container by its name.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }
}

fn read_container(kind: Kind, container: &Value) -> Option<Container> {
    let limits =
        container.pointer("/resources/limits").and_then(Value::as_object).cloned().unwrap_or_default();
    let amount = |value: Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    // Names with a slash are the extended ones; cpu and memory do not concern devices.
    let limits = limits.into_iter().filter(|(name, _)| name.contains('/'));
    let limits = limits.filter_map(|(name, value)| Some((name, amount(value)?))).collect();
    Some(Container { name: container["name"].as_str()?.to_owned(), kind, limits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_asks_for_the_most_that_it_needs_at_one_time() {
        let container = |kind, n| Container { name: "c".into(), kind, limits: [("a/b".into(), n)].into() };
        let request = |containers: &[(Kind, u64)]| {
            let containers = containers.iter().map(|(kind, n)| container(*kind, *n)).collect();
            Pod { uid: String::new(), namespace: String::new(), name: String::new(), containers }
                .request("a/b")
        };
        assert_eq!(request(&[(Kind::Init, 3), (Kind::App, 1), (Kind::App, 1)]), 3);
        assert_eq!(request(&[(Kind::Init, 3), (Kind::App, 2), (Kind::App, 2)]), 4);
        assert_eq!(request(&[(Kind::Sidecar, 1), (Kind::Init, 3), (Kind::App, 2)]), 4);
        // A sidecar that starts later does not run beside the init container.
        assert_eq!(request(&[(Kind::Init, 3), (Kind::Sidecar, 1), (Kind::App, 1)]), 3);
    }

    #[test]
    fn a_pod_is_read_as_the_api_server_gives_it() {
        let pod = serde_json::json!({"metadata": {"uid": "u", "namespace": "n", "name": "p"}, "spec": {
            "initContainers": [
                {"name": "s", "restartPolicy": "Always", "resources": {"limits": {"a/b": "2", "cpu": "1"}}},
                {"name": "i"}],
            "containers": [{"name": "c", "resources": {"limits": {"a/b": 1}}}]}});
        let pod = Pod::read(&pod).unwrap();
        let kinds: Vec<(&str, Kind)> = pod.containers.iter().map(|c| (c.name.as_str(), c.kind)).collect();
        assert_eq!(kinds, [("s", Kind::Sidecar), ("i", Kind::Init), ("c", Kind::App)]);
        assert_eq!(pod.containers[0].limits, [("a/b".to_owned(), 2)].into());
        assert_eq!(pod.request("a/b"), 3);
    }
}
