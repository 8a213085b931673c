//! The report of a look at both sides.

use std::time::Duration;

use eck_csi::cluster::ClusterIdentity;
use eck_csi::volume::Region;
use eck_csi_kubernetes::Millis;

use crate::cloud::{self, Cloud};
use crate::cluster::{self, Cluster};
use crate::decide::{Terms, decide};
use crate::finding::Finding;
use crate::missing;

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Kubernetes.
    #[error("the API server cannot be read")]
    Cluster(#[from] kube::Error),
    /// Every region: this is the first. What one of several does not say is in the report.
    #[error("the cloud cannot be read in region {0}")]
    Cloud(Region, #[source] ecx::Error),
}

/// What was seen, and what was found in it.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// As it was after the look at the cloud.
    pub cluster: Cluster,
    /// The cloud.
    pub cloud: Cloud,
    /// What holds for the cluster before and after the look at the cloud.
    pub findings: Vec<Finding>,
}

/// Who is audited.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The cluster's regions.
    pub regions: Vec<Region>,
    /// Which cluster it is: the mark of its disks.
    pub cluster: ClusterIdentity,
    /// What is younger is still under way.
    pub grace: Duration,
}

/// Looks. What is being made or deleted meanwhile is no drift: a finding counts only if it holds both for the cluster as
/// it was before the look at the cloud and as it was after. Where the cloud could not be read, nothing is found of what was not seen.
pub async fn report(
    kube: &kube::Client,
    ecx: &ecx::Client,
    scope: &Scope,
    now: impl Fn() -> Millis,
) -> Result<Report, ReportError> {
    let before = cluster::read(kube).await?;
    let cloud = cloud::read(ecx, &scope.regions).await;
    let mut cloud = cloud.map_err(|(region, error)| ReportError::Cloud(region, error))?;
    let cluster = cluster::read(kube).await?;
    let terms = Terms { cluster: &scope.cluster, now: now(), grace: scope.grace };
    let mut findings = decide(&cluster, &cloud, &terms);
    let earlier = decide(&before, &cloud, &terms);
    findings.retain(|finding| earlier.iter().any(|other| other.is(finding)));
    let (findings, silent) = missing::proven(ecx, &scope.regions, findings).await;
    for (region, error) in silent {
        cloud.lacks(&region, true, &error.to_string());
    }
    Ok(Report { cluster, cloud, findings })
}
