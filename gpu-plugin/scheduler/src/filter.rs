//! Filter: every node that has room, and for every other one the numbers that say why not.

use ideal_gpu::place::{Policy, Why, fits};
use ideal_gpu::pod::PodSpecError;

use crate::cluster::{Cluster, Placement};
use crate::pod::Request;

/// What a node is for a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Room.
    Fits,
    /// No room now.
    Full(Why),
    /// Never, or not before the node itself changes.
    Never(Why),
    /// The pod's earlier Binding to another node may still arrive.
    Promised(String),
}

impl Verdict {
    fn of(result: Result<(), Why>) -> Self {
        match result {
            Ok(()) => Self::Fits,
            // Evicting pods brings no cards.
            Err(why @ (Why::NoCards | Why::FewCards { .. })) => Self::Never(why),
            Err(why) => Self::Full(why),
        }
    }

    /// For people, unless the node fits.
    pub(crate) fn reason(&self) -> Option<String> {
        match self {
            Self::Fits => None,
            Self::Full(why) | Self::Never(why) => Some(why.to_string()),
            Self::Promised(node) => {
                Some(format!("the outcome of an earlier binding to {node} is not known yet"))
            }
        }
    }

    /// For counting.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Fits => "fits",
            Self::Promised(_) => "promised elsewhere",
            Self::Full(why) | Self::Never(why) => kind(why),
        }
    }
}

/// A reason's name, without its numbers.
pub(crate) fn kind(why: &Why) -> &'static str {
    match why {
        Why::NoCards => "no cards",
        Why::FewCards { .. } => "too few cards",
        Why::Devices { .. } => "no device",
        Why::Undecided { .. } => "undecided pods",
        Why::NoRoom { .. } => "no room",
    }
}

/// Every node's verdict, in the order of `names`. The pod's own annotation of a decision plays no part: it is not bound.
pub fn filter<'n>(
    cluster: &Cluster,
    uid: &str,
    request: Result<Option<&Request>, &PodSpecError>,
    policy: Policy,
    names: impl Iterator<Item = &'n str>,
) -> Vec<(&'n str, Verdict)> {
    let request = match request {
        Ok(Some(request)) => request,
        Ok(None) | Err(_) => return names.map(|name| (name, Verdict::Fits)).collect(),
    };
    if let Some(Placement::Promised { node, .. }) = cluster.place(uid) {
        // Only there can the promise be kept; elsewhere it would be a second one.
        let verdict = |name| if name == node { Verdict::Fits } else { Verdict::Promised(node.clone()) };
        return names.map(|name| (name, verdict(name))).collect();
    }
    let policy = request.policies.card.unwrap_or(policy);
    cluster.with_nodes(names, |name, node| {
        (name, Verdict::of(node.ok_or(Why::NoCards).and_then(|node| fits(node, &request.plan, policy))))
    })
}
