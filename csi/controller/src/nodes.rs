//! Which machine a node id means. A machine is the node's only if exactly one can be: an address is one VPC's, not the account's.

use std::sync::Arc;

use eck_csi::recent::{NODES, Recent};
use eck_csi::volume::{NodeId, Region};
use eck_csi_fencing::Nodes as ClusterNodes;
use ecx::api::Instance;
use ecx::{Client, Error};
use parking_lot::Mutex;

mod addresses;

use addresses::{Addresses, Candidate};

/// A machine in the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Machine {
    pub(crate) region: Region,
    pub(crate) instance: String,
}

/// What a node id stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resolved {
    One(Machine),
    /// No machine that the cloud shows.
    None,
    /// Any of these: nothing that is known of the node decides.
    Several(Vec<String>),
}

/// Whether a machine that holds a disk is the node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    Same,
    Other,
    /// The cloud does not tell enough of it.
    Unknown,
}

impl Identity {
    /// Of a machine of `region`, by what the cloud tells of it.
    pub(crate) fn of(shown: &Instance, region: &Region, node: &NodeId) -> Self {
        let addresses = shown.private_addresses();
        match node {
            NodeId::Instance { instance, .. } if *instance == shown.instance_id => Self::Same,
            NodeId::Instance { .. } => Self::Other,
            _ if shown.instance_name == node.to_string() => Self::Same,
            NodeId::Address { region: of_node, ip } if of_node == region && addresses.contains(ip) => {
                Self::Same
            }
            NodeId::Address { region: of_node, .. } if of_node != region || !addresses.is_empty() => {
                Self::Other
            }
            NodeId::Address { .. } | NodeId::Unknown(_) => Self::Unknown,
        }
    }
}

/// Node ids and machines, learnt as we go.
#[derive(Default)]
pub(crate) struct Nodes {
    by_address: Addresses,
    /// Who is asked which machine a node says that it is, if anybody is.
    objects: Option<Arc<dyn ClusterNodes>>,
    /// How a machine's node calls itself: what ListVolumes must answer.
    names: Mutex<Recent<String, NodeId, NODES>>,
}

impl Nodes {
    /// The same; where an address leaves it open the node's object is asked.
    pub(crate) fn asking(self, objects: Arc<dyn ClusterNodes>) -> Self {
        Self { objects: Some(objects), ..self }
    }

    /// The machine of a node. An address is looked up, and the answer believed for a while.
    pub(crate) async fn resolve(&self, client: &Client, node: &NodeId) -> Result<Resolved, Error> {
        let machine = match node {
            NodeId::Unknown(_) => return Ok(Resolved::None),
            NodeId::Instance { region, instance } => {
                Machine { region: region.clone(), instance: instance.clone() }
            }
            NodeId::Address { region, ip } => {
                let candidates = self.by_address.find(client, region, *ip).await?;
                let one = match only(&candidates, node) {
                    Some(one) => Some(one.instance.clone()),
                    None => self.told(client, region, node, &candidates).await?,
                };
                match one {
                    Some(instance) => Machine { region: region.clone(), instance },
                    None if candidates.is_empty() => return Ok(Resolved::None),
                    None => {
                        let ids = candidates.into_iter().map(|candidate| candidate.instance);
                        return Ok(Resolved::Several(ids.collect()));
                    }
                }
            }
        };
        self.names.lock().insert(machine.instance.clone(), node.clone());
        Ok(Resolved::One(machine))
    }

    /// The machine that the node's object names, if the cloud proves it: it is one of those that have the address; or, where none shows
    /// it, it is in the node's region and tells no other. That the object cannot be read decides nothing.
    async fn told(
        &self,
        client: &Client,
        region: &Region,
        node: &NodeId,
        candidates: &[Candidate],
    ) -> Result<Option<String>, Error> {
        let Some(objects) = &self.objects else { return Ok(None) };
        let nodes = objects.called(node).await.unwrap_or_else(|error| {
            tracing::warn!(%node, error = serve::chain::chain(&error), "Which machine the node is cannot be read");
            Vec::new()
        });
        let Some(told) = same(nodes.into_iter().map(|node| node.instance)) else { return Ok(None) };
        if !candidates.is_empty() {
            return Ok(Some(told).filter(|told| candidates.iter().any(|one| one.instance == *told)));
        }
        let shown = client.find_instance(region.as_str(), &told).await?;
        let fits = shown.is_some_and(|shown| Identity::of(&shown, region, node) != Identity::Other);
        Ok(Some(told).filter(|_| fits))
    }

