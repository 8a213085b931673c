//! Where cluster and cloud are: what flags say, and else what the controller in the cluster was started with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use eck_csi::cluster::{ClusterIdentity, ClusterUid};
use eck_csi::field::BadField;
use eck_csi::volume::Region;
use eck_csi_kubernetes::ClusterError;
use eck_csi_kubernetes::api::{self, ConfigError, UidError};
use ecx::{Connection, Credentials, Profile};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use serde_json::Value;

use crate::args::{Args, CloudArgs};
use crate::cluster::{Kubernetes, text};

mod learnt;

use learnt::with_learnt;

/// Name of the controller's Deployment and of its container, as the chart has them.
const CONTROLLER: &str = "eck-csi-controller";

/// Why neither is known.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The API server.
    #[error(transparent)]
    Kube(#[from] ConfigError),
    /// An object of the driver.
    #[error("{0} cannot be read")]
    Read(String, #[source] Box<kube::Error>),
    /// Neither flags nor Deployment.
    #[error("{what} is not known: there is no Deployment {CONTROLLER} in namespace {namespace}; say {flag}")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// Where it was looked for.
        namespace: String,
        /// How it can be said.
        flag: &'static str,
    },
    /// The keys.
    #[error("the Secret {0} has no {1}")]
    Key(String, &'static str),
    /// A file that a flag names.
    #[error("cannot read {0}")]
    File(PathBuf, #[source] std::io::Error),
    /// A region's code.
    #[error(transparent)]
    Region(#[from] BadField),
    /// In which regions the cluster has nodes and volumes.
    #[error("the cluster's regions are not known")]
    Learn(#[from] ClusterError),
    /// Which cluster this is.
    #[error("the cluster's UID is not known")]
    Uid(#[from] UidError),
    /// Which cluster the controller was told that it is of, or has come after.
    #[error("a flag of the Deployment {CONTROLLER}")]
    BadUid(#[source] BadField),
    /// The profile.
    #[error("the ECX profile cannot be used")]
    Profile(#[from] toml::de::Error),
    /// HTTP.
    #[error(transparent)]
    Client(#[from] ecx::client::BadClient),
}

/// The cloud.
pub struct Cloud {
    /// Its API.
    pub client: ecx::Client,
    /// The cluster's regions.
    pub regions: Vec<Region>,
    /// Which cluster it is of.
    pub cluster: ClusterIdentity,
    /// The keys, to be struck out wherever they show up; has no `Debug`.
    pub keys: [String; 2],
}

/// A client of the API server.
pub async fn kubernetes(args: &Args) -> Result<Kubernetes, SettingsError> {
    let (client, namespace) = api::connect(args.kubeconfig.as_deref(), args.context.as_deref()).await?;
    Ok(Kubernetes { client, namespace, driver_namespace: args.driver_namespace.clone() })
}

/// A client of the cloud where flags alone say enough to read it: keys and regions. No cluster is asked who it is: the name is empty
/// unless it is said, and of disks nothing is decided.
pub fn account(args: &CloudArgs) -> Result<Option<Cloud>, SettingsError> {
    let keys = args.keys().map_err(|(path, error)| SettingsError::File(path, error))?;
    let Some((ak, sk)) = keys.filter(|_| !args.regions.is_empty()) else { return Ok(None) };
    let mut profile: Profile = toml::from_str(&said(args)?.unwrap_or_default())?;
    if let Some(url) = &args.ecx_url {
        profile.base_url.clone_from(url);
    }
    let connection = Connection::new(args.allow_plain_http).trusting_file(args.cloud_ca_file.as_deref())?;
    let client = ecx::Client::new(profile, Credentials::new(&ak, &sk), &connection)?;
    let cluster = ClusterIdentity::of(args.cluster_id.as_deref().unwrap_or_default());
    Ok(Some(Cloud { client, regions: args.regions.clone(), cluster, keys: [ak, sk] }))
}

/// The profile's text that a flag names.
fn said(args: &CloudArgs) -> Result<Option<String>, SettingsError> {
    let Some(path) = &args.ecx_profile else { return Ok(None) };
    std::fs::read_to_string(path).map(Some).map_err(|error| SettingsError::File(path.clone(), error))
}

/// A client of the cloud.
pub async fn cloud(args: &CloudArgs, kubernetes: &Kubernetes) -> Result<Cloud, SettingsError> {
    let keys = args.keys().map_err(|(path, error)| SettingsError::File(path, error))?;
    let whole =
        keys.is_some() && !args.regions.is_empty() && args.cluster_id.is_some() && args.ecx_url.is_some();
    let (running, uids) = known(whole, kubernetes).await?;
    let flag = |name: &str| running.as_ref().and_then(|running| running.flags.get(name).cloned());
    let cluster = args.cluster_id.clone().or_else(|| flag("cluster-id"));
    let id = cluster.ok_or_else(|| missing(kubernetes, "the cluster's name in the cloud", "--cluster-id"))?;
    let cluster = ClusterIdentity { id, ..uids };
    let profile = match (said(args)?, &running) {
        (Some(text), _) => Some(text),
        (None, Some(running)) => running.profile(kubernetes).await?,
        (None, None) => None,
    };
    let mut profile: Profile = toml::from_str(&profile.unwrap_or_default())?;
    if let Some(url) = args.ecx_url.clone().or_else(|| flag("ecx-url")) {
        profile.base_url = url;
    }
    let (ak, sk) = match (keys, &running) {
        (Some(keys), _) => keys,
        (None, Some(running)) => running.keys(kubernetes).await?,
        (None, None) => {
            let flag = "CTYUN_AK and CTYUN_SK, or --credentials-dir";
            return Err(missing(kubernetes, "the keys of the cloud", flag));
        }
    };
    let plain_http = args.allow_plain_http || flag("allow-plain-http").is_some();
    let connection = Connection::new(plain_http);
    let connection = match (&args.cloud_ca_file, &running) {
        (None, Some(running)) => running.trusting(connection, kubernetes).await?,
        (file, _) => connection.trusting_file(file.as_deref())?,
    };
    let client = ecx::Client::new(profile, Credentials::new(&ak, &sk), &connection)?;
    let regions = regions(args, running.as_ref(), &client, kubernetes).await?;
    Ok(Cloud { client, regions, cluster, keys: [ak, sk] })
}

fn missing(kubernetes: &Kubernetes, what: &'static str, flag: &'static str) -> SettingsError {
    SettingsError::Missing { what, namespace: kubernetes.driver_namespace.clone(), flag }
}

/// The regions of a flag, or else those of the controller, with what that one learns.
async fn regions(
    args: &CloudArgs,
    running: Option<&Running>,
    client: &ecx::Client,
    kubernetes: &Kubernetes,
) -> Result<Vec<Region>, SettingsError> {
    if !args.regions.is_empty() {
        return Ok(args.regions.clone());
    }
    let flag = |name: &str| running.and_then(|running| running.flags.get(name));
    let codes = flag("regions").ok_or_else(|| missing(kubernetes, "the cluster's regions", "--regions"))?;
    let regions = codes.split(',').map(|code| Region::parse("--regions", code)).collect::<Result<_, _>>()?;
    if flag("learn-regions").is_none() {
        return Ok(regions);
    }
    Ok(with_learnt(regions, client, &kubernetes.client).await?)
}

/// The controller in the cluster, unless flags say the whole of the cloud; and who the cluster is, which none of these flags says.
async fn known(
    whole: bool,
    kubernetes: &Kubernetes,
) -> Result<(Option<Running>, ClusterIdentity), SettingsError> {
    let found = Running::read(kubernetes).await;
    let found = if whole { found.unwrap_or_default() } else { found? };
    let uids = uids(found.as_ref(), kubernetes).await?;
    Ok((found.filter(|_| !whole), uids))
}

/// Who the cluster is beside its name: as its controller was told, or as that one asks the API server.
async fn uids(running: Option<&Running>, kubernetes: &Kubernetes) -> Result<ClusterIdentity, SettingsError> {
    let flag =
        |name: &str| running.and_then(|running| running.flags.get(name)).filter(|said| !said.is_empty());
    let uid = match flag("cluster-uid").filter(|said| *said != "api-server") {
        Some(said) => said.parse().map_err(SettingsError::BadUid)?,
        None => api::cluster_uid(&kubernetes.client).await?,
    };
    let list = |name| flag(name).into_iter().flat_map(|said| said.split(','));
    let former_uids: Result<Vec<ClusterUid>, _> = list("former-cluster-uids").map(str::parse).collect();
    let former_uids = former_uids.map_err(SettingsError::BadUid)?;
    let former_ids = list("former-cluster-ids").map(str::to_owned).collect();
    Ok(ClusterIdentity { uid: Some(uid), former_uids, former_ids, ..ClusterIdentity::default() })
}

/// The controller in the cluster.
struct Running {
    flags: BTreeMap<String, String>,
    secret: Option<String>,
    profile: Option<String>,
    authorities: Option<String>,
}

impl Running {
    /// As its Deployment says; `None` if there is none.
    async fn read(kubernetes: &Kubernetes) -> Result<Option<Self>, SettingsError> {
        let deployments = kubernetes.within::<Deployment>(&kubernetes.driver_namespace);
        let found = deployments
            .get_opt(CONTROLLER)
            .await
            .map_err(|error| SettingsError::Read(format!("the Deployment {CONTROLLER}"), Box::new(error)))?;
        Ok(found.map(|deployment| Self::of(&deployment.data)))
    }

    fn of(deployment: &Value) -> Self {
        let pod = &deployment["spec"]["template"]["spec"];
        let each = |list: &Value| list.as_array().cloned().unwrap_or_default();
        let container = each(&pod["containers"]).into_iter().find(|one| one["name"] == CONTROLLER);
        let args = container.map(|one| each(&one["args"])).unwrap_or_default();
        let flag = |arg: &Value| {
            let arg = arg.as_str()?.strip_prefix("--")?;
            // A flag without a value is said by its name alone.
            let (name, value) = arg.split_once('=').unwrap_or((arg, ""));
            Some((name.to_owned(), value.to_owned()))
        };
        let volume = |name: &str| each(&pod["volumes"]).into_iter().find(|one| one["name"] == name);
        Self {
            flags: args.iter().filter_map(flag).collect(),
            secret: volume("credentials").and_then(|volume| text(&volume["secret"]["secretName"])),
            profile: volume("profile").and_then(|volume| text(&volume["configMap"]["name"])),
            authorities: volume("cloud-ca").and_then(|volume| text(&volume["configMap"]["name"])),
        }
    }

    /// The ECX profile that it was given.
    async fn profile(&self, kubernetes: &Kubernetes) -> Result<Option<String>, SettingsError> {
        let Some(name) = &self.profile else { return Ok(None) };
        Self::kept(kubernetes, name, "profile.toml").await
    }

    /// The authorities that it was given.
    async fn trusting(
        &self,
        connection: Connection,
        kubernetes: &Kubernetes,
    ) -> Result<Connection, SettingsError> {
        let Some(name) = &self.authorities else { return Ok(connection) };
        let pem = Self::kept(kubernetes, name, "ca.crt").await?.unwrap_or_default();
        Ok(connection.trusting(pem.as_bytes(), &format!("ca.crt of the ConfigMap {name}"))?)
    }

    /// A text of a ConfigMap of the driver's.
    async fn kept(kubernetes: &Kubernetes, name: &str, key: &str) -> Result<Option<String>, SettingsError> {
        let maps: Api<ConfigMap> = Api::namespaced(kubernetes.client.clone(), &kubernetes.driver_namespace);
        let map = maps
            .get_opt(name)
            .await
            .map_err(|error| SettingsError::Read(format!("the ConfigMap {name}"), Box::new(error)))?;
        Ok(map.and_then(|map| map.data).and_then(|mut data| data.remove(key)))
    }

    /// The keys that it was given.
    async fn keys(&self, kubernetes: &Kubernetes) -> Result<(String, String), SettingsError> {
        let name = self.secret.as_deref().unwrap_or("eck-csi-credentials");
        let secrets: Api<Secret> = Api::namespaced(kubernetes.client.clone(), &kubernetes.driver_namespace);
        let secret = secrets
            .get_opt(name)
            .await
            .map_err(|error| SettingsError::Read(format!("the Secret {name}"), Box::new(error)))?;
        let mut data = secret.and_then(|secret| secret.data).unwrap_or_default();
        let mut key = |key: &'static str| {
            let bytes = data.remove(key).ok_or_else(|| SettingsError::Key(name.to_owned(), key))?;
            let text = String::from_utf8(bytes.0).map_err(|_| SettingsError::Key(name.to_owned(), key))?;
            Ok::<_, SettingsError>(text.trim().to_owned())
        };
        Ok((key("ak")?, key("sk")?))
    }
}
