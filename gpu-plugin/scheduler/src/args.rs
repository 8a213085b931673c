//! Flags of `ideal-gpu-scheduler`; each is an environment variable too.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use ideal_gpu::place::Policy;
use serve::telemetry::LogArgs;

use crate::leader::{Beside, Terms};

/// The scheduling half of ideal-gpu: a kube-scheduler extender that finds cards for pods and binds them with the decision, and
/// the admission webhook that refuses what no node could satisfy. Several replicas may run; one of them binds.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Args {
    /// Address of /filter, /prioritize, /bind, /validate and /mutate, over TLS
    #[arg(long, env = "ADDRESS", default_value = "0.0.0.0:9443")]
    pub address: SocketAddr,
    /// Plain HTTP instead of TLS; on a loopback address only, for a kube-scheduler in the same pod
    #[arg(long, env = "PLAIN_HTTP")]
    pub plain_http: bool,
    /// File with the serving certificate's chain, PEM, read again when it changes; without it the program makes its own
    #[arg(long, env = "TLS_CERT_FILE", requires = "tls_key_file")]
    pub tls_cert_file: Option<PathBuf>,
    /// File with its key, PEM
    #[arg(long, env = "TLS_KEY_FILE", requires = "tls_cert_file")]
    pub tls_key_file: Option<PathBuf>,
    /// File with the authority of kube-scheduler's client certificate, PEM: without such a certificate only the webhook's paths
    /// are served; without this flag whoever reaches the port may ask for cards
    #[arg(long, env = "EXTENDER_CLIENT_CA_FILE")]
    pub extender_client_ca_file: Option<PathBuf>,
    /// Namespace of this program: its Service, Secret and Lease are there
    #[arg(long, env = "POD_NAMESPACE", default_value = "kube-system")]
    pub namespace: String,
    /// Service by which the API server calls the webhook; the self-made certificate is for its names
    #[arg(long, env = "SERVICE_NAME", default_value = "ideal-gpu-scheduler")]
    pub service_name: String,
    /// More names or addresses that the self-made certificate is for, joined by commas
    #[arg(long, env = "TLS_HOSTS", value_delimiter = ',')]
    pub tls_hosts: Vec<String>,
    /// Secret that the replicas share for the self-made certificate
    #[arg(long, env = "TLS_SECRET_NAME", default_value = "ideal-gpu-scheduler-tls")]
    pub tls_secret_name: String,
    /// Name of the MutatingWebhookConfiguration and the ValidatingWebhookConfiguration whose caBundle is kept right
    #[arg(long, env = "WEBHOOK_CONFIGURATION", default_value = "ideal-gpu-scheduler")]
    pub webhook_configuration: String,
    /// schedulerName that the webhook gives to pods that ask for cards and name none; without it none is given
    #[arg(long, env = "SET_SCHEDULER_NAME")]
    pub set_scheduler_name: Option<String>,
    /// Users that may write the annotation ideal.com/decision, joined by commas: the accounts of scheduler and plugin
    #[arg(
        long,
        env = "TRUSTED_USERS",
        value_delimiter = ',',
        default_value = "system:serviceaccount:kube-system:ideal-gpu-scheduler,system:serviceaccount:kube-system:ideal-gpu-plugin"
    )]
    pub trusted_users: Vec<String>,
    /// Over nodes, for pods without the annotation ideal.com/node-policy: binpack or spread
    #[arg(long, env = "NODE_POLICY", default_value = "binpack", value_parser = policy)]
    pub node_policy: Policy,
    /// Over the cards of a node, for pods without the annotation ideal.com/card-policy: binpack or spread
    #[arg(long, env = "CARD_POLICY", default_value = "binpack", value_parser = policy)]
    pub card_policy: Policy,
    /// Seconds that the API server may take for a Binding; less than the extender's httpTimeout
    #[arg(long, env = "BIND_TIMEOUT", default_value = "4", value_parser = seconds)]
    pub bind_timeout: Duration,
    /// Binds without holding a Lease; for a single replica only
    #[arg(long, env = "NO_LEADER_ELECTION")]
    pub no_leader_election: bool,
    /// Name of this replica in the election, unique; where it is not set, the host's name with a number
    #[arg(long, env = "POD_NAME", default_value_t = unique_name())]
    pub identity: String,
    /// The Lease
    #[arg(long, env = "LEASE_NAME", default_value = "ideal-gpu-scheduler")]
    pub lease_name: String,
    /// Lease of a kube-scheduler in the same pod: this replica takes its own Lease only while the kube-scheduler beside it leads,
    /// and all replicas are ready, since nobody else calls the extender
    #[arg(long, env = "FOLLOW_LEASE", conflicts_with = "no_leader_election")]
    pub follow_lease: Option<String>,
    /// Seconds without renewal after which another replica takes over
    #[arg(long, env = "LEASE_DURATION", default_value = "15", value_parser = seconds)]
    pub lease_duration: Duration,
    /// Seconds after its last renewal at which a replica stops binding; less than the Lease's
    #[arg(long, env = "LEASE_RENEW_WITHIN", default_value = "10", value_parser = seconds)]
    pub lease_renew_within: Duration,
    /// Seconds between rounds of the election
    #[arg(long, env = "LEASE_RETRY", default_value = "2", value_parser = seconds)]
    pub lease_retry: Duration,
    /// Address of /livez, /readyz and /metrics; without --follow-lease only the replica that binds is ready
    #[arg(long, env = "ADMIN_ADDRESS", default_value = "127.0.0.1:9810")]
    pub admin_address: SocketAddr,
    /// Log flags
    #[command(flatten)]
    pub log: LogArgs,
}

