//! The simulated cloud of a schedule: regions and machines.

use std::collections::BTreeMap;

use ecx_sim::Config;
use ecx_sim::config::{InstanceConfig, Latency, RegionConfig};
use rand::Rng as _;
use rand::rngs::StdRng;

const REGIONS: [&str; 2] = ["zj-shaoxing-2", "fj-xiamen-4"];

/// GiB in stock of the one disk type, and the account's quota: more than a schedule needs.
pub(super) const STOCK: u64 = 10_000;

/// A machine.
pub(super) struct Machine {
    pub(super) region: String,
    pub(super) id: String,
    /// The node id by which callers name it.
    pub(super) node_id: String,
}

/// The machines, and the regions that they are in.
pub(super) struct Topology {
    pub(super) machines: Vec<Machine>,
    pub(super) regions: Vec<String>,
}

/// One or two regions with two or three machines each, which can hold few disks; slow or fast.
pub(super) fn random(rng: &mut StdRng) -> (Topology, Config) {
    let mut topology = Topology { machines: Vec::new(), regions: Vec::new() };
    let mut config = Config { regions: BTreeMap::new(), latency: random_latency(rng), ..Config::default() };
    for (number, code) in REGIONS.into_iter().take(rng.random_range(1..=2)).enumerate() {
        let mut instances = Vec::new();
        for index in 0..rng.random_range(2..=3) {
            let (id, ip) = (format!("evm-{number}-{index}"), format!("10.{number}.0.{}", index + 1));
            let node_id = if rng.random() { format!("{code}/{id}") } else { format!("{code}.{ip}") };
            topology.machines.push(Machine { region: code.to_owned(), id: id.clone(), node_id });
            instances.push(InstanceConfig { id, ip, max_disks: rng.random_range(1..=3) });
        }
        topology.regions.push(code.to_owned());
        let stock = BTreeMap::from([("SAS".to_owned(), STOCK)]);
        config.regions.insert(code.to_owned(), RegionConfig { stock, quota_gib: STOCK, instances });
    }
    (topology, config)
}

fn random_latency(rng: &mut StdRng) -> Latency {
    let slowest = [1, 500, 20_000][rng.random_range(0..3)];
    let mut ms = || rng.random_range(0..=slowest);
    Latency { create: ms(), attach: ms(), detach: ms(), delete: ms(), resize: ms(), ..Latency::default() }
}
