//! Which instance has an address. Looked up once and then remembered; those that are wanted together are looked up
//! together, so that fifty nodes of a region cost a call or two and not fifty.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;

use eck_csi::volume::Region;
use ecx::api::ListInstances;
use ecx::{Client, Error};
use parking_lot::{Mutex, MutexGuard};

/// Instances of one page (ECX-API B.8: 50 is safe in every pool).
const PAGE: u32 = 50;

/// The addresses of all regions.
#[derive(Default)]
pub(super) struct Addresses(Mutex<HashMap<Region, Arc<RegionAddresses>>>);

/// A region's addresses, and which are wanted.
#[derive(Default)]
struct RegionAddresses {
    known: Mutex<Lookups>,
    /// Who asks the cloud holds this, and asks for all that are wanted by then.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Lookups {
    instances: HashMap<Ipv4Addr, String>,
    wanted: BTreeSet<Ipv4Addr>,
}

impl Addresses {
    /// The instance with this private address; `None` if there is none.
    pub(super) async fn find(
        &self,
        client: &Client,
        region: &Region,
        ip: Ipv4Addr,
    ) -> Result<Option<String>, Error> {
        let in_region = self.in_region(region);
        if let Some(instance) = in_region.want(ip) {
            return Ok(Some(instance));
        }
        let _asking = in_region.asking.lock().await;
        let asked = {
            let mut known = in_region.lock();
            // Whoever asked before may have asked for us too: then we are not wanted any more, found or not.
            if !known.wanted.contains(&ip) {
                return Ok(known.instances.get(&ip).cloned());
            }
            std::mem::take(&mut known.wanted)
        };
        let found = ask(client, region, &asked).await;
        let mut known = in_region.lock();
        match found {
            Ok(found) => {
                known.instances.extend(found);
                Ok(known.instances.get(&ip).cloned())
            }
            Err(error) => {
                // The others ask for themselves.
                known.wanted.extend(asked.into_iter().filter(|other| *other != ip));
                Err(error)
            }
        }
    }

    /// Forgets an instance that the cloud does not know (any more).
    pub(super) fn forget(&self, instance: &str) {
        for in_region in self.lock().values() {
            in_region.lock().instances.retain(|_, known| known != instance);
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
    /// The instance, if it is known; else the address is wanted from now on.
    fn want(&self, ip: Ipv4Addr) -> Option<String> {
        let mut known = self.lock();
        let instance = known.instances.get(&ip).cloned();
        if instance.is_none() {
            known.wanted.insert(ip);
        }
        instance
    }

    fn lock(&self) -> MutexGuard<'_, Lookups> {
        self.known.lock()
    }
}

/// Instances by address, those that are wanted among them if they exist: one is asked for by the cloud's filter, which
/// is fuzzy, so 10.0.0.3 also brings 10.0.0.33; for more the region's instances are read until all are found. What else
/// was read is kept too: in a region of 500 nodes that are wanted one after the other, each would cost ten pages.
async fn ask(
    client: &Client,
    region: &Region,
    wanted: &BTreeSet<Ipv4Addr>,
) -> Result<HashMap<Ipv4Addr, String>, Error> {
    let keyword = wanted.first().filter(|_| wanted.len() == 1).map(Ipv4Addr::to_string);
    let mut found = HashMap::new();
    for page_no in 1.. {
        let query = ListInstances {
            region_id: region.to_string(),
            page_no,
            page_size: PAGE,
            keyword: keyword.clone(),
            instance_id_list: None,
        };
        let page = client.list_instances(&query).await?;
        let full = page.results.len() >= PAGE as usize;
        for instance in page.results {
            if let Some(ip) = instance.private_ip.and_then(|ip| ip.parse().ok()) {
                found.insert(ip, instance.instance_id);
            }
        }
        if wanted.iter().all(|ip| found.contains_key(ip)) || !full {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ecx::api::Op;
    use ecx_sim::config::InstanceConfig;
    use ecx_sim::{Config, Effect, Fault, Sim};

    const REGION: &str = "zj-shaoxing-2";

    /// A region with 120 machines, 10.0.0.1 and on.
    fn cloud() -> (Sim, Client, Region) {
        let machine =
            |n: u32| InstanceConfig { id: format!("evm-{n}"), ip: format!("10.0.0.{n}"), max_disks: 1 };
        let mut config = Config::default();
        config.regions.get_mut(REGION).unwrap().instances = (1..=120).map(machine).collect();
        let sim = Sim::start(config).unwrap();
        let client = Client::new(sim.profile(), sim.credentials()).unwrap();
        (sim, client, Region::parse("region", REGION).unwrap())
    }

    fn ip(n: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, n)
    }

    #[tokio::test]
    async fn many_wanted_at_once_are_few_calls_and_each_gets_its_own() {
        let (sim, client, region) = cloud();
        let addresses = Addresses::default();
        // Each twice; 10.0.0.200 does not exist.
        let wanted: Vec<u8> = (1..=100).chain(1..=100).chain([200, 200]).collect();
        let finds = wanted.iter().map(|n| addresses.find(&client, &region, ip(*n)));
        let found = futures::future::join_all(finds).await;
        for (n, found) in wanted.iter().zip(found) {
            assert_eq!(found.unwrap(), (*n != 200).then(|| format!("evm-{n}")));
        }
        // The first for itself, in up to three pages since 10.0.0.1 is a part of many; the others in three pages together.
        assert!(sim.calls()[&Op::ListInstances] <= 6, "{:?}", sim.calls());
        let before = sim.calls();
        assert_eq!(addresses.find(&client, &region, ip(7)).await.unwrap().as_deref(), Some("evm-7"));
        assert_eq!(sim.calls(), before);
        addresses.forget("evm-7");
        assert_eq!(addresses.find(&client, &region, ip(7)).await.unwrap().as_deref(), Some("evm-7"));
    }

    #[tokio::test]
    async fn what_was_read_for_some_is_known_for_the_others() {
        let (sim, client, region) = cloud();
        let addresses = Addresses::default();
        // The first for itself, the others together; evm-99 is the last of the last page.
        let finds = [97, 98, 99].map(|n| addresses.find(&client, &region, ip(n)));
        futures::future::join_all(finds)
            .await
            .into_iter()
            .for_each(|found| assert!(found.unwrap().is_some()));
        let before = sim.calls();
        for n in 1..=120 {
            let found = addresses.find(&client, &region, ip(n)).await;
            assert_eq!(found.unwrap(), Some(format!("evm-{n}")));
        }
        assert_eq!(sim.calls(), before);
    }

    #[tokio::test]
    async fn a_failed_lookup_fails_one_and_the_others_ask_for_themselves() {
        let (sim, client, region) = cloud();
        let addresses = Addresses::default();
        let attempts = client.profile().attempts;
        let effect = Effect::Http { status: 500 };
        sim.fault(Fault { op: Some(Op::ListInstances), contains: None, skip: 0, count: attempts, effect });
        let finds = (1..=3).map(|n| addresses.find(&client, &region, ip(n)));
        let found = futures::future::join_all(finds).await;
        assert!(found[0].is_err());
        assert_eq!(found[1].as_ref().unwrap().as_deref(), Some("evm-2"));
        assert_eq!(found[2].as_ref().unwrap().as_deref(), Some("evm-3"));
    }
}
