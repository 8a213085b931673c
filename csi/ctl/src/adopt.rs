//! `eckctl adopt`: a disk that exists becomes a volume and a claim, with its data (ECK user guide 4.7.5.2 and 4.7.6.3).
//!
//! Twice is once: what an earlier run made is left as it is, what it did not come to is made.

use ecx::api::GetDisk;
use k8s_openapi::api::core::v1::{Namespace, Node, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::PostParams;

use crate::args::{AdoptArgs, Reclaim};
use crate::cluster::{Kubernetes, list};
use crate::console::{Console, Ended};
use crate::settings::Cloud;

mod decide;
mod objects;

pub use decide::{AdoptPlan, Facts, Refusal, decide};
pub use objects::{AdoptRequest, Form};

/// Why a disk is not adopted.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// A check failed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The cloud.
    #[error("the cloud cannot be read in region {0}")]
    Cloud(String, #[source] ecx::Error),
    /// The API server.
    #[error("{0}")]
    Kube(&'static str, #[source] kube::Error),
    /// YAML.
    #[error("the YAML cannot be written")]
    Yaml(#[from] serde_saphyr::SerializeError),
    /// Output.
    #[error("the answer cannot be written")]
    Write(#[from] std::io::Error),
}

impl AdoptError {
    /// The answer is no, as opposed to: there is none.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// Adopts, or with `--dry-run` shows what it would make.
pub async fn adopt(
    kubernetes: &Kubernetes,
    cloud: &Cloud,
    args: &AdoptArgs,
    console: &mut Console<'_>,
) -> Result<Ended, AdoptError> {
    let request = AdoptRequest {
        disk: args.disk.clone(),
        namespace: args.namespace.clone().unwrap_or_else(|| kubernetes.namespace.clone()),
        claim: args.claim.clone(),
        volume: args.volume.clone().unwrap_or_else(|| args.disk.to_string()),
        class: args.storage_class.clone(),
        form: if args.block { Form::Block } else { Form::Mount(args.fs_type) },
        reclaim: match args.reclaim_policy {
            Reclaim::Retain => "Retain",
            Reclaim::Delete => "Delete",
        },
    };
    let facts = read_facts(kubernetes, cloud, &request).await?;
    let plan = decide(&request, &facts)?;
    for warning in &plan.warnings {
        writeln!(console.out, "# {warning}")?;
    }
    if args.dry_run {
        for object in [&plan.volume, &plan.claim].into_iter().flatten() {
            writeln!(console.out, "---\n{}", serde_saphyr::to_string(object)?.trim_end())?;
        }
        return Ok(Ended::Well);
    }
    if let Some(volume) = &plan.volume {
        let made = kubernetes.all::<PersistentVolume>().create(&PostParams::default(), volume).await;
        made.map_err(|error| AdoptError::Kube("the volume is not made; nothing was changed", error))?;
        writeln!(console.out, "persistentvolume/{} created", request.volume)?;
    }
    if let Some(claim) = &plan.claim {
        let claims = kubernetes.within::<PersistentVolumeClaim>(&request.namespace);
        let made = claims.create(&PostParams::default(), claim).await;
        made.map_err(|error| AdoptError::Kube("the volume is there, the claim is not; run it again", error))?;
        writeln!(console.out, "persistentvolumeclaim/{} created in {}", request.claim, request.namespace)?;
    }
    if plan.volume.is_none() && plan.claim.is_none() {
        writeln!(
            console.out,
            "disk {} is adopted already, by claim {} in {}",
            request.disk, request.claim, request.namespace
        )?;
    }
    Ok(Ended::Well)
}

async fn read_facts(
    kubernetes: &Kubernetes,
    cloud: &Cloud,
    request: &AdoptRequest,
) -> Result<Facts, AdoptError> {
    let mut disk = None;
    for region in &cloud.regions {
        let query = GetDisk { region_id: region.to_string(), disk_id: request.disk.to_string() };
        match cloud.client.get_disk(&query).await {
            Ok(found) => disk = Some((region.clone(), found)),
            Err(ecx::Error::DiskNotFound(_)) => {}
            Err(error) => return Err(AdoptError::Cloud(region.to_string(), error)),
        }
    }
    let read = |error| AdoptError::Kube("the API server cannot be read", error);
    let claims = kubernetes.within::<PersistentVolumeClaim>(&request.namespace);
    let namespace = kubernetes.all::<Namespace>().get_opt(&request.namespace).await.map_err(read)?;
    Ok(Facts {
        disk,
        regions: cloud.regions.clone(),
        cluster: cloud.cluster.clone(),
        volumes: list(&kubernetes.all::<PersistentVolume>()).await.map_err(read)?,
        claim: claims.get_opt(&request.claim).await.map_err(read)?,
        class: kubernetes.all::<StorageClass>().get_opt(&request.class).await.map_err(read)?,
        namespace: namespace.is_some(),
        nodes: list(&kubernetes.all::<Node>()).await.map_err(read)?,
    })
}
