//! What a claim is to be made from.

use std::fmt;

use eck_csi::volume::Region;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec};

/// The API group of snapshots.
pub(crate) const SNAPSHOT_GROUP: &str = "snapshot.storage.k8s.io";

/// The source of a claim, found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The claim; of a template the volume.
    pub claim: String,
    /// What it is made from, e.g. `VolumeSnapshot before`.
    pub made_from: String,
    /// Where that is.
    pub region: Region,
}

/// The objects of which we know where their content is. Others are made by somebody else, who makes them of volumes like these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceKind {
    Snapshot,
    Claim,
}

/// A source, named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) kind: SourceKind,
    pub(crate) name: String,
    /// The claim's if it says none.
    pub(crate) namespace: Option<String>,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            SourceKind::Snapshot => "VolumeSnapshot",
            SourceKind::Claim => "PersistentVolumeClaim",
        };
        write!(f, "{kind} {}", self.name)
    }
}

/// What the claim is still to be made from: nothing once it has its volume, whose own node affinity counts then.
pub(crate) fn reference(claim: &PersistentVolumeClaim) -> Option<Reference> {
    let spec = claim.spec.as_ref()?;
    if spec.volume_name.as_deref().is_some_and(|name| !name.is_empty()) {
        return None;
    }
    let (group, kind, name, namespace) = named(spec)?;
    let kind = match (group, kind) {
        (SNAPSHOT_GROUP, "VolumeSnapshot") => SourceKind::Snapshot,
        ("", "PersistentVolumeClaim") => SourceKind::Claim,
        _ => return None,
    };
    Some(Reference { kind, name: name.to_owned(), namespace: namespace.map(str::to_owned) })
}

/// Group, kind, name and namespace. The API server fills in both fields from each other; of a claim that it has not seen yet, such as a
/// template's, one may be missing.
fn named(spec: &PersistentVolumeClaimSpec) -> Option<(&str, &str, &str, Option<&str>)> {
    if let Some(source) = &spec.data_source_ref {
        let group = source.api_group.as_deref().unwrap_or_default();
        return Some((group, &source.kind, &source.name, source.namespace.as_deref()));
    }
    let source = spec.data_source.as_ref()?;
    Some((source.api_group.as_deref().unwrap_or_default(), &source.kind, &source.name, None))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(spec: Value) -> Option<Reference> {
        reference(&serde_json::from_value(json!({"metadata": {"name": "c"}, "spec": spec})).unwrap())
    }

    #[test]
    fn a_snapshot_and_a_claim_are_sources_by_either_field() {
        let snapshot = json!({"apiGroup": SNAPSHOT_GROUP, "kind": "VolumeSnapshot", "name": "s"});
        let claim = json!({"kind": "PersistentVolumeClaim", "name": "c"});
        for field in ["dataSource", "dataSourceRef"] {
            assert_eq!(of(json!({field: snapshot})).unwrap().to_string(), "VolumeSnapshot s");
            assert_eq!(of(json!({field: claim})).unwrap().kind, SourceKind::Claim);
        }
        let elsewhere = json!({"dataSourceRef": {"apiGroup": SNAPSHOT_GROUP, "kind": "VolumeSnapshot", "name": "s", "namespace": "n"}});
        assert_eq!(of(elsewhere).unwrap().namespace.as_deref(), Some("n"));
    }

    #[test]
    fn an_empty_a_bound_and_anybody_elses_claim_have_none() {
        let claim = json!({"kind": "PersistentVolumeClaim", "name": "c"});
        assert_eq!(of(json!({})), None);
        assert_eq!(of(json!({"volumeName": "pvc-1", "dataSource": claim})), None);
        assert!(of(json!({"volumeName": "", "dataSource": claim})).is_some());
        let populator = json!({"apiGroup": "x.example", "kind": "Backup", "name": "b"});
        assert_eq!(of(json!({"dataSourceRef": populator})), None);
        assert_eq!(
            of(
                json!({"dataSource": {"apiGroup": "x.example", "kind": "PersistentVolumeClaim", "name": "b"}})
            ),
            None
        );
    }
}
