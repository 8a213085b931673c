//! A request's path as what it names.

use super::error::Refusal;

/// A kind of object that is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resource {
    /// Plural, as in paths.
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) api_version: &'static str,
    pub(crate) namespaced: bool,
}

const fn resource_of(
    name: &'static str,
    kind: &'static str,
    api_version: &'static str,
    namespaced: bool,
) -> Resource {
    Resource { name, kind, api_version, namespaced }
}

const RESOURCES: [Resource; 22] = [
    resource_of("nodes", "Node", "v1", false),
    resource_of("pods", "Pod", "v1", true),
    resource_of("secrets", "Secret", "v1", true),
    resource_of("configmaps", "ConfigMap", "v1", true),
    resource_of("events", "Event", "v1", true),
    resource_of("namespaces", "Namespace", "v1", false),
    resource_of("serviceaccounts", "ServiceAccount", "v1", true),
    resource_of("leases", "Lease", "coordination.k8s.io/v1", true),
    resource_of("persistentvolumes", "PersistentVolume", "v1", false),
    resource_of("persistentvolumeclaims", "PersistentVolumeClaim", "v1", true),
    resource_of("csinodes", "CSINode", "storage.k8s.io/v1", false),
    resource_of("csidrivers", "CSIDriver", "storage.k8s.io/v1", false),
    resource_of("storageclasses", "StorageClass", "storage.k8s.io/v1", false),
    resource_of("volumeattachments", "VolumeAttachment", "storage.k8s.io/v1", false),
    resource_of("csistoragecapacities", "CSIStorageCapacity", "storage.k8s.io/v1", true),
    resource_of("volumesnapshots", "VolumeSnapshot", "snapshot.storage.k8s.io/v1", true),
    resource_of("volumesnapshotcontents", "VolumeSnapshotContent", "snapshot.storage.k8s.io/v1", false),
    resource_of("deployments", "Deployment", "apps/v1", true),
    resource_of("daemonsets", "DaemonSet", "apps/v1", true),
    resource_of("poddisruptionbudgets", "PodDisruptionBudget", "policy/v1", true),
    resource_of(
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
        "admissionregistration.k8s.io/v1",
        false,
    ),
    resource_of(
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        "admissionregistration.k8s.io/v1",
        false,
    ),
];

/// The resource of this plural name.
pub(crate) fn resource(name: &str) -> Result<Resource, Refusal> {
    let found = RESOURCES.into_iter().find(|resource| resource.name == name);
    found.ok_or_else(|| Refusal::not_found(format!("there is no resource {name} here")))
}

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) resource: Resource,
    /// Empty: all, or the resource has none.
    pub(super) namespace: String,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<String>,
}

impl Target {
    /// Reads `/api/v1/…` and `/apis/<group>/<version>/…`.
    pub(super) fn parse(path: &str) -> Result<Self, Refusal> {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let rest = match segments.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
            _ => &[],
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let [name, rest @ ..] = rest else {
            return Err(Refusal::not_found(format!("the path {path} names no resource")));
        };
        Ok(Self {
            resource: resource(name)?,
            namespace: namespace.to_owned(),
            name: rest.first().map(|name| (*name).to_owned()),
            subresource: rest.get(1).map(|name| (*name).to_owned()),
        })
    }

    /// As RBAC writes it: `pods/binding`.
    pub(super) fn rbac_name(&self) -> String {
        match &self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.resource.name),
            None => self.resource.name.to_owned(),
        }
    }
}
