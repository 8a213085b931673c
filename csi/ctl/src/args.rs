//! Flags of `eckctl`.

use std::path::PathBuf;

use clap::{ArgGroup, Parser, Subcommand, ValueEnum};
use eck_csi::volume::{DiskId, FsType, Region};

/// Finds and mends what drifts between ECX disks and Kubernetes volumes. Where the cloud is, and its keys, are those of the
/// controller in the cluster, unless flags say otherwise.
///
/// Exit code: 0 all is well or done; 1 something was found, is stuck, was refused, or was not seen by an audit; 2 wrong flags; 3 cloud or cluster
/// could not be read, so nothing is known.
#[derive(Debug, Parser)]
#[command(name = "eckctl", version)]
pub struct Args {
    /// Kubeconfig, instead of the home folder's or the pod's service account
    #[arg(long, env = "KUBECONFIG", global = true)]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig, instead of its current one
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// Namespace in which eck-csi runs
    #[arg(long, env = "ECK_CSI_NAMESPACE", default_value = "kube-system", global = true)]
    pub driver_namespace: String,
    /// How to reach the cloud
    #[command(flatten)]
    pub cloud: CloudArgs,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// Where the cloud is; what is not said is read from the controller's Deployment and its Secret.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "The cloud, if not as the controller in the cluster has it")]
pub struct CloudArgs {
    /// All regions of the cluster, joined by commas
    #[arg(long, visible_alias = "region", env = "ECX_REGIONS", value_delimiter = ',', global = true)]
    pub regions: Vec<Region>,
    /// Name of this cluster in the cloud account
    #[arg(long, env = "ECK_CLUSTER_ID", global = true)]
    pub cluster_id: Option<String>,
    /// Base URL of the ECX API
    #[arg(long, env = "ECX_URL", global = true)]
    pub ecx_url: Option<String>,
    /// TOML file that overrides parts of the ECX profile
    #[arg(long, env = "ECX_PROFILE", global = true)]
    pub ecx_profile: Option<PathBuf>,
    /// Folder with the files `ak` and `sk`, instead of CTYUN_AK and CTYUN_SK
    #[arg(long, env = "ECX_CREDENTIALS_DIR", global = true)]
    pub credentials_dir: Option<PathBuf>,
    /// PEM file of authorities that the cloud's certificate may come from, beside the system's. Proxies are those of the environment:
    /// HTTPS_PROXY, NO_PROXY
    #[arg(long, env = "ECX_CA_FILE", global = true)]
    pub cloud_ca_file: Option<PathBuf>,
    /// Takes an http:// URL of the ECX API. Its replies are not signed: anybody on the way could say that a disk is gone. For tests
    #[arg(long, env = "ECX_ALLOW_PLAIN_HTTP", global = true)]
    pub allow_plain_http: bool,
    /// Access key of the cloud account; the secret key comes from CTYUN_SK only
    #[arg(long, env = "CTYUN_AK", hide_env_values = true, global = true)]
    pub ak: Option<String>,
}

impl CloudArgs {
    /// The keys, if the flags name some. The secret key comes from the environment or a file only, so that no process list
    /// and no `Debug` shows it.
    pub fn keys(&self) -> Result<Option<(String, String)>, (PathBuf, std::io::Error)> {
        if let Some(dir) = &self.credentials_dir {
            let read = |name: &str| {
                let path = dir.join(name);
                std::fs::read_to_string(&path)
                    .map(|text| text.trim().to_owned())
                    .map_err(|error| (path, error))
            };
            return Ok(Some((read("ak")?, read("sk")?)));
        }
        Ok(self.ak.clone().zip(std::env::var("CTYUN_SK").ok()))
    }
}

/// How answers look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// What `audit --fix` can mend. Deleting a disk is none of it: disks are named one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fixable {
    /// Lets the attachment go, where the cloud no longer has it
    StuckDetach,
    /// Detaches the disk, where the node does not use it
    UnwantedAttach,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compares cloud and cluster: unclaimed disks, volumes without disk, attachments that only one side has
    Audit(AuditArgs),
    /// Makes a volume and a claim of a disk that exists in the cloud, with its data
    Adopt(AdoptArgs),
    /// Says in one sentence where a claim is stuck
    Explain(ExplainArgs),
    /// Looks whether the cloud is as the driver assumes; with keys and --regions no cluster is needed
    CloudCheck(CloudCheckArgs),
    /// Writes a tar.gz with what support needs, without secrets
    SupportBundle(BundleArgs),
}

