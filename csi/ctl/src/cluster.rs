//! The cluster: objects of the API server by kind, as JSON.

use eck_csi_kubernetes::api;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client, Resource};
use serde_json::Value;

/// The cluster.
pub struct Kubernetes {
    /// The API server.
    pub client: Client,
    /// The context's namespace.
    pub namespace: String,
    /// Where the driver runs.
    pub driver_namespace: String,
}

impl Kubernetes {
    /// Objects of the kind `K`: those without a namespace, or of all namespaces.
    pub(crate) fn all<K: Resource<DynamicType = ()>>(&self) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &ApiResource::erase::<K>(&()))
    }

    /// Objects of the kind `K` in `namespace`.
    pub(crate) fn within<K: Resource<DynamicType = ()>>(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &ApiResource::erase::<K>(&()))
    }
}

/// Every object of `api`.
pub(crate) async fn list(api: &Api<DynamicObject>) -> kube::Result<Vec<DynamicObject>> {
    api::list(api, &ListParams::default(), Some).await
}

/// The object's name; empty for one without.
pub(crate) fn name(object: &DynamicObject) -> &str {
    object.metadata.name.as_deref().unwrap_or_default()
}

/// A text that is there and not empty.
pub(crate) fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
