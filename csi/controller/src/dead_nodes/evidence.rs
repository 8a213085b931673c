//! Whose machine a node is, and whether that machine is off: a pure decision.

use std::collections::BTreeSet;

use eck_csi::volume::{NodeId, Region};
use ecx::api::Instance;

use crate::machines::MachineState;
use crate::nodes::Identity;

/// What is known of the machine of a node that is not ready.
pub(crate) struct Evidence<'a> {
    pub(crate) node: &'a NodeId,
    pub(crate) region: &'a Region,
    /// The machines that hold disks which the node's kubelet uses, by each disk's own word.
    pub(crate) holders: BTreeSet<String>,
    /// How many disks told.
    pub(crate) witnesses: usize,
    /// Every machine of the region.
    pub(crate) machines: &'a [Instance],
    /// The cluster's VPC, empty if it is not told.
    pub(crate) vpc: &'a str,
}

/// Whether the node's machine is off. Two things must name one machine: what the node is called, and the disks that it uses. An address
/// can have moved, or be given twice; a list can leave a machine out; both together with the disks are no accident.
pub(crate) fn judge(evidence: &Evidence<'_>) -> MachineState {
    let Evidence { node, region, holders, witnesses, machines, vpc } = evidence;
    let same =
        |machine: &&Instance| machine.may_be_in(vpc) && Identity::of(machine, region, node) == Identity::Same;
    let named: Vec<&Instance> = machines.iter().filter(same).collect();
    let holders: Vec<&String> = holders.iter().collect();
    match (named.as_slice(), holders.as_slice()) {
        _ if *witnesses == 0 => MachineState::Unclear("no disk that the node uses tells where it is"),
        ([machine], [holder]) if machine.instance_id == **holder => MachineState::of(machine),
        // It is gone, and every disk has left it.
        ([], []) if !machines.is_empty() => MachineState::Absent,
        ([], []) => MachineState::Unclear("the cloud shows no machine in its region at all"),
        ([_, _, ..], _) => MachineState::Unclear("several machines can be the node"),
        (_, [_, _, ..]) => MachineState::Unclear("several machines hold disks that the node uses"),
        ([_], [_]) => MachineState::Unclear("another machine than the node's holds disks that it uses"),
        ([_], []) => MachineState::Unclear("the node's machine holds none of the disks that it uses"),
        ([], [_]) => MachineState::Unclear("the cloud does not show the machine that holds its disks"),
    }
}

#[cfg(test)]
mod tests;
