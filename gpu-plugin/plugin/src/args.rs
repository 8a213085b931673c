//! Flags of `ideal-gpu-plugin`; each is an environment variable too.

use std::net::SocketAddr;
use std::path::PathBuf;

use cards::Overcommit;
use clap::Parser;
use serve::telemetry::LogArgs;

/// The node half of ideal-gpu: offers the machine's NVIDIA cards to the kubelet in slices and whole, and gives each container
/// exactly the cards and shares that were decided for it.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Args {
    /// Kubernetes name of this node (from the Downward API: spec.nodeName)
    #[arg(long, env = "NODE_NAME")]
    pub node_name: String,
    /// The kubelet's folder; device-plugins and pod-resources lie in it
    #[arg(long, env = "KUBELET_DIR", default_value = "/var/lib/kubelet")]
    pub kubelet_dir: PathBuf,
    /// Folder for the node's decisions and the containers' limits. Containers mount files of it: it must have the same path
    /// on the host
    #[arg(long, env = "STATE_DIR", default_value = "/var/lib/ideal-gpu")]
    pub state_dir: PathBuf,
    /// Folder in which the container runtime looks for CDI specs
    #[arg(long, env = "CDI_DIR", default_value = "/var/run/cdi")]
    pub cdi_dir: PathBuf,
    /// For container runtimes without CDI: devices and the limits folder are named to the kubelet one by one
    #[arg(long, env = "NO_CDI")]
    pub no_cdi: bool,
    /// Folder below which the driver's device files, libraries and tools lie, as the host sees it; `/` unless the driver runs in
    /// a container
    #[arg(long, env = "DRIVER_ROOT", default_value = "/")]
    pub driver_root: PathBuf,
    /// Where this program sees the host's root: what the driver has put there is looked for below it
    #[arg(long, env = "HOST_ROOT", default_value = "/")]
    pub host_root: PathBuf,
    /// NVIDIA's management library: a file name for the loader, or paths joined by `:`, of which the first that is there is loaded
    #[arg(long, env = "NVML_LIBRARY", value_delimiter = ':', default_value = cards::nvml::LIBRARY)]
    pub nvml_library: Vec<PathBuf>,
    /// Leave nvidia.com/gpu to NVIDIA's own device plugin
    #[arg(long, env = "NO_WHOLE_CARDS")]
    pub no_whole_cards: bool,
    /// How many times each card's memory is offered, 1 to 10 with at most two decimals; above 1 slices spill into the host's
    /// memory
    #[arg(long, env = "MEMORY_OVERCOMMIT", default_value = "1")]
    pub memory_overcommit: Overcommit,
    /// The library that holds programs to their limits, in this program's container; empty for a node without isolation
    #[arg(long, env = "LIBVCUDA", default_value = "/usr/lib/ideal-gpu/libvcuda.so")]
    pub libvcuda: String,
    /// Slices may use host memory where their card is full; always so where more memory is offered than there is
    #[arg(long, env = "VIRTUAL_MEMORY")]
    pub virtual_memory: bool,
    /// Slices may use compute that nobody else of their card wants, beyond their share
    #[arg(long, env = "WORK_CONSERVING")]
    pub work_conserving: bool,
    /// MiB that each CUDA context is charged with, against the memory of its slice
    #[arg(long, env = "CONTEXT_MIB", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=16384))]
    pub context_mib: u64,
    /// Milliseconds of its card that a slice may use at once after it wanted none for long
    #[arg(long, env = "BURST_MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(..=10_000))]
    pub burst_ms: u64,
    /// How the node itself chooses cards for pods that no scheduler of ours has decided on, and that name no policy: binpack
    /// or spread
    #[arg(long, env = "CARD_POLICY", default_value = "binpack", value_parser = ["binpack", "spread"])]
    pub card_policy: String,
    /// Kubeconfig to reach the API server; without it the service account of the pod is used
    #[arg(long, env = "KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// URL of an API server that wants no authentication, for tests
    #[arg(long, env = "API_URL", conflicts_with = "kubeconfig")]
    pub api_url: Option<String>,
    /// Address of /livez, /readyz and /metrics
    #[arg(long, env = "ADMIN_ADDRESS", default_value = "127.0.0.1:9820")]
    pub admin_address: SocketAddr,
    /// Log flags
    #[command(flatten)]
    pub log: LogArgs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_at_the_start() {
        let parse =
            |args: &[&str]| Args::try_parse_from([&["ideal-gpu-plugin", "--node-name=n"], args].concat());
        assert!(parse(&[]).is_ok());
        assert_eq!(parse(&["--libvcuda="]).unwrap().libvcuda, "");
        for bad in
            ["--context-mib=-1", "--memory-overcommit=0.5", "--card-policy=best", "--admin-address=here"]
        {
            assert!(parse(&[bad]).is_err(), "{bad}");
        }
        assert!(parse(&["--api-url=http://127.0.0.1:1", "--kubeconfig=/x"]).is_err());
    }
}
