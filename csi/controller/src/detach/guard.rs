//! Asks the API server, and where that decides nothing the cloud, before a disk leaves a node.

use eck_csi::volume::{DiskId, NodeId, Region};

use crate::detach_policy::{DetachGuard, Kubelet, Ruling, is_dead, remedy, rule};
use crate::driver::Driver;
use crate::error::DetachError;
use crate::machines::MachineState;
use crate::nodes::Resolved;

/// Whether the disk may go whatever the cloud says of the machine.
pub(super) async fn has_let_go(
    driver: &Driver,
    disk: &DiskId,
    node: Option<&NodeId>,
) -> Result<bool, DetachError> {
    let Some((guard, node)) = guarded(driver, node) else { return Ok(true) };
    Ok(ask(guard, disk, node).await?.0 == Ruling::Detach)
}

/// An error if the disk must not leave the machine now.
pub(super) async fn permit(
    driver: &Driver,
    region: &Region,
    disk: &DiskId,
    node: Option<&NodeId>,
    instance: Option<&str>,
) -> Result<(), DetachError> {
    let Some((guard, node)) = guarded(driver, node) else { return Ok(()) };
    let (ruling, kubelet) = ask(guard, disk, node).await?;
    match ruling {
        Ruling::Detach => Ok(()),
        Ruling::Wait => Err(DetachError::JustBack { disk: disk.to_string(), node: node.to_string() }),
        Ruling::IfOff => {
            let state = state(driver, region, disk, node, instance).await?;
            if is_dead(&state) {
                return Ok(());
            }
            Err(DetachError::CutOff {
                disk: disk.to_string(),
                machine: instance.unwrap_or("its machine").to_owned(),
                node: node.to_string(),
                kubelet: kubelet.words(),
                state: state.to_string(),
                remedy: remedy(guard.policy, kubelet),
            })
        }
    }
}

/// Kubernetes names the node in each request. Who names none wants the disk off every machine, whatever that costs.
fn guarded<'a>(driver: &'a Driver, node: Option<&'a NodeId>) -> Option<(&'a DetachGuard, &'a NodeId)> {
    driver.detach_guard.as_ref().zip(node)
}

/// The strictest ruling of the nodes that are called so.
async fn ask(guard: &DetachGuard, disk: &DiskId, node: &NodeId) -> Result<(Ruling, Kubelet), DetachError> {
    let failed = |source| DetachError::Cluster { disk: disk.to_string(), node: node.to_string(), source };
    let nodes = guard.nodes.called(node).await.map_err(failed)?;
    let now = (guard.now)();
    let rulings = nodes.iter().map(|node| {
        let kubelet = Kubelet::of(node, disk.as_str(), now);
        (rule(guard.policy, kubelet), kubelet)
    });
    let gone = (rule(guard.policy, Kubelet::Gone), Kubelet::Gone);
    Ok(rulings.max_by_key(|(ruling, _)| *ruling).unwrap_or(gone))
}

/// What the cloud says of the machine that is to lose the disk; of the node's, if the cloud does not name the holder.
async fn state(
    driver: &Driver,
    region: &Region,
    disk: &DiskId,
    node: &NodeId,
    instance: Option<&str>,
) -> Result<MachineState, DetachError> {
    let cloud = |source| DetachError::Cloud { disk: disk.to_string(), source };
    let resolved = match instance {
        Some(instance) => instance.to_owned(),
        None => match driver.nodes.resolve(&driver.client, node).await.map_err(cloud)? {
            Resolved::One(machine) => machine.instance,
            Resolved::None | Resolved::Several(_) => {
                return Ok(MachineState::Unclear("which machine holds the disk is not known"));
            }
        },
    };
    driver.machines.state(&driver.client, region, &resolved).await.map_err(cloud)
}

#[cfg(test)]
mod tests;
