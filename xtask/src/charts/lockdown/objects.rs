//! Reading of rendered objects.

use serde_json::Value;

/// Deployments and DaemonSets.
pub(super) fn workloads(objects: &[Value]) -> impl Iterator<Item = &Value> {
    objects.iter().filter(|object| object["kind"] == "Deployment" || object["kind"] == "DaemonSet")
}

pub(super) fn deployments(objects: &[Value]) -> impl Iterator<Item = &Value> {
    objects.iter().filter(|object| object["kind"] == "Deployment")
}

/// What the pods of a workload are made from.
pub(super) fn pod(workload: &Value) -> &Value {
    &workload["spec"]["template"]["spec"]
}

/// The elements of a list, none if it is not there.
pub(super) fn elements(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

pub(super) fn name(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

pub(super) fn names<'a>(objects: impl Iterator<Item = &'a Value>) -> Vec<String> {
    objects.map(name).collect()
}
