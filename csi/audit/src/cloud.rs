//! What the cloud has in the cluster's regions.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

use eck_csi::driver::DISK_LABEL;
use eck_csi::volume::{DiskId, NodeId, Region};
use ecx::api::{Disk, ListDisks, ListInstances};
use ecx::{Client, Error};
use futures::future::try_join_all;

/// Disks of one page (ecx/API.md B.8: at most 1000).
const DISKS: u32 = 1000;

/// Machines of one page (ecx/API.md B.8: 50 is safe in every pool).
const MACHINES: u32 = 50;

/// A disk and its region.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Where it is.
    pub region: Region,
    /// The disk.
    pub disk: Disk,
}

impl Placed {
    /// The cluster that ordered it, as its label says.
    pub fn cluster(&self) -> Option<&str> {
        self.disk.labels.iter().find(|label| label.key == DISK_LABEL).map(|label| label.value.as_str())
    }
}

/// A region's machines.
#[derive(Debug, Clone, Default)]
pub struct Machines {
    ids: HashSet<String>,
    by_address: HashMap<Ipv4Addr, String>,
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
            NodeId::Address { ip, .. } => machines.by_address.get(ip).map(String::as_str),
            NodeId::Unknown(_) => None,
        }
    }

    /// Whether the region was looked at.
    pub fn knows(&self, region: &str) -> bool {
        self.machines.keys().any(|known| known.as_str() == region)
    }

    /// Adds a machine.
    pub fn add_machine(&mut self, region: &Region, instance: &str, ip: Option<Ipv4Addr>) {
        let machines = self.machines.entry(region.clone()).or_default();
        machines.ids.insert(instance.to_owned());
        machines.by_address.extend(ip.map(|ip| (ip, instance.to_owned())));
    }
}

/// Reads every region; an error in one is an error, since what was not seen is not gone.
pub async fn read(client: &Client, regions: &[Region]) -> Result<Cloud, (Region, Error)> {
    let looks = regions.iter().map(|region| async move {
        let failed = |error| (region.clone(), error);
        let disks = disks(client, region).await.map_err(failed)?;
        Ok((region, disks, instances(client, region).await.map_err(failed)?))
    });
    let mut cloud = Cloud::default();
    for (region, disks, instances) in try_join_all(looks).await? {
        cloud.machines.entry(region.clone()).or_default();
        for (instance, ip) in instances {
            cloud.add_machine(region, &instance, ip);
        }
        let data =
            |disk: &Disk| disk.is_system_volume != Some(true) && DiskId::parse(&disk.disk_id).is_some();
        let placed = disks.into_iter().filter(data).map(|disk| Placed { region: region.clone(), disk });
        cloud.disks.extend(placed);
    }
    Ok(cloud)
}

async fn disks(client: &Client, region: &Region) -> Result<Vec<Disk>, Error> {
    let (mut disks, mut next_token) = (Vec::new(), None);
    loop {
        let query = ListDisks { region_id: region.to_string(), max_results: DISKS, next_token };
        let page = client.list_disks(&query).await?;
        disks.extend(page.disk_list);
        next_token = page.next_token.filter(|token| !token.is_empty());
        if next_token.is_none() {
            return Ok(disks);
        }
    }
}

async fn instances(client: &Client, region: &Region) -> Result<Vec<(String, Option<Ipv4Addr>)>, Error> {
    let mut found = Vec::new();
    for page_no in 1.. {
        let query = ListInstances {
            region_id: region.to_string(),
            page_no,
            page_size: MACHINES,
            keyword: None,
            instance_id_list: None,
        };
        let page = client.list_instances(&query).await?;
        let full = page.results.len() >= MACHINES as usize;
        let ip = |text: Option<String>| text.and_then(|ip| ip.parse().ok());
        found.extend(page.results.into_iter().map(|one| (one.instance_id, ip(one.private_ip))));
        if !full {
            break;
        }
    }
    Ok(found)
}
