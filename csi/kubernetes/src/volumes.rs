//! How nodes and volumes tell of the driver's disks.

use std::collections::BTreeSet;

use eck_csi::driver::{DRIVER_NAME, TOPOLOGY_REGION};
use serde::Deserialize;
use serde_json::Value;

/// The prefix under which the kubelet writes into a node's status which volumes it uses (volume/util, GetUniqueVolumeName).
const IN_USE: &str = "kubernetes.io/csi/eck.csi.k8s.io^";

/// The driver's disks among `status.volumesInUse` of a node.
pub fn disks_in_use(volumes: Option<Vec<String>>) -> BTreeSet<String> {
    let volumes = volumes.unwrap_or_default();
    volumes.iter().filter_map(|volume| volume.strip_prefix(IN_USE)).map(str::to_owned).collect()
}

/// `spec.csi` of a PersistentVolume.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CsiSource {
    driver: String,
    volume_handle: String,
}

impl CsiSource {
    /// The volume handle, if the volume is the driver's.
    pub fn own_handle(self) -> Option<String> {
        (self.driver == DRIVER_NAME).then_some(self.volume_handle)
    }
}

/// Every region that a volume's node affinity names.
pub fn regions_of(affinity: &Value) -> Vec<String> {
    let terms = affinity["required"]["nodeSelectorTerms"].as_array().into_iter().flatten();
    let expressions = terms.flat_map(|term| term["matchExpressions"].as_array().into_iter().flatten());
    let regions = expressions.filter(|one| one["key"] == TOPOLOGY_REGION && one["operator"] == "In");
    let values = regions.flat_map(|one| one["values"].as_array().into_iter().flatten());
    values.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The region that a volume's node affinity names, if it is one.
pub fn region_of(affinity: &Value) -> Option<String> {
    let mut regions = regions_of(affinity).into_iter();
    regions.next().filter(|_| regions.next().is_none())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn affinity(values: &[&str]) -> Value {
        let expression = json!({"key": TOPOLOGY_REGION, "operator": "In", "values": values});
        json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}})
    }

    #[test]
    fn an_affinity_names_every_region_of_it_and_is_of_one_only_if_it_names_one() {
        assert_eq!(region_of(&affinity(&["a-1"])).as_deref(), Some("a-1"));
        assert_eq!(
            (regions_of(&affinity(&["a-1", "b-2"])).len(), region_of(&affinity(&["a-1", "b-2"]))),
            (2, None)
        );
        assert_eq!((regions_of(&Value::Null).len(), region_of(&Value::Null)), (0, None));
    }
}
