use serde_json::json;

use super::*;

fn container() -> Value {
    json!({
        "name": "main",
        "ports": [{"containerPort": 9808}],
        "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"memory": "9Mi"}},
        "securityContext": {"readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false, "runAsNonRoot": true,
            "capabilities": {"drop": ["ALL"]}},
    })
}

fn workload(kind: &str, name: &str, class: &str) -> Value {
    let edge = json!({"key": "openyurt.io/is-edge-worker", "operator": "NotIn", "values": ["true"]});
    json!({
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"template": {"metadata": {"labels": {"app": name}}, "spec": {
            "priorityClassName": class,
            "automountServiceAccountToken": false,
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "tolerations": [{"operator": "Exists"}],
            "volumes": [{"emptyDir": {}}],
            "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution":
                [{"preference": {"matchExpressions": [edge]}}]}},
            "containers": [container()],
        }}},
    })
}

/// Objects that keep every rule.
fn objects() -> Vec<Value> {
    vec![
        workload("Deployment", "eck-csi-controller", "system-cluster-critical"),
        workload("DaemonSet", "eck-csi-node", "system-node-critical"),
        json!({"kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": {"maxUnavailable": 1,
            "selector": {"matchLabels": {"app": "eck-csi-controller"}}}}),
        json!({"kind": "NetworkPolicy", "metadata": {"name": "p"}, "spec": {"policyTypes": ["Ingress"],
            "podSelector": {"matchLabels": {"app": "eck-csi-controller"}}, "ingress": [{"ports": [{"port": 9808}]}]}}),
        json!({"kind": "ClusterRole", "metadata": {"name": "r"}, "rules": [
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["keys"]},
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get"], "resourceNames": ["own"]}]}),
        json!({"kind": "StorageClass", "metadata": {"name": "c"}, "parameters": {"region": "a-1"}, "allowedTopologies": [
            {"matchLabelExpressions": [{"key": "topology.csi.esx.eck.ctyun.cn/region", "values": ["a-1"]}]}]}),
    ]
}

/// The rule, the object's number, the pointer of a field in it, and what the field becomes.
const BREAKS: [(&str, usize, &str, &str); 35] = [
    ("there are a Deployment and a DaemonSet", 1, "/kind", r#""Deployment""#),
    (
        "only a node half is privileged",
        0,
        "/spec/template/spec/containers/0/securityContext/privileged",
        "true",
    ),
    (
        "no container writes into its image",
        1,
        "/spec/template/spec/containers/0/securityContext/readOnlyRootFilesystem",
        "null",
    ),
    (
        "seccomp is RuntimeDefault, except where privileged",
        0,
        "/spec/template/spec/securityContext/seccompProfile/type",
        r#""Unconfined""#,
    ),
    (
        "seccomp is RuntimeDefault, except where privileged",
        0,
        "/spec/template/spec/containers/0/securityContext/seccompProfile",
        r#"{"type": "Unconfined"}"#,
    ),
    (
        "every capability is dropped, except where privileged",
        0,
        "/spec/template/spec/containers/0/securityContext/capabilities",
        r#"{"drop": ["ALL"], "add": ["SYS_ADMIN"]}"#,
    ),
    (
        "every capability is dropped, except where privileged",
        0,
        "/spec/template/spec/containers/0/securityContext/allowPrivilegeEscalation",
        "null",
    ),
    (
        "every capability is dropped, except where privileged",
        1,
        "/spec/template/spec/containers/0/securityContext/runAsNonRoot",
        "false",
    ),
    ("no pod shares the host's processes or network", 1, "/spec/template/spec/hostPID", "true"),
    ("no pod shares the host's processes or network", 0, "/spec/template/spec/hostIPC", "true"),
    ("no pod shares the host's processes or network", 0, "/spec/template/spec/hostNetwork", "true"),
    (
        "only a node half mounts folders of its host",
        0,
        "/spec/template/spec/volumes/0/hostPath",
        r#"{"path": "/"}"#,
    ),
    (
        "CPU and memory are requested, memory is limited",
        0,
        "/spec/template/spec/containers/0/resources/requests/cpu",
        "null",
    ),
    (
        "CPU and memory are requested, memory is limited",
        0,
        "/spec/template/spec/containers/0/resources/requests/memory",
        "null",
    ),
    (
        "CPU and memory are requested, memory is limited",
        1,
        "/spec/template/spec/containers/0/resources/limits/memory",
        "null",
    ),
    (
        "no pod is evicted before its users",
        0,
        "/spec/template/spec/priorityClassName",
        r#""system-node-critical""#,
    ),
    ("no pod is evicted before its users", 1, "/spec/template/spec/priorityClassName", "null"),
    ("a drain takes one replica at a time", 2, "/spec/maxUnavailable", "2"),
    ("a drain takes one replica at a time", 2, "/spec/selector/matchLabels/app", r#""other""#),
    (
        "a NetworkPolicy lets in to the ports of the program, and to no others",
        3,
        "/spec/ingress/0/ports/0/port",
        "22",
    ),
    (
        "a NetworkPolicy lets in to the ports of the program, and to no others",
        3,
        "/spec/ingress/0/from",
        "[{}]",
    ),
    (
        "a NetworkPolicy lets in to the ports of the program, and to no others",
        3,
        "/spec/policyTypes",
        r#"["Egress"]"#,
    ),
    ("a NetworkPolicy lets in to the ports of the program, and to no others", 3, "/kind", r#""Other""#),
    (
        "a node half tolerates everything",
        1,
        "/spec/template/spec/tolerations",
        r#"[{"key": "a", "operator": "Exists"}]"#,
    ),
    ("rather not on an edge node", 0, "/spec/template/spec/affinity", "{}"),
    (
        "a token is mounted only where the API server is asked",
        1,
        "/spec/template/spec/automountServiceAccountToken",
        "null",
    ),
    ("no role has a wildcard, or all Secrets or Leases", 4, "/rules/0/verbs", r#"["get"]"#),
    ("no role has a wildcard, or all Secrets or Leases", 4, "/rules/1/verbs", r#"["*"]"#),
    ("no role has a wildcard, or all Secrets or Leases", 4, "/rules/1/resources", r#"["*"]"#),
    ("no role has a wildcard, or all Secrets or Leases", 4, "/rules/1/apiGroups", r#"["*"]"#),
    ("no role has a wildcard, or all Secrets or Leases", 4, "/rules/1/resourceNames", "null"),
    ("no role has a wildcard, or all Secrets or Leases", 4, "/rules/2/verbs", r#"["create", "update"]"#),
    ("no role has a wildcard, or all Secrets or Leases", 4, "/rules/3/resourceNames", "null"),
    ("a class of a region keeps its pods to the nodes of that region", 5, "/allowedTopologies", "null"),
    ("a class of a region keeps its pods to the nodes of that region", 5, "/parameters/region", "null"),
];

fn set(object: &mut Value, pointer: &str, value: Value) {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap();
    match field.parse::<usize>() {
        Ok(number) => parent[number] = value,
        Err(_) => parent[field] = value,
    }
}

fn broken(objects: &[Value]) -> Vec<&'static str> {
    let broken = RULES.iter().filter(|rule| !(rule.broken_by)(objects).is_empty());
    broken.map(|rule| rule.says).collect()
}

#[test]
fn objects_that_keep_every_rule_pass() {
    assert_eq!(broken(&objects()), [""; 0]);
}

#[test]
fn each_rule_is_broken_by_what_it_forbids() {
    for (rule, object, pointer, value) in BREAKS {
        let mut objects = objects();
        set(&mut objects[object], pointer, serde_json::from_str(value).unwrap());
        let broken = broken(&objects);
        assert!(broken.contains(&rule), "{pointer}: {broken:?}");
    }
}

#[test]
fn every_rule_has_a_case_that_breaks_it() {
    for rule in &RULES {
        assert!(BREAKS.iter().any(|(says, ..)| *says == rule.says), "{}", rule.says);
    }
}

#[test]
fn a_privileged_node_half_needs_no_seccomp_and_no_dropped_capabilities() {
    let mut objects = objects();
    let container = &mut objects[1]["spec"]["template"]["spec"]["containers"][0];
    container["securityContext"] = json!({"privileged": true, "readOnlyRootFilesystem": true});
    objects[1]["spec"]["template"]["spec"]["securityContext"] = json!(null);
    assert_eq!(broken(&objects), [""; 0]);
}

#[test]
fn what_breaks_a_rule_is_named() {
    let mut objects = objects();
    set(&mut objects[0], "/spec/template/spec/containers/0/securityContext/privileged", json!(true));
    assert_eq!((RULES[1].broken_by)(&objects), ["eck-csi-controller/main"]);
    set(&mut objects[1], "/spec/template/spec/hostPID", json!(true));
    assert_eq!((RULES[5].broken_by)(&objects), ["DaemonSet eck-csi-node"]);
}
