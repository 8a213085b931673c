use ideal_gpu::ask::Share;
use ideal_gpu::names::{CARD_POLICY, CORE, GPU, MEMORY, WHOLE};
use ideal_gpu::place::Policy;
use serde_json::{Value, json};

use super::*;

fn pod(spec: Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap()
}

fn container(name: &str, limits: Value) -> Value {
    json!({"name": name, "resources": {"limits": limits}})
}

fn slice(gpu: &str, core: &str, memory: &str) -> Value {
    json!({GPU: gpu, CORE: core, MEMORY: memory})
}

#[test]
fn init_containers_sidecars_and_apps_keep_their_order_and_phase() {
    let mut sidecar = container("s", slice("1", "10", "100"));
    sidecar["restartPolicy"] = json!("Always");
    let pod = pod(json!({
        "initContainers": [container("i", slice("2", "30", "2e3")), sidecar],
        "containers": [container("plain", json!({"cpu": "1"})), container("a", slice("1", "80", "1k")),
                       container("w", json!({WHOLE: "1"}))]
    }));
    let request = Request::of(&pod).unwrap().unwrap();
    let asks: Vec<_> =
        request.ask.containers.iter().map(|c| (c.name.as_str(), c.phase, c.cards, c.share)).collect();
    let slice = |core, memory_mib| Share::Slice { core, memory_mib };
    assert_eq!(
        asks,
        [
            ("i", Phase::Init, 2, slice(30, 2000)),
            ("s", Phase::Sidecar, 1, slice(10, 100)),
            ("a", Phase::App, 1, slice(80, 1000)),
            ("w", Phase::App, 1, Share::Whole),
        ]
    );
    // The sidecar keeps one of the init container's two slots, the app gets the other.
    assert_eq!(request.plan.devices(), (2, 1));
}

#[test]
fn a_pod_without_our_resources_asks_for_nothing() {
    let plain = pod(json!({"containers": [container("a", json!({"cpu": "1", "memory": "1Gi"}))]}));
    assert_eq!(Request::of(&plain), Ok(None));
    assert!(!names_ours(&plain));
    let zero = pod(json!({"containers": [container("a", json!({GPU: "0"}))]}));
    assert_eq!(Request::of(&zero), Ok(None));
    assert!(names_ours(&zero));
}

#[test]
fn requests_must_be_the_limits() {
    let with = |requests: Value, limits: Value| {
        pod(json!({"containers": [{"name": "a", "resources": {"requests": requests, "limits": limits}}]}))
    };
    assert!(Request::of(&with(slice("1", "1k", "5"), slice("1", "1000", "5"))).is_err(), "core 1000");
    assert!(Request::of(&with(slice("1", "10", "5"), slice("1", "1e1", "5"))).unwrap().is_some());
    let error = Request::of(&with(json!({GPU: "2"}), slice("1", "10", "5"))).unwrap_err();
    assert!(error.to_string().contains("ideal.com/gpu: a request of 2 beside a limit of 1"), "{error}");
    let error = Request::of(&with(slice("1", "10", "5"), json!({}))).unwrap_err();
    assert!(error.to_string().contains("a limit of nothing"), "{error}");
}

#[test]
fn what_is_no_whole_number_and_what_is_no_policy_is_named() {
    let half = pod(json!({"containers": [container("a", slice("1", "0.5", "5"))]}));
    let error = Request::of(&half).unwrap_err();
    assert_eq!(
        error.to_string(),
        "container a: ideal.com/vcuda-core: 0.5 is not allowed; allowed: a whole number"
    );
    let mut annotated = pod(json!({"containers": [container("a", slice("1", "5", "5"))]}));
    let annotate = |value: &str| Some(BTreeMap::from([(CARD_POLICY.to_owned(), value.to_owned())]));
    annotated.metadata.annotations = annotate("spread");
    assert_eq!(policies(&annotated).unwrap(), Policies { node: None, card: Some(Policy::Spread) });
    annotated.metadata.annotations = annotate("random");
    assert!(Request::of(&annotated).unwrap_err().to_string().contains("\"random\" is not allowed"));
}
