//! What the cloud has in the cluster's regions.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

use eck_csi::cluster::{ClusterIdentity, Whose};
use eck_csi::volume::{DiskId, NodeId, Region};
use ecx::api::{Disk, Instance};
use ecx::lists::InstanceFilter;
use ecx::{Client, Error};
use futures::future::try_join_all;

mod lists;

/// A disk and its region.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Where it is.
    pub region: Region,
    /// The disk.
    pub disk: Disk,
}

impl Placed {
    /// Whose it is to `cluster`, as its mark says.
    pub fn whose(&self, cluster: &ClusterIdentity) -> Whose {
        cluster.whose(self.disk.label_pairs())
    }
}

/// A region's machines.
#[derive(Debug, Clone, Default)]
pub struct Machines {
    ids: HashSet<String>,
    /// `None` for an address that several machines have, as in two VPCs: which of them a node is, it does not say.
    by_address: HashMap<Ipv4Addr, Option<String>>,
}

/// The cloud at one look. A region that is not in it was not looked at.
#[derive(Debug, Clone, Default)]
pub struct Cloud {
    /// Every data disk.
    pub disks: Vec<Placed>,
    /// Machines by region.
    pub machines: HashMap<Region, Machines>,
}

impl Cloud {
    /// The machine of a node, if the cloud has it.
    pub fn machine(&self, node: &NodeId) -> Option<&str> {
        let machines = self.machines.get(node.region()?)?;
        match node {
            NodeId::Instance { instance, .. } => machines.ids.get(instance).map(String::as_str),
            NodeId::Address { ip, .. } => machines.by_address.get(ip)?.as_deref(),
            NodeId::Unknown(_) => None,
        }
    }

    /// Whether the region was looked at.
    pub fn knows(&self, region: &str) -> bool {
        self.machines.keys().any(|known| known.as_str() == region)
    }

    /// Adds a machine with its private addresses.
    pub fn add_machine(&mut self, region: &Region, instance: &str, addresses: &[Ipv4Addr]) {
        let machines = self.machines.entry(region.clone()).or_default();
        machines.ids.insert(instance.to_owned());
        for ip in addresses {
            let machine = machines.by_address.entry(*ip).or_insert_with(|| Some(instance.to_owned()));
            if machine.as_deref() != Some(instance) {
                *machine = None;
            }
        }
    }
}

/// Reads every region; an error in one is an error, since what was not seen is not gone.
pub async fn read(client: &Client, regions: &[Region]) -> Result<Cloud, (Region, Error)> {
    let looks = regions.iter().map(|region| async move {
        let failed = |error| (region.clone(), error);
        let disks = lists::disks(client, region).await.map_err(failed)?;
        let instances = client.list_all_instances(region.as_str(), &InstanceFilter::All).await;
        Ok((region, disks, instances.map_err(failed)?))
    });
    let mut cloud = Cloud::default();
    for (region, disks, instances) in try_join_all(looks).await? {
        cloud.machines.entry(region.clone()).or_default();
        for instance in instances {
            cloud.add_machine(region, &instance.instance_id, &addresses(client, &instance));
        }
        let data =
            |disk: &Disk| disk.is_system_volume != Some(true) && DiskId::parse(&disk.disk_id).is_some();
        let placed = disks.into_iter().filter(data).map(|disk| Placed { region: region.clone(), disk });
        cloud.disks.extend(placed);
    }
    Ok(cloud)
}

/// The addresses by which a node can be this machine: of another VPC than the cluster's, where the profile names one, there are none.
fn addresses(client: &Client, instance: &Instance) -> Vec<Ipv4Addr> {
    let vpc = &client.profile().vpc;
    if instance.may_be_in(vpc) { instance.private_addresses() } else { Vec::new() }
}
