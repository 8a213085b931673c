use ideal_gpu::names::{MEMORY, NODE_POLICY, WHOLE};

use super::*;

const USER: &str = "system:serviceaccount:default:someone";
const OURS: &str = "system:serviceaccount:kube-system:ideal-gpu-scheduler";

fn rules() -> Rules {
    Rules { trusted: vec![OURS.to_owned()], scheduler_name: None }
}

fn request(operation: &str, user: &str, object: Value, old: Value) -> AdmissionRequest {
    serde_json::from_value(json!({
        "uid": "1", "operation": operation, "resource": {"group": "", "version": "v1", "resource": "pods"},
        "userInfo": {"username": user}, "object": object, "oldObject": old
    }))
    .unwrap()
}

fn pod(limits: &[Value]) -> Value {
    let container = |(at, limits): (usize, &Value)| json!({"name": format!("c{at}"), "resources": {"limits": limits, "requests": limits}});
    let containers: Vec<Value> = limits.iter().enumerate().map(container).collect();
    json!({"metadata": {"name": "p"}, "spec": {"containers": containers}})
}

fn create(pod: Value) -> Result<(), Refusal> {
    rules().validate(&request("CREATE", USER, pod, Value::Null))
}

fn slice(gpu: &str, core: &str, memory: &str) -> Value {
    json!({GPU: gpu, CORE: core, MEMORY: memory})
}

#[test]
fn what_could_be_satisfied_somewhere_some_day_is_let_in() {
    for limits in [
        vec![slice("2", "80", "200")],
        vec![slice("16", "100", "1k")],
        vec![json!({WHOLE: "8"})],
        vec![json!({"cpu": "1"})],
        vec![slice("1", "20", "1"); 80],
        vec![slice("1", "10", "100"), json!({WHOLE: "1"})],
    ] {
        assert_eq!(create(pod(&limits)), Ok(()), "{limits:?}");
    }
}

#[test]
fn what_no_node_could_ever_satisfy_is_refused_with_resource_value_and_what_is_allowed() {
    let both = json!({GPU: "1", CORE: "10", MEMORY: "5", WHOLE: "1"});
    for (limits, words) in [
        (
            vec![slice("1", "101", "200")],
            "container c0: ideal.com/vcuda-core: 101 is not allowed; allowed: 1 to 100",
        ),
        (vec![slice("1", "50", "0")], "ideal.com/vcuda-memory: 0 is not allowed; allowed: at least 1 MiB"),
        (
            vec![json!({GPU: "1", CORE: "20"})],
            "ideal.com/vcuda-memory: 0 is not allowed; allowed: at least 1 MiB",
        ),
        (
            vec![json!({CORE: "50"})],
            "ideal.com/vcuda-core: 50 is not allowed; allowed: nothing without ideal.com/gpu",
        ),
        (vec![both], "nvidia.com/gpu: 1 is not allowed; allowed: nothing beside ideal.com/gpu"),
        (vec![slice("17", "1", "1")], "ideal.com/gpu: 17 is not allowed; allowed: at most 16 cards"),
        (vec![slice("1", "1.5", "1")], "ideal.com/vcuda-core: 1.5 is not allowed; allowed: a whole number"),
        (vec![slice("1", "-5", "1")], "ideal.com/vcuda-core: -5 is not allowed; allowed: a whole number"),
        (vec![slice("16", "1", "1"); 6], "ideal.com/gpu: 96 wanted, 80 free"),
        (vec![slice("16", "60", "1"); 2], "32 shares of up to 60 percent"),
        (vec![json!({WHOLE: "9"}), json!({WHOLE: "8"})], "nvidia.com/gpu: 17 wanted, 16 free"),
    ] {
        let refusal = create(pod(&limits)).unwrap_err();
        assert!(refusal.to_string().contains(words), "{refusal} / {words}");
        assert_eq!(refusal.code(), 422);
    }
}

#[test]
fn a_decision_is_written_by_our_own_accounts_only() {
    let plain = pod(&[slice("1", "10", "5")]);
    let decided = |text: &str| {
        let mut pod = plain.clone();
        pod["metadata"]["annotations"] = json!({DECISION: text});
        pod
    };
    let refused = |operation: &str, user: &str, new: &Value, old: &Value| {
        let refusal = rules().validate(&request(operation, user, new.clone(), old.clone())).err()?;
        Some(refusal.code())
    };
    assert_eq!(refused("CREATE", USER, &decided("x"), &Value::Null), Some(403));
    assert_eq!(refused("UPDATE", USER, &decided("x"), &plain), Some(403), "added");
    assert_eq!(refused("UPDATE", USER, &plain, &decided("x")), Some(403), "removed");
    assert_eq!(refused("UPDATE", USER, &decided("y"), &decided("x")), Some(403), "changed");
    assert_eq!(refused("UPDATE", USER, &decided("x"), &decided("x")), None);
    assert_eq!(refused("UPDATE", OURS, &decided("y"), &decided("x")), None);
    assert_eq!(refused("DELETE", USER, &Value::Null, &decided("x")), None);
    let mut binding = request("CREATE", USER, decided("x"), Value::Null);
    binding.sub_resource = "binding".to_owned();
    assert!(rules().validate(&binding).is_err(), "a Binding carries a decision too");
}

#[test]
fn policies_are_checked_and_old_pods_stay_changeable() {
    let mut annotated = pod(&[slice("1", "10", "5")]);
    annotated["metadata"]["annotations"] = json!({NODE_POLICY: "random"});
    assert!(create(annotated.clone()).unwrap_err().to_string().contains("allowed: binpack, spread"));
    let mut old = pod(&[slice("1", "101", "5")]);
    let mut new = old.clone();
    new["metadata"]["labels"] = json!({"a": "b"});
    old["metadata"]["finalizers"] = json!(["f"]);
    assert_eq!(rules().validate(&request("UPDATE", USER, new, old)), Ok(()));
}

#[test]
fn compute_has_a_default_and_memory_has_none() {
    let with = |pod: Value, rules: &Rules| rules.mutate(&request("CREATE", USER, pod, Value::Null)).unwrap();
    let steps = with(pod(&[json!({"cpu": "1"}), json!({GPU: "1", MEMORY: "5"})]), &rules());
    let path = |of: &str| format!("/spec/containers/1/resources/{of}/ideal.com~1vcuda-core");
    let step = |of: &str| json!({"op": "add", "path": path(of), "value": "20"});
    assert_eq!(steps, [step("limits"), step("requests")]);
    assert!(with(pod(&[slice("1", "50", "5")]), &rules()).is_empty());
    assert!(with(pod(&[json!({WHOLE: "1"})]), &rules()).is_empty());
    let named = Rules { scheduler_name: Some("gpu".to_owned()), ..rules() };
    let scheduler = json!({"op": "add", "path": "/spec/schedulerName", "value": "gpu"});
    assert_eq!(with(pod(&[json!({WHOLE: "1"})]), &named), [scheduler]);
    assert!(with(pod(&[json!({"cpu": "1"})]), &named).is_empty());
}
