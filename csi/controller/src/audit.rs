//! The audit beside the RPCs: every so often, as a metric and as Kubernetes events. It holds up nobody: it runs in a task of
//! its own, its reads share the account's rate, and without an API server it fails, is counted, and is tried again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use eck_csi_audit::report::Scope;
use eck_csi_audit::{Report, ReportError, event, report};
use eck_csi_kubernetes::{api, now};

use crate::driver::Driver;
use crate::metrics::Audits;

/// Events of one round: whoever has more reads the metric and `eckctl audit`. Far below the 25 that client-go lets one
/// source write at once.
const EVENTS: usize = 20;

/// How the audit runs.
pub(crate) struct Audit {
    pub(crate) driver: Arc<Driver>,
    /// From one end to the next begin.
    pub(crate) every: Duration,
    /// What is younger is still under way.
    pub(crate) grace: Duration,
    /// Instead of the service account.
    pub(crate) kubeconfig: Option<PathBuf>,
    pub(crate) audits: Audits,
}

/// Why a round told nothing.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Config(#[from] api::ConfigError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error("it took longer than {} s", .0.as_secs())]
    Slow(Duration),
}

impl Audit {
    /// For ever.
    pub(crate) async fn run(self) {
        loop {
            let round = tokio::time::timeout(self.every, self.round()).await;
            match round.unwrap_or(Err(RoundError::Slow(self.every))) {
                Ok(Report { findings, cloud, .. }) => {
                    for finding in &findings {
                        tracing::warn!(kind = %finding.kind, "{}", finding.message);
                    }
                    for (region, unread) in &cloud.unread {
                        tracing::warn!(%region, reason = unread.reason, "The audit could not read all of a region");
                    }
                    let kinds = findings.iter().map(|finding| finding.kind);
                    let whole = cloud.unread.is_empty();
                    self.audits.found(kinds, whole.then(|| now() / 1000));
                }
                Err(error) => {
                    tracing::warn!(error = serve::chain::chain(&error), "The audit failed");
                    self.audits.failed();
                }
            }
            tokio::time::sleep(self.every).await;
        }
    }

    /// Looks, and tells what it found.
    async fn round(&self) -> Result<Report, RoundError> {
        // Anew each time: a service account's authority may have been replaced.
        let (kube, _) = api::connect(self.kubeconfig.as_deref(), None).await?;
        let regions = self.driver.regions.all_known().await;
        let scope = Scope { regions, cluster: self.driver.cluster.clone(), grace: self.grace };
        let found = report(&kube, &self.driver.client, &scope, now).await?;
        for finding in found.findings.iter().take(EVENTS) {
            if let Err(error) = event::publish(&kube, finding, now()).await {
                tracing::warn!(error = serve::chain::chain(&error), "An event cannot be written");
                break;
            }
        }
        Ok(found)
    }
}