/// Flags that do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadArgs {
    /// Anybody could bind pods.
    #[error("--plain-http: {0} is not allowed; allowed: a loopback --address")]
    Plain(SocketAddr),
    /// The old holder would not have stopped when the new one starts.
    #[error(
        "--lease-renew-within: {within:?} is not allowed; allowed: between --lease-retry and a second less than {lease:?}"
    )]
    Terms {
        /// Renewal.
        within: Duration,
        /// Lease.
        lease: Duration,
    },
}

impl Args {
    /// What clap cannot check.
    pub fn check(&self) -> Result<(), BadArgs> {
        if self.plain_http && !self.address.ip().is_loopback() {
            return Err(BadArgs::Plain(self.address));
        }
        let (within, lease) = (self.lease_renew_within, self.lease_duration);
        if within + Duration::from_secs(1) > lease || within <= self.lease_retry {
            return Err(BadArgs::Terms { within, lease });
        }
        Ok(())
    }

    /// The election's durations.
    pub fn terms(&self) -> Terms {
        Terms { lease: self.lease_duration, renew_within: self.lease_renew_within, retry: self.lease_retry }
    }

    /// The kube-scheduler beside this program, if there is one.
    pub fn beside(&self) -> Option<Beside> {
        let lease = self.follow_lease.clone()?;
        Some(Beside { lease, pod: self.identity.clone() })
    }

    /// Names and addresses that the self-made certificate is for: the Service's, and this machine's own.
    pub fn hosts(&self) -> Vec<String> {
        let (service, namespace) = (&self.service_name, &self.namespace);
        let names = [
            service.clone(),
            format!("{service}.{namespace}"),
            format!("{service}.{namespace}.svc"),
            format!("{service}.{namespace}.svc.cluster.local"),
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
        ];
        names.into_iter().chain(self.tls_hosts.iter().cloned()).collect()
    }
}

fn policy(text: &str) -> Result<Policy, String> {
    Policy::parse(text).ok_or_else(|| "binpack or spread".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=3600).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "1 to 3600 seconds".to_owned())
}

/// Two replicas of one name would both believe that the Lease is theirs: the start of the process tells them apart.
fn unique_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}_{}_{}", name.trim(), std::process::id(), since.as_nanos())
}
