//! What the simulated cloud consists of at its birth.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ecx::api::Op;
use serde::{Deserialize, Serialize};

use crate::limit::Rate;

/// One TOML file, or [`Config::default`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `127.0.0.1:0` unless said; only loopback is accepted.
    pub listen: String,
    /// Where state and disks live; `None` keeps the state in memory and needs `data_plane = "none"`.
    pub state_dir: Option<PathBuf>,
    /// Whether disks are real.
    pub data_plane: PlaneKind,
    /// Where each instance's sysfs-like tree is made: `<nodes_dir>/<instance>/sys`.
    pub nodes_dir: Option<PathBuf>,
    /// Bytes of one "GiB" on the data plane; less than 2³⁰ makes small disks for quick tests.
    pub unit_bytes: u64,
    /// Key pairs: AK → SK.
    pub keys: BTreeMap<String, String>,
    /// Regions by code.
    pub regions: BTreeMap<String, RegionConfig>,
    /// How long things take.
    pub latency: Latency,
    /// Time moves only when told.
    pub stepped: bool,
    /// The cloud's clock minus the true one, in seconds.
    pub clock_skew_s: i64,
    /// Request ids seen in the last 15 minutes are refused.
    pub refuse_replays: bool,
    /// States are spelled with their other official names (`attached`, `diskAttaching`, …).
    pub alias_states: bool,
    /// Paths that differ from the default, by operation: those of calls that ECX is not known to have.
    pub paths: BTreeMap<Op, String>,
    /// What one account may send; anything without it.
    pub rate: Option<Rate>,
    /// Seed of random faults; `None` for none.
    pub fault_seed: Option<u64>,
    /// Share of requests that a random fault hits, 0 to 1.
    pub fault_rate: f64,
}

/// Whether disks are real.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum PlaneKind {
    /// State only.
    None,
    /// Sparse files; an attach is a loop device and an entry in the instance's sysfs tree.
    Loop,
    /// Sparse files; an attach plugs a virtio disk into the virtual machine whose QEMU listens at
    /// `<nodes_dir>/<instance>/qmp.sock`.
    Qemu,
}

/// A region.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionConfig {
    /// GiB in stock by disk type.
    pub stock: BTreeMap<String, u64>,
    /// GiB the account may hold.
    pub quota_gib: u64,
    /// Machines.
    pub instances: Vec<InstanceConfig>,
}

/// A machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceConfig {
    /// Opaque id, `evm-…`.
    pub id: String,
    /// Private address.
    pub ip: String,
    /// Data disks it can hold.
    #[serde(default = "hundred")]
    pub max_disks: usize,
}

fn hundred() -> usize {
    100
}

/// Milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Latency {
    pub reply: u64,
    pub create: u64,
    pub attach: u64,
    pub detach: u64,
    pub delete: u64,
    pub resize: u64,
    pub snapshot: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { reply: 2, create: 200, attach: 300, detach: 200, delete: 100, resize: 100, snapshot: 100 }
    }
}

impl Default for Config {
    fn default() -> Self {
        let keys = BTreeMap::from([(
            "0123456789abcdef0123456789abcdef".to_owned(),
            "fedcba9876543210fedcba9876543210".to_owned(),
        )]);
        let regions = [
            ("zj-shaoxing-2", ["10.0.0.3", "10.0.0.4"]),
            ("fj-xiamen-4", ["172.16.0.6", "172.16.0.7"]),
            ("hi-haikou-6", ["192.168.0.3", "192.168.0.4"]),
        ];
        Self {
            listen: "127.0.0.1:0".to_owned(),
            state_dir: None,
            data_plane: PlaneKind::None,
            nodes_dir: None,
            unit_bytes: 1 << 30,
            keys,
            regions: regions.map(|(code, ips)| (code.to_owned(), region(code, ips))).into(),
            latency: Latency::default(),
            stepped: false,
            clock_skew_s: 0,
            refuse_replays: false,
            alias_states: false,
            rate: None,
            paths: BTreeMap::new(),
            fault_seed: None,
            fault_rate: 0.02,
        }
    }
}

fn region(code: &str, ips: [&str; 2]) -> RegionConfig {
    let stock = ["SAS", "SSD", "SATA"].map(|t| (t.to_owned(), 100_000)).into();
    let short: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    let instance = |(i, ip): (usize, &str)| InstanceConfig {
        id: format!("evm-{short}{}", i + 1),
        ip: ip.to_owned(),
        max_disks: hundred(),
    };
    let instances = ips.into_iter().enumerate().map(instance).collect();
    RegionConfig { stock, quota_gib: 1_000_000, instances }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    /// The file cannot be read.
    #[error("cannot read {0}")]
    Read(PathBuf, #[source] std::io::Error),
    /// The file is no such TOML.
    #[error("{0} is not a configuration")]
    Parse(PathBuf, #[source] toml::de::Error),
    /// A setting needs another.
    #[error("{0}")]
    Contradiction(&'static str),
    /// Not a loopback address.
    #[error(
        "listen: {0:?} is not allowed; allowed: a loopback address and port, since the simulator's own pages are unsigned"
    )]
    NotLoopback(String),
}

impl Config {
    /// Reads a TOML file.
    pub fn read(path: &std::path::Path) -> Result<Self, BadConfig> {
        let text = std::fs::read_to_string(path).map_err(|e| BadConfig::Read(path.to_owned(), e))?;
        toml::from_str(&text).map_err(|e| BadConfig::Parse(path.to_owned(), e))
    }

    /// Checks what one setting demands of another; gives the address to listen on.
    pub fn check(&self) -> Result<std::net::SocketAddr, BadConfig> {
        let address: Option<std::net::SocketAddr> = self.listen.parse().ok();
        let address = address.filter(|a| a.ip().is_loopback());
        let address = address.ok_or_else(|| BadConfig::NotLoopback(self.listen.clone()))?;
        if self.data_plane != PlaneKind::None && (self.state_dir.is_none() || self.nodes_dir.is_none()) {
            return Err(BadConfig::Contradiction("a data plane needs a state dir and a nodes dir"));
        }
        Ok(address)
    }
}