    /// The machine of a node, if no call of the cloud is needed to tell.
    pub(crate) fn known(&self, node: &NodeId) -> Option<String> {
        match node {
            NodeId::Unknown(_) => None,
            NodeId::Instance { instance, .. } => Some(instance.clone()),
            NodeId::Address { region, ip } => {
                only(&self.by_address.known(region, *ip)?, node).map(|one| one.instance.clone())
            }
        }
    }

    /// Whether `holder`, which has a disk of `region`, is the machine of `node`: what the cloud tells of that machine decides, and what
    /// it does not tell decides nothing.
    pub(crate) async fn identity(
        &self,
        client: &Client,
        region: &Region,
        holder: &str,
        node: &NodeId,
    ) -> Result<Identity, Error> {
        if let NodeId::Instance { instance, .. } = node {
            return Ok(if instance == holder { Identity::Same } else { Identity::Other });
        }
        let shown = client.find_instance(region.as_str(), holder).await?;
        Ok(shown.map_or(Identity::Unknown, |shown| Identity::of(&shown, region, node)))
    }

    /// Whether the machine tells that it has the disk.
    pub(crate) async fn shows(&self, client: &Client, machine: &Machine, disk: &str) -> Result<bool, Error> {
        let shown = client.find_instance(machine.region.as_str(), &machine.instance).await?;
        Ok(shown.is_some_and(|shown| shown.attached_volume.iter().any(|volume| volume == disk)))
    }

    /// Forgets a machine that the cloud does not know (any more).
    pub(crate) fn forget(&self, instance: &str) {
        self.by_address.forget(instance);
        self.names.lock().remove(instance);
    }

    /// The node id under which a machine's node published volumes; before it did so since our start, the id that a node
    /// with a known instance uses.
    pub(crate) fn name(&self, region: &Region, instance: &str) -> NodeId {
        let mut names = self.names.lock();
        let unseen = || NodeId::Instance { region: region.clone(), instance: instance.to_owned() };
        names.get(instance).cloned().unwrap_or_else(unseen)
    }
}

/// The one machine that the node can be: the only one, or the only one that is called as the node is.
fn only<'a>(candidates: &'a [Candidate], node: &NodeId) -> Option<&'a Candidate> {
    if let [one] = candidates {
        return Some(one);
    }
    let name = node.to_string();
    let mut named = candidates.iter().filter(|candidate| candidate.name == name);
    named.next().filter(|_| named.next().is_none())
}

/// What all say, if they say the same.
fn same(mut told: impl Iterator<Item = Option<String>>) -> Option<String> {
    let first = told.next()??;
    told.all(|other| other.as_ref() == Some(&first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(instance: &str, name: &str) -> Candidate {
        Candidate { instance: instance.into(), name: name.into() }
    }

    /// Finding D17.
    #[tokio::test(start_paused = true)]
    async fn a_machine_that_no_node_has_any_more_is_forgotten() {
        let driver = crate::local_cloud::LocalCloud::new().driver();
        let here = Region::parse("region", "a-1").unwrap();
        for n in 0..3 * NODES {
            let node = NodeId::Instance { region: here.clone(), instance: format!("evm-{n}") };
            driver.nodes.resolve(&driver.client, &node).await.unwrap();
        }
        let known = driver.nodes.names.lock().len();
        assert!((NODES..=2 * NODES).contains(&known), "{known}");
    }

    #[test]
    fn of_several_machines_only_one_that_has_the_nodes_name_is_the_node() {
        let node = NodeId::parse("fj-xiamen-4.172.16.0.6".into()).unwrap();
        let (mine, other) = (candidate("evm-1", "fj-xiamen-4.172.16.0.6"), candidate("evm-2", "other"));
        assert_eq!(only(&[other.clone(), mine.clone()], &node), Some(&mine));
        assert_eq!(only(std::slice::from_ref(&other), &node), Some(&other));
        assert_eq!(only(&[mine.clone(), mine], &node), None);
        assert_eq!(only(&[other.clone(), candidate("evm-3", "")], &node), None);
        assert_eq!(only(&[], &node), None);
    }

    #[test]
    fn objects_that_name_two_machines_name_none() {
        let told = |all: &[Option<&str>]| same(all.iter().map(|one| one.map(str::to_owned)));
        assert_eq!(told(&[Some("evm-1"), Some("evm-1")]).as_deref(), Some("evm-1"));
        for none in [&[] as &[_], &[None], &[Some("evm-1"), None], &[Some("evm-1"), Some("evm-2")]] {
            assert_eq!(told(none), None, "{none:?}");
        }
    }
}
