//! Where the sources of a pod's claims are, asked of the API server. Every read is of one object by its name, and of what is there now: a
//! claim is often made a moment before its pod.

use std::cmp::Reverse;
use std::fmt::Debug;

use eck_csi::driver::DRIVER_NAME;
use eck_csi::snapshot_id::SnapshotId;
use eck_csi::volume::Region;
use eck_csi_kubernetes::region_of;
use futures::future::join_all;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, ObjectMeta};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::claims::{self, Claim};
use crate::source::{Reference, SNAPSHOT_GROUP, Source, SourceKind, reference};

/// Annotation by which a claim named its class before there was a field. It still goes before the field
/// (component-helpers/storage/volume, GetPersistentVolumeClaimClass).
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// Annotations of the class that claims without one are given (storage/util, IsDefaultAnnotation).
const IS_DEFAULT: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

/// Why nobody can say yet where a claim's source is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unknown {
    #[error("{0} cannot be read")]
    Api(String, #[source] kube::Error),
    #[error("there is no {0}")]
    Missing(String),
    #[error("{0} has no volume yet")]
    Unbound(String),
    #[error("{0} is of {1} and not of {DRIVER_NAME}")]
    Foreign(String, String),
    #[error("{0} names no region")]
    NoRegion(String),
}

/// A claim whose source is not known.
#[derive(Debug)]
pub(crate) struct Unfound {
    pub(crate) claim: String,
    /// What it is made from, where that was read.
    pub(crate) made_from: Option<String>,
    pub(crate) why: Unknown,
}

/// Asks the API server.
pub(crate) struct Reader(Client);

impl Reader {
    pub(crate) fn new(client: Client) -> Self {
        Self(client)
    }

    /// The sources of those claims of the pod that are still to be made from something, by this driver.
    pub(crate) async fn sources(&self, namespace: &str, pod: &Value) -> Vec<Result<Source, Unfound>> {
        let claims = claims::of(pod);
        let found = join_all(claims.into_iter().map(|claim| self.source(namespace, claim))).await;
        found.into_iter().filter_map(Result::transpose).collect()
    }

    async fn source(&self, namespace: &str, claim: Claim) -> Result<Option<Source>, Unfound> {
        let (name, claim) = match claim {
            Claim::Template { volume, claim } => (volume, *claim),
            Claim::Named(name) => match self.claim(namespace, &name).await {
                Ok(Some(claim)) => (name, claim),
                // Of a claim that is not there yet nobody knows what it will be made from; most are made from nothing.
                Ok(None) => return Ok(None),
                Err(why) => return Err(Unfound { claim: name, made_from: None, why }),
            },
        };
        let Some(reference) = reference(&claim) else { return Ok(None) };
        let made_from = reference.to_string();
        match self.region(namespace, &claim, &reference).await {
            Ok(region) => Ok(region.map(|region| Source { claim: name, made_from, region })),
            Err(why) => Err(Unfound { claim: name, made_from: Some(made_from), why }),
        }
    }

    /// The region of the claim's source; `None` if the claim is no affair of this driver.
    async fn region(
        &self,
        namespace: &str,
        claim: &PersistentVolumeClaim,
        reference: &Reference,
    ) -> Result<Option<Region>, Unknown> {
        let class = self.class(claim).await?;
        if class.is_none_or(|class| class.provisioner != DRIVER_NAME) {
            return Ok(None);
        }
        let namespace = reference.namespace.as_deref().unwrap_or(namespace);
        let region = match reference.kind {
            SourceKind::Snapshot => self.of_snapshot(namespace, &reference.name).await?,
            SourceKind::Claim => self.of_claim(namespace, &reference.name).await?,
        };
        Ok(Some(region))
    }

    async fn claim(&self, namespace: &str, name: &str) -> Result<Option<PersistentVolumeClaim>, Unknown> {
        let claims = Api::namespaced(self.0.clone(), namespace);
        get(&claims, "PersistentVolumeClaim", name).await
    }

