//! Whether flags and environment say of the cloud what the cluster's own controller says. Flags of one cluster with the kubeconfig of
//! another make all free disks of the first look unclaimed: nothing is changed by them.

use std::collections::BTreeSet;

use eck_csi::driver::DRIVER_NAME;
use eck_csi::volume::Region;
use k8s_openapi::api::storage::v1::CSIDriver;

use crate::args::CloudArgs;
use crate::cluster::Kubernetes;
use crate::settings::{self, Cloud, SettingsError};

/// Characters of an access key that are shown: enough to tell two apart.
const KEY_SHOWN: usize = 4;

/// Why nothing is changed.
#[derive(Debug, thiserror::Error)]
pub enum Disagreement {
    /// A field that both say.
    #[error(
        "{field} is {said} by flags or environment, and {runs} in the Deployment eck-csi-controller of namespace {namespace}; \
         leave {flag} away, or name that flag's own cluster with --context or --kubeconfig"
    )]
    Field {
        /// Which one.
        field: &'static str,
        /// What was said.
        said: String,
        /// What the cluster's controller was started with.
        runs: String,
        /// Where the Deployment is.
        namespace: String,
        /// How it was said.
        flag: &'static str,
    },
    /// There is nothing to compare with.
    #[error(
        "there is no Deployment eck-csi-controller with its cluster id and regions in namespace {0} to compare with; name its \
         namespace with --driver-namespace, or its cluster with --context or --kubeconfig"
    )]
    NoController(String),
    /// The cluster has another driver, or none.
    #[error(
        "the driver name is {DRIVER_NAME} here, and the cluster has no CSIDriver of this name; name its cluster with --context or \
         --kubeconfig"
    )]
    NoDriver,
    /// One of both cannot be read.
    #[error("the controller in the cluster cannot be read, to compare with it")]
    Settings(#[source] SettingsError),
    /// The API server.
    #[error("the CSIDriver {DRIVER_NAME} cannot be read")]
    Kube(#[from] kube::Error),
}

impl Disagreement {
    /// Whether it is known to be wrong; else nothing is known.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Field { .. } | Self::NoController(_) | Self::NoDriver => true,
            Self::Settings(_) | Self::Kube(_) => false,
        }
    }
}

/// An error unless what flags and environment made of it is what the cluster's controller was started with.
pub async fn check(said: &Cloud, kubernetes: &Kubernetes) -> Result<(), Disagreement> {
    let namespace = &kubernetes.driver_namespace;
    let runs = settings::cloud(&CloudArgs::default(), kubernetes).await.map_err(|error| match error {
        SettingsError::Missing { namespace, .. } => Disagreement::NoController(namespace),
        other @ (SettingsError::Kube(_)
        | SettingsError::Read(..)
        | SettingsError::Key(..)
        | SettingsError::File(..)
        | SettingsError::Region(_)
        | SettingsError::Learn(_)
        | SettingsError::Uid(_)
        | SettingsError::BadUid(_)
        | SettingsError::Profile(_)
        | SettingsError::Client(_)) => Disagreement::Settings(other),
    })?;
    compare(said, &runs, namespace)?;
    if kubernetes.all::<CSIDriver>().get_opt(DRIVER_NAME).await?.is_none() {
        return Err(Disagreement::NoDriver);
    }
    Ok(())
}

fn compare(said: &Cloud, runs: &Cloud, namespace: &str) -> Result<(), Disagreement> {
    let url = |cloud: &Cloud| cloud.client.profile().base_url.trim_end_matches('/').to_owned();
    let key = |cloud: &Cloud| format!("{}…", cloud.keys[0].chars().take(KEY_SHOWN).collect::<String>());
    let fields = [
        (
            "the cluster id",
            said.cluster.id == runs.cluster.id,
            said.cluster.id.clone(),
            runs.cluster.id.clone(),
            "--cluster-id or ECK_CLUSTER_ID",
        ),
        (
            "the list of regions",
            codes(&said.regions) == codes(&runs.regions),
            joined(&said.regions),
            joined(&runs.regions),
            "--regions or ECX_REGIONS",
        ),
        (
            "the cloud's URL",
            url(said) == url(runs),
            url(said),
            url(runs),
            "--ecx-url, ECX_URL, --ecx-profile or ECX_PROFILE",
        ),
        (
            "the access key",
            said.keys[0] == runs.keys[0],
            key(said),
            key(runs),
            "--ak, CTYUN_AK, --credentials-dir or ECX_CREDENTIALS_DIR",
        ),
    ];
    let wrong = fields.into_iter().find(|(_, agrees, ..)| !agrees);
    wrong.map_or(Ok(()), |(field, _, said, runs, flag)| {
        Err(Disagreement::Field { field, said, runs, namespace: namespace.to_owned(), flag })
    })
}

fn codes(regions: &[Region]) -> BTreeSet<&str> {
    regions.iter().map(Region::as_str).collect()
}

fn joined(regions: &[Region]) -> String {
    codes(regions).into_iter().collect::<Vec<_>>().join(",")
}
