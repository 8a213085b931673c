//! The claims of a pod: those that it names, and those that are made for it.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimTemplate};
use serde::Deserialize as _;
use serde_json::Value;

/// A claim of a pod.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Claim {
    /// One of its namespace, which need not be there yet.
    Named(String),
    /// One that Kubernetes makes for the pod, of the template of this volume.
    Template { volume: String, claim: Box<PersistentVolumeClaim> },
}

/// The claims, each once. A volume that cannot be read is left to who can.
pub(crate) fn of(pod: &Value) -> Vec<Claim> {
    let mut claims = Vec::new();
    for volume in pod["spec"]["volumes"].as_array().into_iter().flatten() {
        if let Some(claim) = named(volume).or_else(|| template(volume))
            && !claims.contains(&claim)
        {
            claims.push(claim);
        }
    }
    claims
}

fn named(volume: &Value) -> Option<Claim> {
    let name = volume["persistentVolumeClaim"]["claimName"].as_str()?;
    Some(Claim::Named(name.to_owned()))
}

fn template(volume: &Value) -> Option<Claim> {
    let template = PersistentVolumeClaimTemplate::deserialize(&volume["ephemeral"]["volumeClaimTemplate"]);
    let template = template.ok()?;
    let claim = PersistentVolumeClaim {
        metadata: template.metadata.unwrap_or_default(),
        spec: Some(template.spec),
        status: None,
    };
    Some(Claim::Template { volume: volume["name"].as_str()?.to_owned(), claim: Box::new(claim) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_are_named_once_and_templates_are_claims_too() {
        let source = json!({"kind": "PersistentVolumeClaim", "name": "other"});
        let pod = json!({"spec": {"initContainers": [{"name": "i"}], "volumes": [
            {"name": "a", "persistentVolumeClaim": {"claimName": "c"}},
            {"name": "b", "persistentVolumeClaim": {"claimName": "c", "readOnly": true}},
            {"name": "d", "ephemeral": {"volumeClaimTemplate": {"metadata": {"labels": {"x": "y"}}, "spec": {"dataSource": source}}}},
            {"name": "e", "emptyDir": {}},
            {"name": "f", "ephemeral": {}},
        ]}});
        let claims = of(&pod);
        let [Claim::Named(name), Claim::Template { volume, claim }] = &claims[..] else {
            panic!("{claims:?}")
        };
        assert_eq!((name.as_str(), volume.as_str()), ("c", "d"));
        assert_eq!(claim.spec.as_ref().unwrap().data_source.as_ref().unwrap().name, "other");
    }

    #[test]
    fn a_pod_without_volumes_has_no_claims() {
        for pod in
            [json!({}), json!({"spec": {"volumes": null}}), json!({"spec": {"volumes": "x"}}), Value::Null]
        {
            assert!(of(&pod).is_empty(), "{pod}");
        }
    }
}
