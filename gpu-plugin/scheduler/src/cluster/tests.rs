use ideal_gpu::names::{CORE, DECISION, GPU, MEMORY};
use serde_json::{Value, json};

use super::*;

fn cards(count: u32) -> String {
    let card = |index: u32| json!({"id": format!("GPU-{index}"), "model": "m", "memory_mib": 1000, "index": index, "healthy": true});
    json!({"cards": (0..count).map(card).collect::<Vec<_>>()}).to_string()
}

fn node(name: &str, count: u32) -> v1::Node {
    let annotations = json!({CARDS: cards(count)});
    serde_json::from_value(json!({"metadata": {"name": name, "annotations": annotations}})).unwrap()
}

fn pod(uid: &str, core: u32) -> Value {
    let limits = json!({GPU: "1", CORE: core.to_string(), MEMORY: "100"});
    json!({"metadata": {"name": uid, "namespace": "default", "uid": uid, "annotations": {}},
           "spec": {"containers": [{"name": "a", "resources": {"limits": limits}}]}, "status": {"phase": "Pending"}})
}

fn typed(pod: &Value) -> v1::Pod {
    serde_json::from_value(pod.clone()).unwrap()
}

fn bound(mut pod: Value, node: &str, decision: &str) -> Value {
    pod["spec"]["nodeName"] = json!(node);
    pod["metadata"]["annotations"][DECISION] = json!(decision);
    pod
}

fn cluster() -> Cluster {
    let cluster = Cluster::default();
    cluster.apply_node(&node("n", 1));
    cluster
}

fn used(cluster: &Cluster) -> u32 {
    let mut core = 0;
    cluster.each_card(|card| core += card.used.core);
    core
}

fn promise(cluster: &Cluster, uid: &str, core: u32) -> String {
    cluster.apply_pod(&typed(&pod(uid, core)));
    cluster.promise(uid, "n", Policy::Binpack).unwrap().to_text()
}

#[test]
fn a_cluster_is_rebuilt_from_pods_alone() {
    let first = cluster();
    let decision = promise(&first, "a", 60);
    let second = Cluster::default();
    // In any order: the pod may be listed before its node.
    second.apply_pod(&typed(&bound(pod("a", 60), "n", &decision)));
    second.apply_node(&node("n", 1));
    assert_eq!((used(&second), second.counts()), (60, (1, 0)));
    second.apply_pod(&typed(&pod("b", 50)));
    let error = second.promise("b", "n", Policy::Binpack).unwrap_err();
    assert_eq!(
        error.to_string(),
        "node n: 1 shares of up to 50 % and 100 MiB wanted; card 0: 40 %, 900 MiB, 4 slots free;"
    );
}

#[test]
fn finished_and_deleted_pods_are_free_at_once_and_twice_is_once() {
    let cluster = cluster();
    let decision = promise(&cluster, "a", 60);
    let mut pod = bound(pod("a", 60), "n", &decision);
    for _ in 0..2 {
        cluster.apply_pod(&typed(&pod));
        assert_eq!(used(&cluster), 60);
    }
    pod["status"]["phase"] = json!("Succeeded");
    cluster.apply_pod(&typed(&pod));
    assert_eq!(used(&cluster), 0);
    pod["status"]["phase"] = json!("Running");
    cluster.apply_pod(&typed(&pod));
    cluster.forget_pod("a");
    cluster.forget_pod("a");
    assert_eq!((used(&cluster), cluster.counts()), (0, (0, 0)));
}

