//! In which regions the cluster is, by its own objects.

use std::collections::BTreeSet;
use std::time::Duration;

use eck_csi::driver::TOPOLOGY_REGION;
use eck_csi::volume::Region;
use futures::FutureExt as _;
use futures::future::{BoxFuture, try_join};
use k8s_openapi::api::core::v1::{Node, PersistentVolume};
use kube::Client;
use kube::api::{ListParams, NotUsed, Object};
use serde::Deserialize;
use serde_json::Value;

use crate::api;
use crate::error::{ClusterError, within};
use crate::volumes::{CsiSource, regions_of};

/// What all pages of both lists may take: 20,000 volumes are forty pages.
const PATIENCE: Duration = Duration::from_secs(30);

/// Regions by their names: whether the cloud has them is not known here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamedRegions {
    /// Those of nodes: the label that the kubelet gives a node on which the driver has registered.
    pub nodes: BTreeSet<Region>,
    /// Volume handles, each with the regions that its PersistentVolume's affinity names.
    pub volumes: Vec<(String, Vec<Region>)>,
}

/// Who knows the cluster's objects.
pub trait ClusterRegions: Send + Sync {
    /// The regions that they name now.
    fn named(&self) -> BoxFuture<'_, Result<NamedRegions, ClusterError>>;
}

impl ClusterRegions for Client {
    fn named(&self) -> BoxFuture<'_, Result<NamedRegions, ClusterError>> {
        within(PATIENCE, read(self)).boxed()
    }
}

async fn read(client: &Client) -> kube::Result<NamedRegions> {
    let (labelled, all) = (ListParams::default().labels(TOPOLOGY_REGION), ListParams::default());
    let nodes = api::list_fields::<Node, _, _, _>(client, &labelled, of_node);
    let volumes = api::list_fields::<PersistentVolume, _, _, _>(client, &all, of_volume);
    let (nodes, volumes) = try_join(nodes, volumes).await?;
    Ok(NamedRegions { nodes: nodes.into_iter().collect(), volumes })
}

/// A name that no region can have is none.
fn parsed(region: &str) -> Option<Region> {
    Region::parse(TOPOLOGY_REGION, region).ok()
}

fn of_node(node: Object<Option<NotUsed>, NotUsed>) -> Option<Region> {
    parsed(node.metadata.labels?.get(TOPOLOGY_REGION)?)
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VolumeSpec {
    csi: Option<CsiSource>,
    #[serde(default)]
    node_affinity: Value,
}

fn of_volume(volume: Object<VolumeSpec, NotUsed>) -> Option<(String, Vec<Region>)> {
    let handle = volume.spec.csi?.own_handle()?;
    let regions = regions_of(&volume.spec.node_affinity);
    Some((handle, regions.iter().filter_map(|region| parsed(region)).collect()))
}

#[cfg(test)]
mod tests {
    use eck_csi::driver::DRIVER_NAME;
    use serde_json::json;

    use super::*;

    fn volume(driver: &str) -> Option<(String, Vec<Region>)> {
        let expression =
            json!({"key": TOPOLOGY_REGION, "operator": "In", "values": ["fj-xiamen-4", "No Region"]});
        let object = json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv-1"}, "status": {"phase": "Bound"},
            "spec": {
                "csi": {"driver": driver, "volumeHandle": "cd-1"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}},
            },
        });
        of_volume(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn of_the_drivers_volumes_what_can_be_a_region_is_read() {
        let region = Region::parse("region", "fj-xiamen-4").unwrap();
        assert_eq!(volume(DRIVER_NAME), Some(("cd-1".to_owned(), vec![region])));
        assert_eq!(volume("other.csi"), None);
    }

    #[test]
    fn a_nodes_region_is_its_label() {
        let node = |labels: Value| {
            let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": labels}, "spec": {}});
            of_node(serde_json::from_value(object).unwrap())
        };
        assert_eq!(node(json!({TOPOLOGY_REGION: "fj-xiamen-4"})).unwrap().as_str(), "fj-xiamen-4");
        assert_eq!(node(json!({})), None);
    }
}