    /// The class of the claim, or the one that it will be given.
    async fn class(&self, claim: &PersistentVolumeClaim) -> Result<Option<StorageClass>, Unknown> {
        let classes: Api<StorageClass> = Api::all(self.0.clone());
        let field = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_ref());
        match annotation(&claim.metadata, CLASS).or(field.map(String::as_str)) {
            Some("") => Ok(None),
            Some(name) => get(&classes, "StorageClass", name).await,
            None => {
                let all = classes.list(&ListParams::default()).await;
                let all = all.map_err(|error| Unknown::Api("StorageClass".to_owned(), error))?;
                Ok(default_class(all.items))
            }
        }
    }

    /// Where a snapshot is. One that is not taken yet will be where its volume is.
    async fn of_snapshot(&self, namespace: &str, name: &str) -> Result<Region, Unknown> {
        let resource = snapshot_resource("VolumeSnapshot", "volumesnapshots");
        let snapshots: Api<DynamicObject> = Api::namespaced_with(self.0.clone(), namespace, &resource);
        let missing = || Unknown::Missing(format!("VolumeSnapshot {name}"));
        let snapshot = get(&snapshots, "VolumeSnapshot", name).await?.ok_or_else(missing)?.data;
        let (status, source) = (&snapshot["status"], &snapshot["spec"]["source"]);
        let content = text(&status["boundVolumeSnapshotContentName"]);
        if let Some(content) = content.or_else(|| text(&source["volumeSnapshotContentName"]))
            && let Some(region) = self.of_content(content).await?
        {
            return Ok(region);
        }
        match text(&source["persistentVolumeClaimName"]) {
            Some(claim) => self.of_claim(namespace, claim).await,
            None => Err(Unknown::NoRegion(format!("VolumeSnapshot {name}"))),
        }
    }

    /// The region that the handle of a snapshot's content tells, once it has one.
    async fn of_content(&self, name: &str) -> Result<Option<Region>, Unknown> {
        let resource = snapshot_resource("VolumeSnapshotContent", "volumesnapshotcontents");
        let contents: Api<DynamicObject> = Api::all_with(self.0.clone(), &resource);
        let Some(content) = get(&contents, "VolumeSnapshotContent", name).await? else { return Ok(None) };
        let (spec, status) = (&content.data["spec"], &content.data["status"]);
        let called = format!("VolumeSnapshotContent {name}");
        if let Some(driver) = text(&spec["driver"]).filter(|driver| *driver != DRIVER_NAME) {
            return Err(Unknown::Foreign(called, driver.to_owned()));
        }
        let handle = text(&status["snapshotHandle"]).or_else(|| text(&spec["source"]["snapshotHandle"]));
        let Some(handle) = handle else { return Ok(None) };
        let handle = SnapshotId::parse("snapshotHandle", handle.to_owned()).ok();
        let region = handle.and_then(|handle| handle.known().map(|(region, _)| region));
        region.map(Some).ok_or(Unknown::NoRegion(called))
    }

    /// Where the volume of a claim is.
    async fn of_claim(&self, namespace: &str, name: &str) -> Result<Region, Unknown> {
        let called = format!("PersistentVolumeClaim {name}");
        let claim = self.claim(namespace, name).await?.ok_or_else(|| Unknown::Missing(called.clone()))?;
        let volume = claim.spec.and_then(|spec| spec.volume_name).filter(|name| !name.is_empty());
        let name = volume.ok_or(Unknown::Unbound(called))?;
        let volumes: Api<PersistentVolume> = Api::all(self.0.clone());
        let called = format!("PersistentVolume {name}");
        let volume = get(&volumes, "PersistentVolume", &name).await?;
        let spec = volume.ok_or_else(|| Unknown::Missing(called.clone()))?.spec.unwrap_or_default();
        let driver = spec.csi.map(|csi| csi.driver).unwrap_or_default();
        if driver != DRIVER_NAME {
            return Err(Unknown::Foreign(called, driver));
        }
        let affinity = serde_json::to_value(spec.node_affinity).unwrap_or_default();
        let region = region_of(&affinity).and_then(|code| Region::parse("nodeAffinity", &code).ok());
        region.ok_or(Unknown::NoRegion(called))
    }
}

async fn get<K>(api: &Api<K>, kind: &str, name: &str) -> Result<Option<K>, Unknown>
where
    K: Clone + Debug + DeserializeOwned,
{
    api.get_opt(name).await.map_err(|error| Unknown::Api(format!("{kind} {name}"), error))
}

fn snapshot_resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(SNAPSHOT_GROUP, "v1", kind), plural)
}

fn annotation<'a>(metadata: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

/// Of several the newest, and of those the first by name (storage/util, GetDefaultClass).
fn default_class(classes: Vec<StorageClass>) -> Option<StorageClass> {
    let is_default = |class: &StorageClass| {
        IS_DEFAULT.iter().any(|name| annotation(&class.metadata, name) == Some("true"))
    };
    let made = |class: &StorageClass| class.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let rank = |class: &StorageClass| (made(class), Reverse(class.metadata.name.clone()));
    classes.into_iter().filter(is_default).max_by_key(rank)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn class(name: &str, default: &str, made: &str) -> StorageClass {
        let annotations = json!({"storageclass.kubernetes.io/is-default-class": default});
        let metadata = json!({"name": name, "annotations": annotations, "creationTimestamp": made});
        serde_json::from_value(json!({"metadata": metadata, "provisioner": "p"})).unwrap()
    }

    #[test]
    fn the_default_class_is_the_newest_and_of_those_the_first_by_name() {
        let (old, new) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
        let name = |classes: Vec<StorageClass>| default_class(classes)?.metadata.name;
        assert_eq!(name(vec![class("a", "false", new)]), None);
        let several = vec![
            class("d", "true", old),
            class("c", "true", new),
            class("b", "true", new),
            class("a", "false", new),
        ];
        assert_eq!(name(several).as_deref(), Some("b"));
    }
}