/// `audit`.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("changes").multiple(true)))]
pub struct AuditArgs {
    /// How the answer looks
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
    /// Seconds that an order, attach or detach may take before it counts as drift
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub grace_seconds: u64,
    /// Mends findings of these kinds, joined by commas; asks before each, and deletes no disk
    #[arg(long, value_enum, value_delimiter = ',', group = "changes")]
    pub fix: Vec<Fixable>,
    /// Deletes this unclaimed disk, or these, joined by commas; asks before each
    #[arg(long, value_name = "DISK", value_delimiter = ',', value_parser = disk, group = "changes")]
    pub delete_disk: Vec<DiskId>,
    /// Writes into the ConfigMap eck-csi-unclaimed-disks since when each disk is unclaimed, and forgets those that are not any more.
    /// Deletes nothing. For a job that runs every day
    #[arg(long, group = "changes")]
    pub mark: bool,
    /// As --mark, and then deletes disks that were unclaimed at every look for --after-days
    #[arg(long, group = "changes")]
    pub delete_marked: bool,
    /// Days for which a disk is only marked
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=3650), requires = "delete_marked")]
    pub after_days: u64,
    /// Deletes it although it may hold data. The cloud does not say whether a disk was ever attached, so every disk may
    #[arg(long, requires = "changes")]
    pub with_data: bool,
    /// Changes without asking
    #[arg(long, requires = "changes")]
    pub yes: bool,
}

impl AuditArgs {
    /// Whether more than looking is asked for.
    pub fn changes(&self) -> bool {
        !self.fix.is_empty() || !self.delete_disk.is_empty() || self.marks()
    }

    /// Whether disks are to be marked.
    pub fn marks(&self) -> bool {
        self.mark || self.delete_marked
    }
}

/// What becomes of the disk with the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reclaim {
    /// The disk stays when the claim is deleted
    Retain,
    /// The disk is deleted with the claim
    Delete,
}

