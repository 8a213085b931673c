//! What the cloud has in the cluster's regions.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::Ipv4Addr;

use eck_csi::cluster::{ClusterIdentity, Whose};
use eck_csi::volume::{DiskId, NodeId, Region};
use ecx::api::{Disk, Instance};
use ecx::lists::InstanceFilter;
use ecx::{Client, Error};
use futures::future::join_all;

mod lists;

use lists::Seen;

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

/// What could not be read in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// What, and why.
    pub reason: String,
    /// Disks may be left out, and not machines alone.
    pub disks: bool,
}

/// The cloud at one look. A region that is not in it was not looked at.
#[derive(Debug, Clone, Default)]
pub struct Cloud {
    /// Data disks: every one, of regions whose disks could all be read.
    pub disks: Vec<Placed>,
    /// Machines by region.
    pub machines: HashMap<Region, Machines>,
    /// Regions of which something could not be read: what is not seen there is not gone.
    pub unread: BTreeMap<Region, Unread>,
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

    /// Whether every disk of the region was seen; without a region, of each of them.
    pub fn shows_all_disks(&self, region: Option<&str>) -> bool {
        let mut cut =
            self.unread.iter().filter(|(_, unread)| unread.disks).map(|(region, _)| region.as_str());
        match region {
            Some(region) => {
                let looked = self.machines.keys().any(|known| known.as_str() == region);
                looked && !cut.any(|cut| cut == region)
            }
            None => cut.next().is_none(),
        }
    }

    /// Notes what could not be read in a region, beside what is known already.
    pub fn lacks(&mut self, region: &Region, disks: bool, reason: &str) {
        let unread = self.unread.entry(region.clone());
        let unread = unread.or_insert_with(|| Unread { reason: String::new(), disks });
        unread.disks |= disks;
        let and = if unread.reason.is_empty() { "" } else { "; " };
        unread.reason = format!("{}{and}{reason}", unread.reason);
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

/// Reads every region. One that does not answer, and a list that does not show all, blind to themselves alone; an error if no region
/// shows its disks.
pub async fn read(client: &Client, regions: &[Region]) -> Result<Cloud, (Region, Error)> {
    let looks = regions.iter().map(|region| async move {
        let disks = lists::disks(client, region).await.map_err(|error| (region.clone(), error))?;
        let machines = client.list_all_instances(region.as_str(), &InstanceFilter::All).await;
        Ok((region, disks, machines))
    });
    let (mut cloud, mut silent) = (Cloud::default(), Vec::new());
    for look in join_all(looks).await {
        match look {
            Ok((region, disks, machines)) => add(&mut cloud, client, region, disks, machines),
            Err(error) => silent.push(error),
        }
    }
    if cloud.machines.is_empty() && !silent.is_empty() {
        return Err(silent.swap_remove(0));
    }
    for (region, error) in silent {
        cloud.lacks(&region, true, &error.to_string());
    }
    Ok(cloud)
}

/// Adds what a region shows.
fn add(
    cloud: &mut Cloud,
    client: &Client,
    region: &Region,
    seen: Seen,
    machines: Result<Vec<Instance>, Error>,
) {
    if let Some(left_out) = seen.left_out {
        cloud.lacks(region, true, &left_out);
    }
    cloud.machines.entry(region.clone()).or_default();
    match machines {
        Ok(machines) => {
            for machine in machines {
                cloud.add_machine(region, &machine.instance_id, &addresses(client, &machine));
            }
        }
        Err(error) => cloud.lacks(region, false, &error.to_string()),
    }
    let data = |disk: &Disk| disk.is_system_volume != Some(true) && DiskId::parse(&disk.disk_id).is_some();
    let placed = seen.disks.into_iter().filter(data).map(|disk| Placed { region: region.clone(), disk });
    cloud.disks.extend(placed);
}

/// The addresses by which a node can be this machine: of another VPC than the cluster's, where the profile names one, there are none.
fn addresses(client: &Client, instance: &Instance) -> Vec<Ipv4Addr> {
    let vpc = &client.profile().vpc;
    if instance.may_be_in(vpc) { instance.private_addresses() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted_cloud::scripted;

    const DISK: &str = r#"{"statusCode":800,"returnObj":{"diskList":[{"diskID":"cd-1"}],"totalCount":1}}"#;
    const ODD: &str = r#"{"statusCode":800,"returnObj":{"diskList":[{"diskID":"cd-1"},{}],"totalCount":2}}"#;
    const MACHINE: &str =
        r#"{"statusCode":800,"returnObj":{"results":[{"instanceID":"evm-1"}],"totalCount":1}}"#;
    const ODD_MACHINE: &str = r#"{"statusCode":800,"returnObj":{"results":[{}],"totalCount":1}}"#;

    /// What is read of these regions, of a cloud that answers so.
    async fn look(regions: &[&str], replies: &[(u16, &str)]) -> Result<Cloud, (Region, Error)> {
        let client = scripted(replies.iter().map(|(http, body)| (*http, (*body).to_owned())));
        let regions: Vec<_> = regions.iter().map(|code| Region::parse("region", code).unwrap()).collect();
        read(&client, &regions).await
    }

    #[tokio::test]
    async fn an_odd_record_hides_no_other_one_and_is_told() {
        let cloud = look(&["a-1"], &[(200, ODD), (200, MACHINE)]).await.unwrap();
        assert_eq!(cloud.disks.len(), 1);
        assert!(!cloud.shows_all_disks(Some("a-1")));
        let unread: Vec<_> = cloud.unread.values().map(|unread| unread.reason.as_str()).collect();
        assert_eq!(unread, ["the list of disks has 1 records that cannot be read"]);
        let cloud = look(&["a-1"], &[(200, DISK), (200, ODD_MACHINE)]).await.unwrap();
        assert!(cloud.shows_all_disks(Some("a-1")) && cloud.shows_all_disks(None));
        assert!(
            cloud.unread.values().all(|unread| unread.reason.contains("1 records")),
            "{:?}",
            cloud.unread
        );
        assert_eq!(cloud.unread.len(), 1);
    }

    #[tokio::test]
    async fn a_region_that_does_not_answer_hides_no_other_one() {
        let cloud = look(&["a-1", "b-1"], &[(500, ""), (200, DISK), (200, MACHINE)]).await.unwrap();
        assert!(!cloud.shows_all_disks(Some("a-1")) && cloud.shows_all_disks(Some("b-1")));
        assert!(!cloud.shows_all_disks(None), "a volume that names no region may be there");
        assert_eq!(cloud.disks.iter().map(|placed| placed.region.as_str()).collect::<Vec<_>>(), ["b-1"]);
        let (region, _) = look(&["a-1", "b-1"], &[(500, ""), (500, "")]).await.unwrap_err();
        assert_eq!(region.as_str(), "a-1");
    }
}
