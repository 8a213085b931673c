//! Regions that the settings do not name, as the controller learns them (docs/adr/0021-regions-are-learnt.md).

use std::collections::BTreeSet;

use eck_csi::volume::Region;
use eck_csi_kubernetes::{ClusterError, ClusterRegions};
use futures::future::join_all;

/// The regions of the settings, and after them those that nodes and volumes name and in which the cloud has machines. Of which it does
/// not say so is kept: what cannot be read there is told then.
pub(super) async fn with_learnt(
    configured: Vec<Region>,
    client: &ecx::Client,
    cluster: &dyn ClusterRegions,
) -> Result<Vec<Region>, ClusterError> {
    let named = cluster.named().await?;
    let of_volumes = named.volumes.into_iter().flat_map(|(_, regions)| regions);
    let others: BTreeSet<Region> =
        named.nodes.into_iter().chain(of_volumes).filter(|region| !configured.contains(region)).collect();
    let asked = others.into_iter().map(|region| async move {
        client.has_instances(region.as_str()).await.unwrap_or(true).then_some(region)
    });
    let learnt = join_all(asked).await.into_iter().flatten();
    Ok(configured.into_iter().chain(learnt).collect())
}
