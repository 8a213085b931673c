//! Flags of `eck-csi-node`; each is an environment variable too.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use eck_csi::field::BadField;
use eck_csi::volume::{NodeId, Region};
use serve::telemetry::{LogArgs, TraceArgs};

use crate::instance_id::InstanceIdUrl;

/// The node half of eck-csi: finds ECX disks by serial, formats blank ones, mounts and grows them. It talks to the kubelet
/// and to the block layer; it never talks to the cloud and holds no credentials.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Args {
    /// Unix socket to serve CSI on
    #[arg(long, env = "CSI_ENDPOINT", default_value = "unix:///csi/csi.sock")]
    pub csi_endpoint: String,
    /// Kubernetes name of this node, <region>.<private IPv4>, e.g. fj-xiamen-4.172.16.0.6 (from the Downward API:
    /// spec.nodeName); the region is taken from it, and the controller finds the machine by it. On a node of another name that has
    /// neither of the two flags below the driver is not registered: it has no volumes
    #[arg(long, env = "NODE_NAME", required_unless_present = "region")]
    pub node_name: Option<String>,
    /// Region of this node, for nodes whose name does not tell it
    #[arg(long, env = "ECX_REGION", requires = "instance")]
    pub region: Option<Region>,
    /// Id of this machine in the cloud, if it is known here; saves the controller a look-up
    #[arg(long, env = "ECX_INSTANCE_ID", group = "instance")]
    pub instance_id: Option<String>,
    /// Where the platform's metadata service tells that id, asked at start; several are joined by commas and asked in turn. With #/KEY
    /// behind it the answer is JSON, as of http://169.254.169.254/openstack/latest/meta_data.json#/uuid. Where none tells one the
    /// node's name must
    #[arg(
        long = "instance-id-url",
        env = "ECX_INSTANCE_ID_URL",
        value_name = "URL",
        value_delimiter = ',',
        group = "instance"
    )]
    pub instance_id_urls: Vec<InstanceIdUrl>,
    /// Path of the CSI socket as the kubelet sees it, e.g. /var/lib/kubelet/plugins/eck.csi.k8s.io/csi.sock. With it the
    /// program registers itself with the kubelet; without it the upstream registrar must run beside it
    #[arg(long, env = "KUBELET_REGISTRATION_PATH")]
    pub kubelet_registration_path: Option<String>,
    /// The kubelet's plugins_registry folder as this program sees it
    #[arg(long, env = "KUBELET_REGISTRATION_DIR", default_value = "/registration")]
    pub kubelet_registration_dir: PathBuf,
    /// Folder that holds `sys`, in which disks show their serials
    #[arg(long, env = "SYSFS_ROOT", default_value = "/")]
    pub sysfs_root: PathBuf,
    /// Folder for what must outlive a restart of this program: which volumes are trimmed every week
    #[arg(long, env = "STATE_DIR", default_value = "/csi/state")]
    pub state_dir: PathBuf,
    /// How long a disk may take to appear after the cloud said that it is attached, in seconds
    #[arg(long, env = "DEVICE_TIMEOUT_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub device_timeout_seconds: u64,
    /// Disk slots of this machine that the cluster must leave alone
    #[arg(long, env = "RESERVED_DISKS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=99))]
    pub reserved_disks: u32,
    /// Address of /livez, /readyz and /metrics
    #[arg(long, env = "ADMIN_ADDRESS", default_value = "127.0.0.1:9810")]
    pub admin_address: SocketAddr,
    /// Log flags
    #[command(flatten)]
    pub log: LogArgs,
    /// Traces
    #[command(flatten)]
    pub traces: TraceArgs,
}

