//! The API server: one client, and a watch of the objects that a field selector names.

use std::fmt;

use futures::StreamExt as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Config, Resource};
use serde::de::DeserializeOwned;
use tracing::warn;

use crate::args::Args;

/// Objects in one page of a list: bounds what is in memory at once.
const PAGE: u32 = 50;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The kubeconfig.
    #[error("the kubeconfig cannot be used")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// The service account.
    #[error("no API server is known: neither --kubeconfig nor a service account")]
    InCluster(#[from] kube::config::InClusterError),
    /// The URL.
    #[error("--api-url: {0}")]
    Url(String),
    /// TLS.
    #[error("the client of the API server cannot be made")]
    Client(#[from] kube::Error),
}

/// A client for the API server that the flags name.
pub(crate) async fn client(args: &Args) -> Result<Client, ConfigError> {
    let config = match (&args.kubeconfig, &args.api_url) {
        (Some(path), _) => {
            Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &KubeConfigOptions::default())
                .await?
        }
        (None, Some(url)) => Config::new(url.parse().map_err(|e| ConfigError::Url(format!("{url:?}: {e}")))?),
        (None, None) => Config::incluster()?,
    };
    Ok(Client::try_from(config)?)
}

/// Follows the objects of `api` that the field selector names, for ever: a listing, then what changes, and a listing anew when the
/// server has forgotten the place. Failures are logged, and waited after as the API server's own clients do.
pub(crate) async fn follow<K>(api: Api<K>, selector: &str, mut tell: impl FnMut(Event<K>))
where
    K: Resource + Clone + fmt::Debug + DeserializeOwned + Send + 'static,
{
    let path = api.resource_url().to_owned();
    let config = watcher::Config::default().fields(selector).page_size(PAGE);
    let mut events = std::pin::pin!(watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => tell(event),
            Err(error) => warn!(path, error = serve::chain::chain(&error), "A watch broke"),
        }
    }
}

/// Whether the object is not there, or is another one now.
pub(crate) fn lost(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404 || status.code == 409)
}

#[cfg(test)]
mod tests;
