//! Which machine has an address. Looked up and remembered for a while; those that are wanted together are looked up together, so that
//! fifty nodes of a region cost a call or two and not fifty.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use eck_csi::volume::Region;
use ecx::lists::InstanceFilter;
use ecx::{Client, Error};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

/// How long a look-up is believed. A node can get another machine under its address, and nobody tells the controller.
const FRESH: Duration = Duration::from_secs(60);

/// The addresses of all regions.
#[derive(Default)]
pub(super) struct Addresses(Mutex<HashMap<Region, Arc<RegionAddresses>>>);

/// A machine that has an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) instance: String,
    pub(super) name: String,
}

/// A region's addresses, and which are wanted.
#[derive(Default)]
struct RegionAddresses {
    known: Mutex<Lookups>,
    /// Who asks the cloud holds this, and asks for all that are wanted by then.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Lookups {
    /// Who has an address, and since when that is known.
    machines: HashMap<Ipv4Addr, (Vec<Candidate>, Instant)>,
    wanted: BTreeSet<Ipv4Addr>,
}

impl Addresses {
    /// Every machine that has this private address: the same address may be given in every VPC of the account.
    pub(super) async fn find(
        &self,
        client: &Client,
        region: &Region,
        ip: Ipv4Addr,
    ) -> Result<Vec<Candidate>, Error> {
        let in_region = self.in_region(region);
        if let Some(machines) = in_region.want(ip) {
            return Ok(machines);
        }
        let _asking = in_region.asking.lock().await;
        let asked = {
            let mut known = in_region.known.lock();
            // Whoever asked before may have asked for us too: then we are not wanted any more, found or not.
            if !known.wanted.contains(&ip) {
                return Ok(known.of(ip).unwrap_or_default());
            }
            std::mem::take(&mut known.wanted)
        };
        let found = ask(client, region, &asked).await;
        let mut known = in_region.known.lock();
        match found {
            Ok(found) => {
                let now = Instant::now();
                known.machines.retain(|_, (_, at)| now.duration_since(*at) < FRESH);
                known.machines.extend(found.into_iter().map(|(ip, machines)| (ip, (machines, now))));
                Ok(known.of(ip).unwrap_or_default())
            }
            Err(error) => {
                // The others ask for themselves.
                known.wanted.extend(asked.into_iter().filter(|other| *other != ip));
                Err(error)
            }
        }
    }

    /// The same, as far as it was looked up a moment ago.
    pub(super) fn known(&self, region: &Region, ip: Ipv4Addr) -> Option<Vec<Candidate>> {
        self.in_region(region).known.lock().of(ip)
    }

    /// Forgets a machine that the cloud does not know (any more).
    pub(super) fn forget(&self, instance: &str) {
        for in_region in self.lock().values() {
            let has = |candidates: &[Candidate]| candidates.iter().any(|one| one.instance == instance);
            in_region.known.lock().machines.retain(|_, (candidates, _)| !has(candidates));
        }
    }

    fn in_region(&self, region: &Region) -> Arc<RegionAddresses> {
        Arc::clone(self.lock().entry(region.clone()).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Region, Arc<RegionAddresses>>> {
        self.0.lock()
    }
}

impl RegionAddresses {
    /// The machines, if they are known; else the address is wanted from now on.
    fn want(&self, ip: Ipv4Addr) -> Option<Vec<Candidate>> {
        let mut known = self.known.lock();
        let machines = known.of(ip);
        if machines.is_none() {
            known.wanted.insert(ip);
        }
        machines
    }
}

impl Lookups {
    fn of(&self, ip: Ipv4Addr) -> Option<Vec<Candidate>> {
        let known = self.machines.get(&ip).filter(|(_, at)| at.elapsed() < FRESH);
        known.map(|(machines, _)| machines.clone())
    }
}

/// Machines by address, all of them: one address is asked for by the cloud's filter, which is fuzzy, so 10.0.0.3 also brings
/// 10.0.0.33; for more all machines of the region are read. What else was read is kept too: in a region of 500 nodes that are wanted
/// one after the other, each would cost ten pages. A filter shows part of the others only, so then the wanted one alone is kept.
async fn ask(
    client: &Client,
    region: &Region,
    wanted: &BTreeSet<Ipv4Addr>,
) -> Result<HashMap<Ipv4Addr, Vec<Candidate>>, Error> {
    let alone = wanted.first().filter(|_| wanted.len() == 1);
    let which = alone.map_or(InstanceFilter::All, |ip| InstanceFilter::Keyword(ip.to_string()));
    let mut found: HashMap<Ipv4Addr, Vec<Candidate>> = HashMap::new();
    for machine in client.list_all_instances(region.as_str(), &which).await? {
        if !machine.may_be_in(&client.profile().vpc) {
            continue;
        }
        for ip in machine.private_addresses().into_iter().collect::<BTreeSet<_>>() {
            if alone.is_none_or(|wanted| *wanted == ip) {
                let (instance, name) = (machine.instance_id.clone(), machine.instance_name.clone());
                found.entry(ip).or_default().push(Candidate { instance, name });
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
