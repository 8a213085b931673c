//! The API server: a client, and lists that are read page by page.

use std::fmt::Debug;
use std::path::Path;

use eck_csi::cluster::ClusterUid;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ApiResource, ListParams, Object};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Resource};
use serde::de::DeserializeOwned;

/// Objects in one page of a list, as client-go's pager: bounds what is in memory at once.
const PAGE: u32 = 500;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The kubeconfig.
    #[error("the kubeconfig cannot be used")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// Neither way is there.
    #[error("no API server is known: neither a kubeconfig nor a service account")]
    None(#[from] kube::config::InferConfigError),
    /// TLS.
    #[error("the client of the API server cannot be made")]
    Client(#[from] kube::Error),
}

/// Whose UID is the cluster's: every cluster has this namespace, and nobody can delete it (kube-apiserver, NamespaceLifecycle).
const KUBE_SYSTEM: &str = "kube-system";

/// Why the cluster's UID is not known.
#[derive(Debug, thiserror::Error)]
pub enum UidError {
    /// The API server does not say.
    #[error("the namespace {KUBE_SYSTEM} cannot be read")]
    Kube(#[from] kube::Error),
    /// It says something else.
    #[error("the namespace {KUBE_SYSTEM} has the UID {0:?}, which is none")]
    NotAUid(String),
}

/// The cluster's UID.
pub async fn cluster_uid(client: &Client) -> Result<ClusterUid, UidError> {
    let namespace = Api::<Namespace>::all(client.clone()).get(KUBE_SYSTEM).await?;
    let uid = namespace.metadata.uid.unwrap_or_default();
    ClusterUid::parse(&uid).ok_or(UidError::NotAUid(uid))
}

/// A client, and the namespace of its context. Without a kubeconfig: `KUBECONFIG`, the home folder's, or the service
/// account, in this order. `context` replaces the kubeconfig's current one.
pub async fn connect(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
) -> Result<(Client, String), ConfigError> {
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..Default::default() };
    let file = match kubeconfig {
        Some(path) => Some(Kubeconfig::read_from(path)?),
        None => Kubeconfig::read().ok(),
    };
    let proxied = file.as_ref().is_some_and(names_a_proxy);
    let mut config = match (kubeconfig.and(file), context) {
        (Some(file), _) => Config::from_custom_kubeconfig(file, &options).await?,
        (None, Some(_)) => Config::from_kubeconfig(&options).await?,
        (None, None) => Config::infer().await?,
    };
    if !proxied {
        // The crate takes HTTPS_PROXY where the file names none: that is for the way to the cloud, and the API server is near.
        config.proxy_url = None;
    }
    let namespace = config.default_namespace.clone();
    Ok((Client::try_from(config)?, namespace))
}

/// Whether the file says itself that an API server is reached through a proxy.
fn names_a_proxy(file: &Kubeconfig) -> bool {
    file.clusters.iter().filter_map(|named| named.cluster.as_ref()).any(|cluster| cluster.proxy_url.is_some())
}

/// Every object that `select` names, as what `read` makes of it. A page is dropped before the next one is read, so that
/// memory does not grow with what objects carry besides.
pub async fn list<K, T>(
    api: &Api<K>,
    select: &ListParams,
    read: impl Fn(K) -> Option<T>,
) -> kube::Result<Vec<T>>
where
    K: Clone + Debug + DeserializeOwned,
{
    let (mut all, mut select) = (Vec::new(), select.clone().limit(PAGE));
    loop {
        let page = api.list(&select).await?;
        all.extend(page.items.into_iter().filter_map(&read));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => select = select.continue_token(&token),
            None => return Ok(all),
        }
    }
}

/// The same of the kind `K`, of whose objects only the fields of `P` (`spec`) and `U` (`status`) are read.
pub async fn list_fields<K, P, U, T>(
    client: &Client,
    select: &ListParams,
    read: impl Fn(Object<P, U>) -> Option<T>,
) -> kube::Result<Vec<T>>
where
    K: Resource<DynamicType = ()>,
    P: Clone + Debug + DeserializeOwned,
    U: Clone + Debug + Default + DeserializeOwned,
{
    let objects: Api<Object<P, U>> = Api::all_with(client.clone(), &ApiResource::erase::<K>(&()));
    list(&objects, select, read).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "{clusters: [{name: c, cluster: {server: 'https://api:6443'}}]}";

    #[test]
    fn only_a_proxy_that_the_kubeconfig_names_is_one_of_the_api_server() {
        assert!(!names_a_proxy(&Kubeconfig::from_yaml(FILE).unwrap()));
        let file = FILE.replace("server:", "proxy-url: 'http://p:3128', server:");
        assert!(names_a_proxy(&Kubeconfig::from_yaml(&file).unwrap()));
    }
}
