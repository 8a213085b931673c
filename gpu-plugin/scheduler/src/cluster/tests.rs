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
        "node n: 1 shares of up to 50 percent and 100 MiB wanted; card 0: 40 percent, 900 MiB, 4 slots free"
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
fn what_a_listing_did_not_show_and_we_touched_while_it_ran_is_looked_at_again() {
    let cluster = cluster();
    let listed = |cluster: &Cluster| {
        let listing = cluster.listing_starts();
        cluster.listing_ends(listing);
    };
    let doubtful = |cluster: &Cluster| {
        let mut open: Vec<String> = cluster.open().into_iter().map(|open| open.uid).collect();
        open.sort();
        open
    };
    let decision = promise(&cluster, "bound", 10);
    let listing = cluster.listing_starts();
    cluster.kept("bound");
    cluster.looked(&typed(&pod("seen", 20)), cluster.listed());
    // Both are deleted before the listing is answered: it does not show them, and no watch will tell.
    cluster.listing_ends(listing);
    assert_eq!((used(&cluster), doubtful(&cluster)), (10, vec!["bound".to_owned(), "seen".to_owned()]));
    // Or they are newer than its answer: then they are there, and the watch will tell of their end.
    cluster.looked(&typed(&bound(pod("bound", 10), "n", &decision)), cluster.listed());
    cluster.apply_pod(&typed(&pod("seen", 20)));
    assert_eq!((used(&cluster), doubtful(&cluster)), (10, vec![]));
    // An answer that was under way while the pod was deleted, and while the next listing ran.
    let before = cluster.listed();
    cluster.forget_pod("seen");
    cluster.looked(&typed(&pod("seen", 20)), before);
    assert_eq!(doubtful(&cluster), ["seen"]);
    listed(&cluster);
    assert_eq!((used(&cluster), cluster.knows("seen")), (0, false));
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
    assert_eq!(cluster.promise("a", "m", Policy::Spread), Err(ReserveError::Elsewhere("n".to_owned())));
    cluster.give_back("a");
    assert!(cluster.promise("a", "m", Policy::Spread).is_ok());
    assert_eq!(cluster.promise("b", "n", Policy::Spread), Err(ReserveError::Unknown));
    assert_eq!(used(&cluster), 60);
}

#[test]
fn a_promise_whose_cards_another_leader_gave_away_is_not_given_again() {
    let (first, second) = (cluster(), cluster());
    promise(&first, "a", 60);
    // Its answer is lost, the other replica leads, and then the first one again, which reads everything.
    let decision = promise(&second, "b", 50);
    first.apply_pod(&typed(&bound(pod("b", 50), "n", &decision)));
    assert_eq!(first.promise("a", "n", Policy::Binpack), Err(ReserveError::Taken("n".to_owned())));
    first.forget_pod("b");
    assert!(first.promise("a", "n", Policy::Binpack).is_ok());
    let mut ill = node("n", 1);
    let text = cards(1).replace("true", "false");
    ill.metadata.annotations.as_mut().unwrap().insert(CARDS.to_owned(), text);
    first.apply_node(&ill);
    assert_eq!(first.promise("a", "n", Policy::Binpack), Err(ReserveError::Taken("n".to_owned())));
}

#[test]
fn a_pod_that_cannot_be_read_blocks_its_node_and_no_other() {
    let cluster = cluster();
    let mut strange = bound(pod("s", 10), "n", "{}");
    strange["spec"]["containers"][0]["resources"]["limits"][CORE] = json!("101");
    cluster.apply_pod(&typed(&strange));
    cluster.apply_pod(&typed(&pod("a", 10)));
    let full = cluster.promise("a", "n", Policy::Binpack).unwrap_err();
    assert_eq!(full, ReserveError::Full { node: "n".to_owned(), why: Why::Undecided { pods: 1 } });
}