/// `adopt`.
#[derive(Debug, clap::Args)]
pub struct AdoptArgs {
    /// The disk's id, e.g. cd-cfebko79upsq2iuo7lkg
    #[arg(value_parser = disk)]
    pub disk: DiskId,
    /// Name of the claim to make
    #[arg(long, value_parser = name)]
    pub claim: String,
    /// Namespace of the claim, instead of the context's
    #[arg(short, long, value_parser = name)]
    pub namespace: Option<String>,
    /// Name of the volume to make; the disk's id unless said
    #[arg(long, value_parser = name)]
    pub volume: Option<String>,
    /// Class that volume and claim name; no StorageClass of the name is needed
    #[arg(long, default_value = "cloud-disk", value_parser = name)]
    pub storage_class: String,
    /// File system on the disk: ext4, ext3, xfs or vfat
    #[arg(long, default_value = "ext4", value_parser = fs, conflicts_with = "block")]
    pub fs_type: FsType,
    /// A raw block volume, without a file system
    #[arg(long)]
    pub block: bool,
    /// What becomes of the disk when the claim is deleted
    #[arg(long, value_enum, ignore_case = true, default_value_t = Reclaim::Retain)]
    pub reclaim_policy: Reclaim,
    /// Checks everything, prints the YAML and changes nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `explain`.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// The claim, as NAME or pvc/NAME
    #[arg(value_parser = claim)]
    pub claim: String,
    /// Namespace of the claim, instead of the context's
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// How the answer looks
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

/// `cloud-check`.
#[derive(Debug, clap::Args)]
pub struct CloudCheckArgs {
    /// How the answer looks
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
    /// Orders one disk of 20 GiB in the first region, tries it, takes a snapshot of it, and refunds it; asks before. Without it nothing is changed
    #[arg(long)]
    pub with_a_disk: bool,
    /// A machine of the first region, to which the disk is attached and from which it is detached
    #[arg(long, requires = "with_a_disk")]
    pub instance: Option<String>,
    /// `/sys/block` of that machine, if this program runs on it: the disk's serial is looked for there
    #[arg(long, requires = "instance")]
    pub sys_block: Option<PathBuf>,
    /// Orders without asking
    #[arg(long, requires = "with_a_disk")]
    pub yes: bool,
}

/// `support-bundle`.
#[derive(Debug, clap::Args)]
pub struct BundleArgs {
    /// The file to write; must not exist
    #[arg(short, long, default_value = "eck-csi-support.tar.gz")]
    pub file: PathBuf,
    /// Lines of each log, from its end
    #[arg(long, default_value_t = 10_000)]
    pub log_lines: i64,
}

fn disk(text: &str) -> Result<DiskId, String> {
    DiskId::parse(text).ok_or_else(|| DiskId::ALLOWED.to_owned())
}

fn fs(text: &str) -> Result<FsType, String> {
    FsType::parse("--fs-type", text).map_err(|bad| bad.to_string())
}

/// RFC 1123 subdomain, as Kubernetes wants names.
fn name(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let word = |word: &str| {
        word.bytes().all(|b| plain(b) || b == b'-')
            && word.bytes().next().is_some_and(plain)
            && word.bytes().last().is_some_and(plain)
    };
    if text.len() <= 253 && text.split('.').all(word) {
        return Ok(text.to_owned());
    }
    Err("lower-case letters, digits, '-' and '.', as Kubernetes wants names".to_owned())
}

fn claim(text: &str) -> Result<String, String> {
    let kinds = ["pvc/", "persistentvolumeclaim/", "persistentvolumeclaims/"];
    name(kinds.iter().find_map(|kind| text.strip_prefix(kind)).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(args: &[&str]) -> String {
        Args::try_parse_from([&["eckctl"], args].concat()).unwrap_err().to_string()
    }

    #[test]
    fn regions_may_be_said_one_by_one() {
        let args = ["eckctl", "cloud-check", "--region", "a-1", "--region", "b-1", "-o", "json"];
        let args = Args::try_parse_from(args).unwrap();
        let regions: Vec<&str> = args.cloud.regions.iter().map(Region::as_str).collect();
        assert_eq!(regions, ["a-1", "b-1"]);
        assert!(matches!(args.command, Command::CloudCheck(CloudCheckArgs { output: Format::Json, .. })));
    }

    #[test]
    fn bad_flags_are_refused_with_what_is_allowed() {
        let ok = Args::try_parse_from(["eckctl", "explain", "pvc/a", "-n", "b"]).unwrap();
        assert!(matches!(ok.command, Command::Explain(ExplainArgs { claim, .. }) if claim == "a"));
        assert!(refused(&["adopt", "vol/1", "--claim", "a"]).contains("a disk id such as cd-"));
        assert!(refused(&["adopt", "cd-1", "--claim", "A"]).contains("lower-case letters"));
        assert!(
            refused(&["adopt", "cd-1", "--claim", "a", "--fs-type", "ntfs"])
                .contains("ext4, ext3, xfs or vfat")
        );
        assert!(refused(&["cloud-check", "--yes"]).contains("--with-a-disk"));
        assert!(refused(&["audit", "--yes"]).contains("--fix"));
        for kind in ["missing-disk", "leaked-disk", "unclaimed-disk"] {
            assert!(refused(&["audit", "--fix", kind]).contains("stuck-detach, unwanted-attach"));
        }
        assert!(refused(&["audit", "--after-days", "9"]).contains("--delete-marked"));
        assert!(refused(&["audit", "--delete-marked", "--after-days", "0"]).contains("1..=3650"));
        assert!(refused(&["audit", "--delete-disk", "a/b"]).contains("a disk id such as cd-"));
    }
}
