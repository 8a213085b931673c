//! Which machine a node id means.

use std::collections::HashMap;

use eck_csi::volume::{NodeId, Region};
use ecx::{Client, Error};
use parking_lot::Mutex;

mod addresses;

use addresses::Addresses;

/// A machine in the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Machine {
    pub(crate) region: Region,
    pub(crate) instance: String,
}

/// Node ids and machines, learnt as we go.
#[derive(Default)]
pub(crate) struct Nodes {
    by_address: Addresses,
    /// How a machine's node calls itself: what ListVolumes must answer.
    names: Mutex<HashMap<String, NodeId>>,
}

impl Nodes {
    /// The machine of a node; `None` if there is none. An address is looked up once and then remembered: a node that
    /// keeps its name and address but changes its machine also restarts, and a machine that is gone is forgotten.
    pub(crate) async fn resolve(&self, client: &Client, node: &NodeId) -> Result<Option<Machine>, Error> {
        let machine = match node {
            NodeId::Unknown(_) => return Ok(None),
            NodeId::Instance { region, instance } => {
                Machine { region: region.clone(), instance: instance.clone() }
            }
            NodeId::Address { region, ip } => {
                let Some(instance) = self.by_address.find(client, region, *ip).await? else {
                    return Ok(None);
                };
                Machine { region: region.clone(), instance }
            }
        };
        let mut names = self.names.lock();
        names.insert(machine.instance.clone(), node.clone());
        Ok(Some(machine))
    }

    /// Forgets a machine that the cloud does not know (any more).
    pub(crate) fn forget(&self, instance: &str) {
        self.by_address.forget(instance);
        self.names.lock().remove(instance);
    }

    /// The node id under which a machine's node published volumes; before it did so since our start, the id that a node
    /// with a known instance uses.
    pub(crate) fn name(&self, region: &Region, instance: &str) -> NodeId {
        let names = self.names.lock();
        let unseen = || NodeId::Instance { region: region.clone(), instance: instance.to_owned() };
        names.get(instance).cloned().unwrap_or_else(unseen)
    }
}
