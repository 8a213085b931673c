//! Rules of pods and of their containers.

use serde_json::{Value, json};

use super::objects::{deployments, elements, name, names, pod, workloads};

/// Node halves: they mount, or open any card. A privileged container runs without seccomp whatever its pod says, and has every
/// capability.
const NODE_HALVES: [&str; 2] = ["eck-csi-node", "ideal-gpu-plugin"];

struct Container<'a> {
    workload: &'a Value,
    value: &'a Value,
}

impl Container<'_> {
    fn is_privileged(&self) -> bool {
        self.value["securityContext"]["privileged"] == true
    }

    /// Whether it is privileged, and may be.
    fn is_open(&self) -> bool {
        self.is_privileged() && NODE_HALVES.iter().any(|half| self.workload["metadata"]["name"] == *half)
    }

    fn at(&self) -> String {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        format!("{}/{}", text(&self.workload["metadata"]["name"]), text(&self.value["name"]))
    }
}

fn containers(objects: &[Value]) -> impl Iterator<Item = Container<'_>> {
    let of =
        |workload| elements(&pod(workload)["containers"]).map(move |value| Container { workload, value });
    workloads(objects).flat_map(of)
}

fn those(objects: &[Value], are_wrong: impl Fn(&Container<'_>) -> bool) -> Vec<String> {
    containers(objects).filter(are_wrong).map(|container| container.at()).collect()
}

pub(super) fn of_other_kinds(objects: &[Value]) -> Vec<String> {
    let mut kinds: Vec<&Value> = workloads(objects).map(|workload| &workload["kind"]).collect();
    kinds.sort_by_key(|kind| kind.to_string());
    if kinds == [&json!("DaemonSet"), &json!("Deployment")] {
        Vec::new()
    } else {
        vec!["one is missing".to_owned()]
    }
}

pub(super) fn privileged(objects: &[Value]) -> Vec<String> {
    those(objects, |container| container.is_privileged() && !container.is_open())
}

pub(super) fn writes_into_image(objects: &[Value]) -> Vec<String> {
    those(objects, |container| container.value["securityContext"]["readOnlyRootFilesystem"] != true)
}

pub(super) fn without_seccomp(objects: &[Value]) -> Vec<String> {
    those(objects, |container| {
        let own = &container.value["securityContext"]["seccompProfile"];
        let of_pod = &pod(container.workload)["securityContext"]["seccompProfile"];
        let profile = if own.is_null() { of_pod } else { own };
        !container.is_open() && profile["type"] != "RuntimeDefault"
    })
}

pub(super) fn with_capabilities(objects: &[Value]) -> Vec<String> {
    those(objects, |container| {
        let context = &container.value["securityContext"];
        let is_locked = context["capabilities"] == json!({"drop": ["ALL"]})
            && context["allowPrivilegeEscalation"] == false
            && context["runAsNonRoot"] == true;
        !container.is_open() && !is_locked
    })
}

pub(super) fn without_resources(objects: &[Value]) -> Vec<String> {
    those(objects, |container| {
        let resources = &container.value["resources"];
        [&resources["requests"]["cpu"], &resources["requests"]["memory"], &resources["limits"]["memory"]]
            .iter()
            .any(|resource| resource.is_null())
    })
}

pub(super) fn shares_host(objects: &[Value]) -> Vec<String> {
    const SHARED: [&str; 3] = ["hostPID", "hostIPC", "hostNetwork"];
    names(workloads(objects).filter(|workload| SHARED.iter().any(|field| pod(workload)[field] == true)))
}

pub(super) fn mounts_host(objects: &[Value]) -> Vec<String> {
    let of_host = |volume: &Value| !volume["hostPath"].is_null();
    names(deployments(objects).filter(|workload| elements(&pod(workload)["volumes"]).any(of_host)))
}

pub(super) fn evicted(objects: &[Value]) -> Vec<String> {
    let class = |workload: &Value| match workload["kind"].as_str() {
        Some("Deployment") => "system-cluster-critical",
        _ => "system-node-critical",
    };
    names(workloads(objects).filter(|workload| pod(workload)["priorityClassName"] != class(workload)))
}

/// Also where the node is cut off (node.kubernetes.io/unreachable), which on an edge node is no reason to go.
pub(super) fn tolerates_little(objects: &[Value]) -> Vec<String> {
    let everything = json!({"operator": "Exists"});
    let tolerates = |workload: &Value| elements(&pod(workload)["tolerations"]).any(|one| *one == everything);
    names(workloads(objects).filter(|workload| workload["kind"] == "DaemonSet" && !tolerates(workload)))
}

pub(super) fn on_edge_nodes(objects: &[Value]) -> Vec<String> {
    let wanted = json!([{"key": "openyurt.io/is-edge-worker", "operator": "NotIn", "values": ["true"]}]);
    let prefers = |workload: &Value| {
        let preferred =
            &pod(workload)["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"];
        let terms = elements(preferred).flat_map(|term| elements(&term["preference"]["matchExpressions"]));
        Value::Array(terms.cloned().collect())
    };
    names(deployments(objects).filter(|workload| prefers(workload) != wanted))
}

pub(super) fn with_token(objects: &[Value]) -> Vec<String> {
    let asks_nobody = |workload: &Value| workload["metadata"]["name"] == "eck-csi-node";
    let mounts = |workload: &Value| pod(workload)["automountServiceAccountToken"] != false;
    workloads(objects).filter(|workload| asks_nobody(workload) && mounts(workload)).map(name).collect()
}
