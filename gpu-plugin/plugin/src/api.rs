//! The API server: one client, and a watch that lists, follows, and lists anew when it has lost the thread. Objects are read into
//! types that keep what is needed, so that a node's memory does not grow with what pods carry.

use std::fmt;
use std::time::Duration;

use futures::TryStreamExt as _;
use kube::api::{ListParams, Patch, PatchParams, PostParams, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{Request, WatchEvent};
use kube::{Client, Config};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tracing::{debug, warn};

use crate::args::Args;

/// The shortest and the longest pause after a failure, as in the API server's own clients.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Pause after a watch that the server ended, in case it ends them all at once.
const BREATH: Duration = Duration::from_millis(100);

/// How long the server keeps a watch open, in seconds: below the 5 minutes after which many load balancers cut silent connections.
const WATCH_SECONDS: u32 = 290;

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

/// What happens to objects.
#[derive(Debug)]
pub enum Event<T> {
    /// A list begins.
    Listing,
    /// It is there, or is another now.
    Is(T),
    /// It is gone.
    Gone(T),
    /// Everything that is there has been told since [`Self::Listing`].
    Complete,
}

#[derive(Deserialize)]
struct List<T> {
    metadata: ListMetadata,
    items: Vec<T>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMetadata {
    resource_version: String,
    r#continue: String,
}

/// Follows the objects under `path` that the field selector names, for ever. `version` gives an object's resource version.
pub(crate) async fn follow<T>(
    client: &Client,
    path: &str,
    selector: &str,
    version: impl Fn(&T) -> &str,
    mut tell: impl FnMut(Event<T>),
) where
    T: Clone + fmt::Debug + DeserializeOwned + 'static,
{
    let mut pause = PAUSE.0;
    loop {
        let mut at = match list(client, path, selector, &mut tell).await {
            Ok(at) => at,
            Err(error) => {
                warn!(path, error = serve::chain::chain(&error), "The API server does not list");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE.1);
                continue;
            }
        };
        // Goes on from where it was until the server has forgotten that place.
        loop {
            match watch(client, path, selector, &mut at, &version, &mut tell).await {
                Ok(()) => {
                    pause = PAUSE.0;
                    tokio::time::sleep(BREATH).await;
                }
                Err(error) if gone(&error) => {
                    debug!(path, "The watch is too old: listing anew");
                    break;
                }
                Err(error) => {
                    warn!(path, error = serve::chain::chain(&error), "A watch broke");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
    }
}

async fn list<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    selector: &str,
    tell: &mut impl FnMut(Event<T>),
) -> kube::Result<String> {
    let mut params = ListParams::default().fields(selector).limit(PAGE);
    tell(Event::Listing);
    loop {
        let request = Request::new(path).list(&params).map_err(kube::Error::BuildRequest)?;
        let page: List<T> = client.request(request).await?;
        page.items.into_iter().for_each(|object| tell(Event::Is(object)));
        if page.metadata.r#continue.is_empty() {
            tell(Event::Complete);
            return Ok(page.metadata.resource_version);
        }
        params = params.continue_token(&page.metadata.r#continue);
    }
}

/// One watch, from `at` on, until the server ends it.
async fn watch<T>(
    client: &Client,
    path: &str,
    selector: &str,
    at: &mut String,
    version: impl Fn(&T) -> &str,
    tell: &mut impl FnMut(Event<T>),
) -> kube::Result<()>
where
    T: Clone + DeserializeOwned,
{
    let params = WatchParams::default().fields(selector).timeout(WATCH_SECONDS);
    let request = Request::new(path).watch(&params, at).map_err(kube::Error::BuildRequest)?;
    let events = client.request_events::<T>(request).await?;
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.try_next().await? {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                version(&object).clone_into(at);
                tell(Event::Is(object));
            }
            WatchEvent::Deleted(object) => {
                version(&object).clone_into(at);
                tell(Event::Gone(object));
            }
            WatchEvent::Bookmark(bookmark) => *at = bookmark.metadata.resource_version,
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        }
    }
    Ok(())
}

/// Whether the server has forgotten the version that was asked for.
fn gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 410)
}

/// Whether the object is not there, or is another one now.
pub(crate) fn lost(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404 || status.code == 409)
}

/// Merges `patch` into the object `name` under `path`, or into its status.
pub(crate) async fn merge(
    client: &Client,
    path: &str,
    name: &str,
    status: bool,
    patch: &serde_json::Value,
) -> kube::Result<()> {
    let (request, params, patch) = (Request::new(path), PatchParams::default(), Patch::Merge(patch));
    let request = if status {
        request.patch_subresource("status", name, &params, &patch)
    } else {
        request.patch(name, &params, &patch)
    };
    // The answer is the whole object; the watch tells what matters of it.
    client.request_text(request.map_err(kube::Error::BuildRequest)?).await.map(drop)
}

/// Creates an object under `path`.
pub(crate) async fn create(client: &Client, path: &str, object: &serde_json::Value) -> kube::Result<()> {
    // Plain strings and numbers: there is nothing that could fail.
    let body = serde_json::to_vec(object).unwrap_or_default();
    let request = Request::new(path).create(&PostParams::default(), body);
    client.request_text(request.map_err(kube::Error::BuildRequest)?).await.map(drop)
}

#[cfg(test)]
mod tests;
