//! The webhook beside the RPCs, by which restored pods go where their sources are. Without it, and without an API server, the rest goes
//! on: it runs in a task of its own and holds up nobody.

use std::path::PathBuf;
use std::time::Duration;

use eck_csi_admission::metrics::Pods;
use eck_csi_admission::server::{ServeError, Serving, Settings, start};
use eck_csi_kubernetes::api;
use tokio_util::sync::CancellationToken;

/// Between tries to serve it: long enough not to fill the log.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// How the webhook runs.
pub(crate) struct Admission {
    pub(crate) settings: Settings,
    /// Instead of the service account.
    pub(crate) kubeconfig: Option<PathBuf>,
    pub(crate) pods: Pods,
}

/// Why it does not serve.
#[derive(Debug, thiserror::Error)]
enum AdmissionError {
    #[error(transparent)]
    Config(#[from] api::ConfigError),
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl Admission {
    /// Until `token` fires and the last answer is given.
    pub(crate) async fn run(self, token: CancellationToken) {
        while let Some(started) = token.run_until_cancelled(self.start(&token)).await {
            match started {
                Ok(serving) => {
                    // A task that panicked has been told of; it is not begun again.
                    let _ = serving.task.await;
                    return;
                }
                Err(error) => {
                    let error = serve::chain::chain(&error);
                    tracing::error!(error, "The webhook of restored pods is not served");
                }
            }
            token.run_until_cancelled(tokio::time::sleep(TRY_AGAIN)).await;
        }
    }

    async fn start(&self, token: &CancellationToken) -> Result<Serving, AdmissionError> {
        let (client, _) = api::connect(self.kubeconfig.as_deref(), None).await?;
        Ok(start(client, &self.settings, self.pods.clone(), token.clone()).await?)
    }
}