impl Args {
    /// How the controller will know this node, of which the metadata service told `told`; `None` where neither name nor flags tell a
    /// region: a machine that is not the cloud's, or whose name is of another form.
    pub fn node_id(&self, told: Option<&str>) -> Result<Option<NodeId>, BadField> {
        let name = self.node_name.as_deref().unwrap_or_default();
        let allowed =
            "<region>.<private IPv4> such as fj-xiamen-4.172.16.0.6, or --region and --instance-id beside it";
        let text = match (&self.region, self.instance_id.as_deref().or(told)) {
            (Some(region), Some(instance)) => format!("{region}/{instance}"),
            (None, Some(instance)) => match NodeId::parse(name.to_owned())?.region() {
                Some(region) => format!("{region}/{instance}"),
                // The metadata service of a machine that is not the cloud's.
                None if self.instance_id.is_none() => name.to_owned(),
                None => return Err(BadField::new("--node-name", name, allowed)),
            },
            (Some(region), None) if NodeId::parse(name.to_owned())?.region() != Some(region) => {
                let urls: Vec<String> = self.instance_id_urls.iter().map(InstanceIdUrl::to_string).collect();
                let allowed = "the URL of a metadata service that tells this machine's id";
                return Err(BadField::new("--instance-id-url", urls.join(","), allowed));
            }
            (_, None) => name.to_owned(),
        };
        let id = NodeId::parse(text)?;
        Ok(match id {
            NodeId::Instance { .. } | NodeId::Address { .. } => Some(id),
            NodeId::Unknown(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(args: &[&str]) -> Result<String, String> {
        id_told(args, None)
    }

    fn id_told(args: &[&str], told: Option<&str>) -> Result<String, String> {
        let args = Args::try_parse_from([&["eck-csi-node"], args].concat()).map_err(|e| e.to_string())?;
        let id = args.node_id(told).map_err(|e| e.to_string())?;
        Ok(id.map_or("nowhere".to_owned(), |id| id.to_string()))
    }

    #[test]
    fn a_node_is_its_instance_or_its_address_or_not_the_clouds() {
        assert_eq!(id(&["--node-name=fj-xiamen-4.172.16.0.6"]).unwrap(), "fj-xiamen-4.172.16.0.6");
        let known = ["--node-name=fj-xiamen-4.172.16.0.6", "--instance-id=evm-1"];
        assert_eq!(id(&known).unwrap(), "fj-xiamen-4/evm-1");
        let odd = ["--node-name=worker2", "--region=fj-xiamen-4", "--instance-id=evm-1"];
        assert_eq!(id(&odd).unwrap(), "fj-xiamen-4/evm-1");
        for other in ["worker2", "ip-10-0-0-5.ec2.internal", "fj-xiamen-4", "Fj-Xiamen-4.172.16.0.6"] {
            assert_eq!(id(&[&format!("--node-name={other}")]).unwrap(), "nowhere", "{other}");
        }
        let half = ["--node-name=worker2", "--instance-id=evm-1"];
        assert!(id(&half).unwrap_err().contains("--node-name: \"worker2\""));
        assert!(id(&[]).is_err());
        assert!(id(&["--region=fj-xiamen-4"]).is_err());
    }

    #[test]
    fn what_the_metadata_service_tells_says_more_than_the_name() {
        let url = "--instance-id-url=http://169.254.169.254/meta-data/instance-id";
        let named = ["--node-name=fj-xiamen-4.172.16.0.6", url];
        assert_eq!(id_told(&named, Some("evm-1")).unwrap(), "fj-xiamen-4/evm-1");
        assert_eq!(id_told(&named, None).unwrap(), "fj-xiamen-4.172.16.0.6");
        assert!(id(&[&named[..], &["--instance-id=evm-2"]].concat()).unwrap_err().contains("cannot be used"));
        let odd = ["--node-name=worker2", "--region=fj-xiamen-4", url];
        assert_eq!(id_told(&odd, Some("evm-1")).unwrap(), "fj-xiamen-4/evm-1");
        let untold = id_told(&odd, None).unwrap_err();
        assert!(untold.starts_with("--instance-id-url: \"http://169.254.169.254/meta-data"), "{untold}");
        // A machine that is not the cloud's has no volumes, whatever its platform calls it.
        for told in [Some("i-1"), None] {
            assert_eq!(id_told(&["--node-name=worker2", url], told).unwrap(), "nowhere");
        }
    }
}
