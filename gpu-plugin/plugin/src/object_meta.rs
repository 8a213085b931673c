//! What is kept of a Kubernetes object's metadata: the fields and names that this program reads. The rest, managed fields first, is
//! dropped while the object is read, so that a node's memory does not grow with what pods carry.

use std::collections::BTreeMap;

use ideal_gpu::names::{
    CARD_POLICY, CARDS, DECISION, LABEL_ENABLE, LABEL_MODEL, LABEL_NODE_TYPE, NODE_POLICY,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::{Deserialize, Deserializer};

/// The labels that are kept.
const LABELS: [&str; 3] = [LABEL_MODEL, LABEL_NODE_TYPE, LABEL_ENABLE];

/// The annotations that are kept.
const ANNOTATIONS: [&str; 4] = [CARDS, DECISION, CARD_POLICY, NODE_POLICY];

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimMeta {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    creation_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
}

/// Reads metadata and keeps what matters: for `#[serde(deserialize_with)]`.
pub(crate) fn slim<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let SlimMeta { name, namespace, uid, resource_version, creation_timestamp, labels, annotations } =
        SlimMeta::deserialize(deserializer)?;
    Ok(ObjectMeta {
        name,
        namespace,
        uid,
        resource_version,
        creation_timestamp,
        labels: labels.map(|all| only(all, &LABELS)),
        annotations: annotations.map(|all| only(all, &ANNOTATIONS)),
        ..ObjectMeta::default()
    })
}

/// Makes a type of ours, with a field `metadata`, what kube reads in place of one of Kubernetes' own types.
macro_rules! read_in_place_of {
    ($ours:ty, $kubernetes:ty) => {
        impl kube::Resource for $ours {
            type DynamicType = ();
            type Scope = <$kubernetes as kube::Resource>::Scope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                <$kubernetes as kube::Resource>::kind(&())
            }

            fn group((): &()) -> std::borrow::Cow<'_, str> {
                <$kubernetes as kube::Resource>::group(&())
            }

            fn version((): &()) -> std::borrow::Cow<'_, str> {
                <$kubernetes as kube::Resource>::version(&())
            }

            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                <$kubernetes as kube::Resource>::plural(&())
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}
pub(crate) use read_in_place_of;

fn only(mut all: BTreeMap<String, String>, kept: &[&str]) -> BTreeMap<String, String> {
    all.retain(|name, _| kept.contains(&name.as_str()));
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_this_program_reads_is_kept_and_nothing_else() {
        let metadata = json!({
            "name": "p", "namespace": "ns", "uid": "u", "resourceVersion": "7",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {LABEL_MODEL: "T4", "app": "x"},
            "annotations": {DECISION: "d", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}]});
        let kept = serde_json::to_value(slim(metadata).unwrap()).unwrap();
        let wanted = json!({
            "name": "p", "namespace": "ns", "uid": "u", "resourceVersion": "7",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {LABEL_MODEL: "T4"}, "annotations": {DECISION: "d"}});
        assert_eq!(kept, wanted);
        assert_eq!(slim(json!({})).unwrap(), ObjectMeta::default());
    }
}
