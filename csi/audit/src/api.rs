//! The API server: a client, and lists in pages. Objects are read into types that keep what is needed, so that memory does
//! not grow with what they carry.

use std::path::Path;

use kube::api::{ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use kube::{Client, Config};
use serde::Deserialize;
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

/// Where the API server is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place<'a> {
    /// A kubeconfig; without one `KUBECONFIG`, the home folder's, or the service account, in this order.
    pub kubeconfig: Option<&'a Path>,
    /// A context of it, instead of the current one.
    pub context: Option<&'a str>,
}

/// A client, and the namespace that the context names.
pub async fn connect(place: Place<'_>) -> Result<(Client, String), ConfigError> {
    let options = KubeConfigOptions { context: place.context.map(str::to_owned), ..Default::default() };
    let config = match (place.kubeconfig, place.context) {
        (Some(path), _) => Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await?,
        (None, Some(_)) => Config::from_kubeconfig(&options).await?,
        (None, None) => Config::infer().await?,
    };
    let namespace = config.default_namespace.clone();
    Ok((Client::try_from(config)?, namespace))
}

#[derive(Deserialize)]
struct Page<T> {
    #[serde(default)]
    metadata: PageMetadata,
    // A list that is empty may be null.
    items: Option<Vec<T>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PageMetadata {
    r#continue: String,
}

/// Every object under `path` that the field selector names.
pub async fn list<T: DeserializeOwned>(client: &Client, path: &str, selector: &str) -> kube::Result<Vec<T>> {
    let (mut all, mut params) = (Vec::new(), ListParams::default().fields(selector).limit(PAGE));
    loop {
        let request = Request::new(path).list(&params).map_err(kube::Error::BuildRequest)?;
        let page: Page<T> = client.request(request).await?;
        all.extend(page.items.into_iter().flatten());
        if page.metadata.r#continue.is_empty() {
            return Ok(all);
        }
        params = params.continue_token(&page.metadata.r#continue);
    }
}

/// The object `name` under `path`, if it is there.
pub async fn get<T: DeserializeOwned>(client: &Client, path: &str, name: &str) -> kube::Result<Option<T>> {
    let request = Request::new(path).get(name, &Default::default()).map_err(kube::Error::BuildRequest)?;
    match client.request(request).await {
        Ok(object) => Ok(Some(object)),
        Err(error) if code(&error) == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Creates an object under `path`.
pub async fn create(client: &Client, path: &str, object: &serde_json::Value) -> kube::Result<()> {
    let body = object.to_string().into_bytes();
    let request = Request::new(path).create(&PostParams::default(), body);
    client.request_text(request.map_err(kube::Error::BuildRequest)?).await.map(drop)
}

/// The HTTP status of a refusal.
pub fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}
