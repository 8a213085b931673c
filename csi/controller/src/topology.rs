//! Regions as CSI's topologies, both ways.

use std::collections::HashMap;

use eck_csi::driver::TOPOLOGY_REGION;
use eck_csi::field::BadField;
use eck_csi::volume::Region;
use proto::csi::v1 as pb;

/// The regions of the topologies in `field`, each once, in their order.
pub(crate) fn regions(field: &str, topologies: &[pb::Topology]) -> Result<Vec<Region>, BadField> {
    let mut regions = Vec::new();
    for (i, topology) in topologies.iter().enumerate() {
        let field = format!("{field}[{i}].segments");
        let value = topology.segments.get(TOPOLOGY_REGION);
        let value = value.ok_or_else(|| {
            let keys: Vec<&str> = topology.segments.keys().map(String::as_str).collect();
            BadField::new(&field, keys.join(","), format!("segments with the key {TOPOLOGY_REGION}"))
        })?;
        let region = Region::parse(&format!("{field}.{TOPOLOGY_REGION}"), value)?;
        if !regions.contains(&region) {
            regions.push(region);
        }
    }
    Ok(regions)
}

/// A region as a topology.
pub(crate) fn topology(region: &Region) -> pb::Topology {
    pb::Topology { segments: HashMap::from([(TOPOLOGY_REGION.to_owned(), region.to_string())]) }
}
