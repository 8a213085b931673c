//! How nodes and volumes tell of the driver's disks.

use std::collections::BTreeSet;

use eck_csi::driver::TOPOLOGY_REGION;
use serde_json::Value;

/// The prefix under which the kubelet writes into a node's status which volumes it uses (volume/util, GetUniqueVolumeName).
const IN_USE: &str = "kubernetes.io/csi/eck.csi.k8s.io^";

/// The driver's disks among `status.volumesInUse` of a node.
pub fn disks_in_use(volumes: Option<Vec<String>>) -> BTreeSet<String> {
    let volumes = volumes.unwrap_or_default();
    volumes.iter().filter_map(|volume| volume.strip_prefix(IN_USE)).map(str::to_owned).collect()
}

/// The region that a volume's node affinity names, if it is one.
pub fn region_of(affinity: &Value) -> Option<String> {
    let terms = affinity["required"]["nodeSelectorTerms"].as_array()?;
    let expressions = terms.iter().flat_map(|term| term["matchExpressions"].as_array().into_iter().flatten());
    let mut regions = expressions.filter(|one| one["key"] == TOPOLOGY_REGION && one["operator"] == "In");
    match regions.next()?["values"].as_array()?.as_slice() {
        [region] if regions.next().is_none() => region.as_str().map(str::to_owned),
        _ => None,
    }
}
