//! When a disk may leave a node that is cut off: a pure decision.
//!
//! kube-controller-manager asks for a detach in three cases: the kubelet has let go of the volume; six minutes have passed since the pod
//! was deleted and the node is not ready; or somebody has tainted the node out of service. All three come as the same request
//! (kubernetes, `attachdetach/reconciler`). In the second the machine may well run and write: taking its disk then tears the journal,
//! and two machines hold one file system. So the kubelet's last word is looked at, and where the disk is still in use by that word the
//! cloud must say that the machine is off.

use std::sync::Arc;

use eck_csi_fencing::{Node, Nodes, OutOfService};
use eck_csi_kubernetes::Millis;

use crate::args::DetachPolicy;
use crate::machines::MachineState;

/// A kubelet that comes back needs so long at most to end the pods that were deleted meanwhile and to unmount, in milliseconds: 30 s of
/// grace for the pods, as much for killing and unmounting, and the post. For longer a kubelet that is there is not waited for: it lists a
/// volume that it is about to mount as well, and waits for the attach, which waits for this detach.
const COMES_BACK: Millis = 120_000;

/// The policy, and whom to ask about nodes.
pub(crate) struct DetachGuard {
    pub(crate) policy: DetachPolicy,
    pub(crate) nodes: Arc<dyn Nodes>,
    /// The time of day, for the times that nodes tell.
    pub(crate) now: fn() -> Millis,
}

/// A kubelet and the disk that is to leave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kubelet {
    /// It does not use the disk, by its last word.
    LetGo,
    /// It is there, and lists the disk.
    Ready,
    /// The same, and it has only just come back.
    JustBack,
    /// It was not heard of, or is not well, and lists the disk.
    Silent(OutOfService),
    /// There is no such node any more, and so no word of a kubelet.
    Gone,
}

impl Kubelet {
    /// Of the node at this time.
    pub(crate) fn of(node: &Node, disk: &str, now: Millis) -> Self {
        let back = |since: Millis| now.abs_diff(since) < COMES_BACK;
        match (node.in_use.contains(disk), node.ready) {
            (false, _) => Self::LetGo,
            (true, true) if node.since.is_some_and(back) => Self::JustBack,
            (true, true) => Self::Ready,
            (true, false) => Self::Silent(node.out_of_service),
        }
    }

    /// For messages: the kubelet of NODE …
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::LetGo => "does not use it,",
            Self::Ready | Self::JustBack => "uses it,",
            Self::Silent(_) => "used it when it was last heard of,",
            Self::Gone => "is not known any more, for the Node object is gone,",
        }
    }
}

/// What the node's side comes to. The later one is the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ruling {
    /// The disk may go.
    Detach,
    /// Only if the machine is off.
    IfOff,
    /// Not now.
    Wait,
}

/// What the policy makes of the kubelet.
pub(crate) fn rule(policy: DetachPolicy, kubelet: Kubelet) -> Ruling {
    match (policy, kubelet) {
        // It has unmounted: nothing of the disk is in that machine's memory.
        (_, Kubelet::LetGo) => Ruling::Detach,
        // A kubelet that is there lists what it mounts and what it waits for. Kubernetes asks only when it has unmounted, so this is the
        // latter, or the word of a person who deleted the VolumeAttachment.
        (_, Kubelet::Ready) => Ruling::Detach,
        // The detach was asked for while it was away; now it can unmount by itself, and soon will have.
        (_, Kubelet::JustBack) => Ruling::Wait,
        // Somebody answers for it that the machine is off.
        (DetachPolicy::AfterTaint, Kubelet::Silent(OutOfService::ByOthers)) => Ruling::Detach,
        // Our own taint says no more than what the cloud said then: it is asked again.
        (DetachPolicy::AfterTaint, Kubelet::Silent(OutOfService::ByUs | OutOfService::No)) => Ruling::IfOff,
        (DetachPolicy::Never, Kubelet::Silent(_)) => Ruling::IfOff,
        // Who deletes the Node of a machine that is cut off has not stopped its pods.
        (_, Kubelet::Gone) => Ruling::IfOff,
    }
}

/// Whether a machine of which this is said can write no more.
pub(crate) fn is_dead(state: &MachineState) -> bool {
    match state {
        // Its memory is lost.
        MachineState::Off => true,
        // The whole list of the region has it no more.
        MachineState::Absent => true,
        // It runs, starts, stops or sleeps, and what is mounted may be written.
        MachineState::On(_) => false,
        // What is not known may be that it runs.
        MachineState::Unclear(_) => false,
    }
}

/// What a person can do, for messages.
pub(crate) fn remedy(policy: DetachPolicy, kubelet: Kubelet) -> &'static str {
    match (policy, kubelet) {
        (DetachPolicy::AfterTaint, Kubelet::Silent(_)) => {
            "Stop the machine in the ECX console; or, if it is off for sure, kubectl taint node NODE \
             node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"
        }
        (DetachPolicy::AfterTaint | DetachPolicy::Never, _) => {
            "Stop the machine in the ECX console, or bring its node back"
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
