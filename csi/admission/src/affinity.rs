//! From a pod and the sources of its claims to the JSON patch that sends it there. Plain data; nothing is asked.

use std::fmt::Write as _;

use eck_csi::driver::TOPOLOGY_REGION;
use eck_csi::volume::Region;
use serde_json::{Value, json};

use crate::source::Source;

/// The affinity that a node must satisfy.
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

/// What is to be done about a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// No claim of it has a source.
    NoSource,
    /// It names the region itself, or its node is chosen already.
    Said,
    /// Its node must be in this region: the steps of a JSON patch.
    Add(Region, Vec<Value>),
    /// It excludes the region that its claims need, in words. No patch could help.
    Contradiction(String),
    /// Its claims need different regions, in words.
    Apart(String),
}

/// Decides. The patch adds one requirement, the region's, to what the pod asks for already.
pub fn decide(pod: &Value, sources: &[Source]) -> Decision {
    let Some((first, rest)) = sources.split_first() else { return Decision::NoSource };
    if pod["spec"]["nodeName"].as_str().is_some_and(|name| !name.is_empty()) {
        return Decision::Said;
    }
    if let Some(other) = rest.iter().find(|other| other.region != first.region) {
        return Decision::Apart(apart(first, other));
    }
    match pod["spec"]["nodeSelector"][TOPOLOGY_REGION].as_str() {
        Some(region) if region == first.region.as_str() => Decision::Said,
        Some(region) => {
            Decision::Contradiction(contradiction(first, &format!("its nodeSelector wants {region}")))
        }
        None => by_affinity(&pod["spec"]["affinity"], first),
    }
}

fn by_affinity(affinity: &Value, source: &Source) -> Decision {
    let requirement = requirement(&source.region);
    let required = json!({"nodeSelectorTerms": [{"matchExpressions": [requirement]}]});
    let node_affinity = &affinity["nodeAffinity"];
    let add = |path: &str, value: Value| {
        let step = json!({"op": "add", "path": format!("/spec/affinity{path}"), "value": value});
        Decision::Add(source.region.clone(), vec![step])
    };
    if !affinity.is_object() {
        return add("", json!({"nodeAffinity": {REQUIRED: required}}));
    }
    if !node_affinity.is_object() {
        return add("/nodeAffinity", json!({REQUIRED: required}));
    }
    match node_affinity[REQUIRED]["nodeSelectorTerms"].as_array() {
        Some(terms) => by_terms(terms, source, &requirement),
        None => add(&format!("/nodeAffinity/{REQUIRED}"), required),
    }
}

/// The terms are alternatives: each must name the region, or a node of another one would do. A term without anything in it matches no
/// node, and would match the region's if the region were all that is in it.
fn by_terms(terms: &[Value], source: &Source, requirement: &Value) -> Decision {
    let mut steps = Vec::new();
    let (mut excluded, mut possible) = (false, false);
    for (at, term) in terms.iter().enumerate().filter(|(_, term)| !is_empty(term)) {
        let about = about(term, &source.region);
        excluded |= about == About::Excluded;
        possible |= about != About::Excluded;
        if about == About::Said {
            continue;
        }
        let path = format!("/spec/affinity/nodeAffinity/{REQUIRED}/nodeSelectorTerms/{at}/matchExpressions");
        steps.push(match term["matchExpressions"].as_array() {
            Some(_) => json!({"op": "add", "path": format!("{path}/-"), "value": requirement}),
            None => json!({"op": "add", "path": path, "value": [requirement]}),
        });
    }
    if excluded && !possible {
        return Decision::Contradiction(contradiction(source, "its node affinity excludes that"));
    }
    if steps.is_empty() { Decision::Said } else { Decision::Add(source.region.clone(), steps) }
}

/// What a term has to say about the region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Nothing,
    Said,
    Excluded,
}

fn about(term: &Value, region: &Region) -> About {
    let expressions = term["matchExpressions"].as_array().into_iter().flatten();
    let mut about = About::Nothing;
    for expression in expressions.filter(|one| one["key"] == TOPOLOGY_REGION) {
        let values = expression["values"].as_array().map(Vec::as_slice).unwrap_or_default();
        let named = values.iter().any(|value| value == region.as_str());
        match (expression["operator"].as_str().unwrap_or_default(), named) {
            ("In", false) | ("NotIn", true) | ("DoesNotExist", _) => return About::Excluded,
            ("In", true) if values.len() == 1 => about = About::Said,
            _ => {}
        }
    }
    about
}

fn is_empty(term: &Value) -> bool {
    let has = |field: &str| term[field].as_array().is_some_and(|list| !list.is_empty());
    !has("matchExpressions") && !has("matchFields")
}

fn requirement(region: &Region) -> Value {
    json!({"key": TOPOLOGY_REGION, "operator": "In", "values": [region.as_str()]})
}

fn apart(one: &Source, other: &Source) -> String {
    let mut text =
        String::from("a disk can only be made in the region of its source, and no node is in two: ");
    let _ = write!(text, "claim {} is made from {} in {}", one.claim, one.made_from, one.region);
    let _ = write!(text, ", claim {} from {} in {}", other.claim, other.made_from, other.region);
    text
}

fn contradiction(source: &Source, but: &str) -> String {
    let Source { claim, made_from, region } = source;
    format!(
        "claim {claim} is made from {made_from}, which is in {region}, and a disk can only be made there; the pod cannot run there: {but}"
    )
}

#[cfg(test)]
mod tests;
