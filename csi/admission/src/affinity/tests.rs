use super::*;

fn source(claim: &str, region: &str) -> Source {
    let region = Region::parse("region", region).unwrap();
    Source { claim: claim.to_owned(), made_from: "VolumeSnapshot before".to_owned(), region }
}

/// The pod as it is made, if there is anything to add.
fn made(pod: &Value) -> Option<Value> {
    let Decision::Add(region, steps) = decide(pod, &[source("data", "a-1")]) else { return None };
    assert_eq!(region.as_str(), "a-1");
    let patch: json_patch::Patch = serde_json::from_value(Value::Array(steps)).unwrap();
    let mut made = pod.clone();
    json_patch::patch(&mut made, &patch).unwrap();
    Some(made)
}

fn with(affinity: Value) -> Value {
    json!({"metadata": {"name": "p"}, "spec": {"containers": [], "affinity": affinity}})
}

fn with_terms(terms: Value) -> Value {
    with(json!({"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}))
}

fn terms(pod: &Value) -> Value {
    pod["spec"]["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"].clone()
}

fn here() -> Value {
    requirement(&Region::parse("region", "a-1").unwrap())
}

fn of_region(operator: &str, values: &[&str]) -> Value {
    json!({"key": TOPOLOGY_REGION, "operator": operator, "values": values})
}

#[test]
fn a_pod_without_affinity_gets_one_term() {
    let only = json!([{"matchExpressions": [here()]}]);
    for pod in [
        json!({"spec": {"containers": []}}),
        with(Value::Null),
        with(json!({})),
        with(json!({"podAffinity": {}})),
        with(json!({"nodeAffinity": null})),
        with(json!({"nodeAffinity": {}})),
        with(json!({"nodeAffinity": {REQUIRED: null}})),
        with(json!({"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": null}}})),
    ] {
        assert_eq!(terms(&made(&pod).unwrap()), only, "{pod}");
    }
}

#[test]
fn what_a_pod_prefers_and_asks_of_other_pods_stays() {
    let preferred =
        json!([{"weight": 1, "preference": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}]);
    let name = "preferredDuringSchedulingIgnoredDuringExecution";
    let made = made(&with(json!({"podAntiAffinity": {"x": 1}, "nodeAffinity": {name: preferred}}))).unwrap();
    assert_eq!(made["spec"]["affinity"]["nodeAffinity"][name], preferred);
    assert_eq!(made["spec"]["affinity"]["podAntiAffinity"], json!({"x": 1}));
    assert_eq!(terms(&made), json!([{"matchExpressions": [here()]}]));
}

#[test]
fn every_alternative_gets_the_region() {
    let (gpu, zone) = (
        json!({"key": "gpu", "operator": "Exists"}),
        json!({"key": "zone", "operator": "In", "values": ["z"]}),
    );
    let fields = json!([{"key": "metadata.name", "operator": "In", "values": ["n"]}]);
    let pod = with_terms(json!([
        {"matchExpressions": [gpu, zone]},
        {"matchFields": fields},
        {"matchExpressions": [], "matchFields": fields},
        {"matchExpressions": [gpu], "matchFields": fields},
    ]));
    assert_eq!(
        terms(&made(&pod).unwrap()),
        json!([
            {"matchExpressions": [gpu, zone, here()]},
            {"matchFields": fields, "matchExpressions": [here()]},
            {"matchExpressions": [here()], "matchFields": fields},
            {"matchExpressions": [gpu, here()], "matchFields": fields},
        ])
    );
}

#[test]
fn a_term_that_matches_no_node_goes_on_matching_none() {
    let gpu = json!({"key": "gpu", "operator": "Exists"});
    let pod =
        with_terms(json!([{}, {"matchExpressions": [], "matchFields": []}, {"matchExpressions": [gpu]}]));
    let made = terms(&made(&pod).unwrap());
    assert_eq!(
        made,
        json!([{}, {"matchExpressions": [], "matchFields": []}, {"matchExpressions": [gpu, here()]}])
    );
    assert_eq!(decide(&with_terms(json!([{}])), &[source("data", "a-1")]), Decision::Said);
    assert_eq!(decide(&with_terms(json!([])), &[source("data", "a-1")]), Decision::Said);
}

#[test]
fn a_pod_that_says_it_itself_is_left_as_it_is() {
    let sources = [source("data", "a-1")];
    for pod in [
        json!({"spec": {"nodeSelector": {TOPOLOGY_REGION: "a-1"}}}),
        json!({"spec": {"nodeName": "a-1.10.0.0.3"}}),
        with_terms(json!([{"matchExpressions": [here()]}])),
        with_terms(
            json!([{"matchExpressions": [{"key": "x", "operator": "Exists"}, here()]}, {"matchExpressions": [here()]}]),
        ),
    ] {
        assert_eq!(decide(&pod, &sources), Decision::Said, "{pod}");
    }
    // And what was patched is not patched again.
    let once =
        made(&with_terms(json!([{"matchExpressions": [{"key": "x", "operator": "Exists"}]}]))).unwrap();
    assert_eq!(decide(&once, &sources), Decision::Said);
}

#[test]
fn several_regions_are_narrowed_to_the_one_that_will_do() {
    let both = of_region("In", &["b-1", "a-1"]);
    let pod = with_terms(json!([{"matchExpressions": [both]}]));
    assert_eq!(terms(&made(&pod).unwrap()), json!([{"matchExpressions": [both, here()]}]));
    // An alternative elsewhere is closed, or the scheduler would take it.
    let elsewhere = of_region("In", &["b-1"]);
    let pod = with_terms(json!([{"matchExpressions": [elsewhere]}, {"matchExpressions": [here()]}]));
    let closed = json!([{"matchExpressions": [elsewhere, here()]}, {"matchExpressions": [here()]}]);
    assert_eq!(terms(&made(&pod).unwrap()), closed);
}

#[test]
fn a_pod_that_excludes_the_region_is_left_as_it_is_and_told() {
    let not_there = [of_region("In", &["b-1"]), of_region("NotIn", &["a-1"]), of_region("DoesNotExist", &[])];
    let by_selector = json!({"spec": {"nodeSelector": {TOPOLOGY_REGION: "b-1"}}});
    let by_affinity = not_there.map(|expression| with_terms(json!([{"matchExpressions": [expression]}])));
    for pod in by_affinity.into_iter().chain([by_selector]) {
        let decision = decide(&pod, &[source("data", "a-1")]);
        let Decision::Contradiction(text) = decision else { panic!("{pod}: {decision:?}") };
        assert!(
            text.contains("claim data") && text.contains("VolumeSnapshot before") && text.contains("a-1"),
            "{text}"
        );
    }
}

#[test]
fn a_selector_of_something_else_stays_and_the_region_is_added() {
    let pod = json!({"spec": {"nodeSelector": {"kubernetes.io/hostname": "n"}}});
    let made = made(&pod).unwrap();
    assert_eq!(made["spec"]["nodeSelector"], pod["spec"]["nodeSelector"]);
    assert_eq!(terms(&made), json!([{"matchExpressions": [here()]}]));
}

#[test]
fn claims_that_agree_are_one_requirement_and_claims_that_do_not_are_told() {
    let pod = json!({"spec": {}});
    let agree = [source("data", "a-1"), source("logs", "a-1")];
    assert_eq!(decide(&pod, &agree), decide(&pod, &agree[..1]));
    let decision = decide(&pod, &[source("data", "a-1"), source("logs", "b-1")]);
    let Decision::Apart(text) = decision else { panic!("{decision:?}") };
    assert!(["data", "a-1", "logs", "b-1"].iter().all(|word| text.contains(word)), "{text}");
    assert_eq!(decide(&pod, &[]), Decision::NoSource);
}
