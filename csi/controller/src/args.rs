//! Flags of `eck-csi-controller`; each is an environment variable too.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Parser;
use eck_csi::cluster::ClusterUid;
use eck_csi::field::BadField;
use eck_csi::volume::Region;
use eck_csi_fencing::InstanceSource;
use serve::telemetry::{LogArgs, TraceArgs};

/// When a disk is taken from a machine that runs, or may run, while its node is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DetachPolicy {
    /// Never: the machine must be off, or gone.
    Never,
    /// When somebody has tainted the node node.kubernetes.io/out-of-service.
    AfterTaint,
}

/// The controller half of eck-csi: orders, attaches, grows and refunds ECX disks. It talks to the ECX API and to CSI
/// sidecars on a unix socket; it never touches a device. Keys come from CTYUN_AK and CTYUN_SK or from --credentials-dir.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Args {
    /// Unix socket to serve CSI on
    #[arg(long, env = "CSI_ENDPOINT", default_value = "unix:///csi/csi.sock")]
    pub csi_endpoint: String,
    /// Regions of the cluster, joined by commas, e.g. zj-shaoxing-2,fj-xiamen-4: where disks are made that nobody wants in a certain one
    #[arg(long, env = "ECX_REGIONS", value_delimiter = ',', required = true)]
    pub regions: Vec<Region>,
    /// Also works in the regions that labels of nodes and affinities of PersistentVolumes name, and makes disks there for who asks for
    /// one: read from the API server at start, and whenever a disk is in no region that is known. Without it --regions are all
    #[arg(long, env = "LEARN_REGIONS")]
    pub learn_regions: bool,
    /// Where a Node says which machine of the cloud it is: providerID, annotation:KEY or label:KEY; the id stands behind the last slash. Asked
    /// where a node's private address leaves it open, because two machines have it or none shows it; the cloud must show that machine in
    /// the node's region. Needs an API server
    #[arg(long, env = "INSTANCE_ID_FROM")]
    pub instance_id_from: Option<InstanceSource>,
    /// Name of this cluster, unique in the cloud account: part of every client token and the label of every disk
    #[arg(long, env = "ECK_CLUSTER_ID", value_parser = cluster_id)]
    pub cluster_id: String,
    /// UID of this cluster, beside its name the mark of every disk: `api-server` for that of the namespace kube-system, which the API
    /// server is asked for at start, or the UID itself for a controller that runs outside of the cluster. Without it disks are marked
    /// and told apart by the cluster's name alone, and a disk with a UID is not touched
    #[arg(long, env = "ECK_CLUSTER_UID", value_name = "UID|api-server")]
    pub cluster_uid: Option<UidSource>,
    /// UIDs of clusters that are gone and whose disks are this one's now, joined by commas
    #[arg(long, env = "ECK_FORMER_CLUSTER_UIDS", value_delimiter = ',')]
    pub former_cluster_uids: Vec<ClusterUid>,
    /// Names of clusters that are gone and whose disks are this one's now, where they carry no UID, joined by commas
    #[arg(long, env = "ECK_FORMER_CLUSTER_IDS", value_delimiter = ',', value_parser = cluster_id)]
    pub former_cluster_ids: Vec<String>,
    /// Base URL of the ECX API, instead of the profile's
    #[arg(long, env = "ECX_URL")]
    pub ecx_url: Option<String>,
    /// TOML file that overrides parts of the ECX profile: paths, region key, polls, rates
    #[arg(long, env = "ECX_PROFILE")]
    pub ecx_profile: Option<PathBuf>,
    /// Folder of a mounted Secret with the files `ak` and `sk`, instead of CTYUN_AK and CTYUN_SK
    #[arg(long, env = "ECX_CREDENTIALS_DIR")]
    pub credentials_dir: Option<PathBuf>,
    /// PEM file of authorities that the cloud's certificate may come from, beside the system's. Proxies are those of the environment:
    /// HTTPS_PROXY, NO_PROXY
    #[arg(long, env = "ECX_CA_FILE")]
    pub cloud_ca_file: Option<PathBuf>,
    /// Takes an http:// URL of the ECX API. Its replies are not signed: anybody on the way could say that a disk is gone. For tests
    #[arg(long, env = "ECX_ALLOW_PLAIN_HTTP")]
    pub allow_plain_http: bool,
    /// Access key of the cloud account
    #[arg(long, env = "CTYUN_AK", hide_env_values = true)]
    pub ak: Option<String>,
    /// What `diskType: cloud` stands for, instead of the profile's
    #[arg(long, env = "ECX_DEFAULT_DISK_TYPE")]
    pub default_disk_type: Option<String>,
    /// Seconds between two audits of cloud against cluster, shown as metrics and events; 0 for none. Audit, webhook, --learn-regions, --instance-id-from,
    /// --detach-from-running-machine and --taint-dead-nodes ask the API server; but for the cluster's UID, once, everything else of this
    /// program does without it
    #[arg(long, env = "AUDIT_SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub audit_seconds: u64,
    /// Seconds that an order, attach or detach may take before the audit calls it drift
    #[arg(long, env = "AUDIT_GRACE_SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub audit_grace_seconds: u64,
    /// Address of the webhook by which pods of restored and cloned volumes are sent to the region of the source, over TLS; without it
    /// there is none. It asks the API server, and is called by it through the Service eck-csi-controller
    #[arg(long, env = "ADMISSION_ADDRESS")]
    pub admission_address: Option<SocketAddr>,
    /// Namespace of this program: the webhook's Service and the Secret of its certificate are there
    #[arg(long, env = "POD_NAMESPACE", default_value = "kube-system")]
    pub namespace: String,
    /// When a disk that a kubelet uses leaves a machine that is not off while its node is not ready: after-taint, when somebody has
    /// tainted the node node.kubernetes.io/out-of-service; never, only once the machine is off. Without this flag at once, as
    /// kube-controller-manager wants it 6 minutes after the pod's deletion (its flag --disable-force-detach-on-timeout). Needs an API server
    #[arg(long, env = "DETACH_FROM_RUNNING_MACHINE")]
    pub detach_from_running_machine: Option<DetachPolicy>,
    /// Taints a node that is not ready node.kubernetes.io/out-of-service=nodeshutdown:NoExecute once the cloud has said twice that its
    /// machine is off or gone, so that pods with disks start elsewhere; and takes that taint away when the node is ready again. Needs an
    /// API server
    #[arg(long, env = "TAINT_DEAD_NODES")]
    pub taint_dead_nodes: bool,
    /// NAMESPACE/NAME of csi-attacher's Lease: only the replica whose pod holds it taints. Without it each does
    #[arg(long, env = "LEADER_LEASE", requires = "pod_name", value_parser = lease)]
    pub leader_lease: Option<(String, String)>,
    /// Name of this program's pod, as its csi-attacher writes it into the Lease
    #[arg(long, env = "POD_NAME")]
    pub pod_name: Option<String>,
    /// Kubeconfig of the API server, instead of the pod's service account
    #[arg(long, env = "KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// Address of /livez, /readyz and /metrics
    #[arg(long, env = "ADMIN_ADDRESS", default_value = "127.0.0.1:9809")]
    pub admin_address: SocketAddr,
    /// Log flags
    #[command(flatten)]
    pub log: LogArgs,
    /// Traces
    #[command(flatten)]
    pub traces: TraceArgs,
}

