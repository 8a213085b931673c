//! Which machine a node id means.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use eck_csi::volume::{NodeId, Region};
use ecx::api::ListInstances;
use ecx::{Client, Error};

/// Instances of one page (ECX-API B.8: 50 is safe in every pool).
const PAGE: u32 = 50;

/// A machine in the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Machine {
    pub(crate) region: Region,
    pub(crate) instance: String,
}

/// Node ids and machines, learnt as we go.
#[derive(Default)]
pub(crate) struct Nodes {
    by_address: Mutex<HashMap<(Region, Ipv4Addr), String>>,
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
                let key = (region.clone(), *ip);
                let known = self.by_address.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
                let instance = match known {
                    Some(instance) => instance,
                    None => match find(client, region, *ip).await? {
                        Some(instance) => instance,
                        None => return Ok(None),
                    },
                };
                let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
                by_address.insert(key, instance.clone());
                Machine { region: region.clone(), instance }
            }
        };
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(machine.instance.clone(), node.clone());
        Ok(Some(machine))
    }

    /// Forgets a machine that the cloud does not know (any more).
    pub(crate) fn forget(&self, instance: &str) {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, i| i != instance);
        self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(instance);
    }

    /// The node id under which a machine's node published volumes; before it did so since our start, the id that a node
    /// with a known instance uses.
    pub(crate) fn name(&self, region: &Region, instance: &str) -> NodeId {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let unseen = || NodeId::Instance { region: region.clone(), instance: instance.to_owned() };
        names.get(instance).cloned().unwrap_or_else(unseen)
    }
}

/// The instance with exactly this private address: the cloud's filter is fuzzy, so 10.0.0.3 also brings 10.0.0.33.
async fn find(client: &Client, region: &Region, ip: Ipv4Addr) -> Result<Option<String>, Error> {
    let wanted = ip.to_string();
    for page_no in 1.. {
        let query = ListInstances {
            region_id: region.to_string(),
            page_no,
            page_size: PAGE,
            keyword: Some(wanted.clone()),
            instance_id_list: None,
        };
        let page = client.list_instances(&query).await?;
        let full = page.results.len() >= PAGE as usize;
        let found = page.results.into_iter().find(|i| i.private_ip.as_deref() == Some(wanted.as_str()));
        if found.is_some() || !full {
            return Ok(found.map(|i| i.instance_id));
        }
    }
    Ok(None)
}