#[test]
fn a_forged_or_foreign_decision_is_none_and_the_node_waits_for_its_own() {
    let cluster = cluster();
    let decision = promise(&cluster, "a", 60);
    cluster.apply_pod(&typed(&bound(pod("a", 60), "n", &decision)));
    for forged in ["{}", "nonsense", &decision, &decision.replace("\"a\"", "\"b\"").replace("60", "1")] {
        cluster.apply_pod(&typed(&bound(pod("b", 60), "n", forged)));
        assert_eq!((used(&cluster), cluster.counts().1), (60, 1), "{forged}");
    }
    // Unbound, a decision is not even read.
    cluster.forget_pod("b");
    let mut forger = pod("c", 50);
    forger["metadata"]["annotations"][DECISION] = json!(decision);
    cluster.apply_pod(&typed(&forger));
    assert_eq!((used(&cluster), cluster.counts()), (60, (1, 0)));
}

#[test]
fn a_listing_takes_away_what_is_older_and_nothing_that_was_bound_meanwhile() {
    let cluster = cluster();
    let old = promise(&cluster, "old", 10);
    cluster.apply_pod(&typed(&bound(pod("old", 10), "n", &old)));
    promise(&cluster, "way", 20);
    let listing = cluster.listing_starts();
    promise(&cluster, "new", 30);
    cluster.kept("new");
    cluster.listing_ends(listing);
    // `old` was deleted while nobody watched; `way` is still on its way; `new` was bound after the listing was read.
    assert_eq!(used(&cluster), 50);
    cluster.give_back("way");
    let listing = cluster.listing_starts();
    cluster.listing_ends(listing);
    assert_eq!((used(&cluster), cluster.knows("way"), cluster.knows("new")), (0, false, false));
}

#[test]
fn news_from_before_our_binding_change_nothing() {
    let cluster = cluster();
    let decision = promise(&cluster, "a", 60);
    cluster.apply_pod(&typed(&pod("a", 60)));
    assert_eq!(used(&cluster), 60);
    cluster.kept("a");
    cluster.apply_pod(&typed(&pod("a", 60)));
    assert_eq!(used(&cluster), 60);
    cluster.give_back("a");
    assert_eq!(used(&cluster), 60, "a promise that was kept cannot be given back");
    cluster.apply_pod(&typed(&bound(pod("a", 60), "n", &decision)));
    assert_eq!((used(&cluster), cluster.counts()), (60, (1, 0)));
}

#[test]
fn a_pod_that_somebody_else_bound_elsewhere_is_counted_there() {
    let cluster = cluster();
    cluster.apply_node(&node("m", 1));
    promise(&cluster, "a", 60);
    cluster.apply_pod(&typed(&bound(pod("a", 60), "m", "{}")));
    assert_eq!((used(&cluster), cluster.counts()), (0, (1, 1)));
    cluster.forget_node("m");
    cluster.forget_pod("a");
    assert_eq!(cluster.counts(), (0, 0));
}

#[test]
fn an_open_promise_is_given_again_unchanged_and_nowhere_else() {
    let cluster = cluster();
    cluster.apply_node(&node("m", 1));
    let decision = promise(&cluster, "a", 60);
    assert_eq!(cluster.promise("a", "n", Policy::Spread).unwrap().to_text(), decision);
    assert_eq!(cluster.promise("a", "m", Policy::Spread), Err(NoPromise::Elsewhere("n".to_owned())));
    cluster.give_back("a");
    assert!(cluster.promise("a", "m", Policy::Spread).is_ok());
    assert_eq!(cluster.promise("b", "n", Policy::Spread), Err(NoPromise::Unknown));
    assert_eq!(used(&cluster), 60);
}

#[test]
fn a_pod_that_cannot_be_read_blocks_its_node_and_no_other() {
    let cluster = cluster();
    let mut strange = bound(pod("s", 10), "n", "{}");
    strange["spec"]["containers"][0]["resources"]["limits"][CORE] = json!("101");
    cluster.apply_pod(&typed(&strange));
    cluster.apply_pod(&typed(&pod("a", 10)));
    let full = cluster.promise("a", "n", Policy::Binpack).unwrap_err();
    assert_eq!(full, NoPromise::Full { node: "n".to_owned(), why: Why::Undecided { pods: 1 } });
}