/// Who says the cluster's UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UidSource {
    /// The API server.
    ApiServer,
    /// Whoever started the program.
    Said(ClusterUid),
}

impl FromStr for UidSource {
    type Err = BadField;

    fn from_str(text: &str) -> Result<Self, BadField> {
        if text == "api-server" { Ok(Self::ApiServer) } else { text.parse().map(Self::Said) }
    }
}

/// The key pair in the folder of a mounted Secret.
pub(crate) fn mounted(dir: &Path) -> Result<ecx::Credentials, BadCredentials> {
    let read = |name: &str| {
        let path = dir.join(name);
        std::fs::read_to_string(&path).map_err(|e| BadCredentials::Read(path, e))
    };
    Ok(ecx::Credentials::new(&read("ak")?, &read("sk")?))
}

/// A cluster id becomes a label value: at most 32 characters there (ECX-API §3).
fn cluster_id(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    if (1..=32).contains(&text.len()) && plain {
        return Ok(text.to_owned());
    }
    Err("1 to 32 letters, digits, '-' or '.'".to_owned())
}

fn lease(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('/').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty());
    let (namespace, name) = parts.ok_or("NAMESPACE/NAME")?;
    Ok((namespace.to_owned(), name.to_owned()))
}

/// Where the keys are.
#[derive(Debug, thiserror::Error)]
pub enum BadCredentials {
    /// A file of the mounted Secret.
    #[error("cannot read {0}")]
    Read(PathBuf, #[source] std::io::Error),
    /// Neither way was used.
    #[error("no credentials: set CTYUN_AK and CTYUN_SK, or --credentials-dir with the files ak and sk")]
    Missing,
}

impl Args {
    /// The account's key pair.
    pub fn credentials(&self) -> Result<ecx::Credentials, BadCredentials> {
        if let Some(dir) = &self.credentials_dir {
            return mounted(dir);
        }
        // The secret key comes from the environment only, so that no process list and no `Debug` shows it.
        match (&self.ak, std::env::var("CTYUN_SK")) {
            (Some(ak), Ok(sk)) => Ok(ecx::Credentials::new(ak, &sk)),
            _ => Err(BadCredentials::Missing),
        }
    }
}
