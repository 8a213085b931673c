//! Carries a fix out, and proves it.

use std::time::Duration;

use ecx::api::{AttachDisk, DeleteDisk, Disk, GetDisk};
use k8s_openapi::api::storage::v1::VolumeAttachment;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use eck_csi::cluster::ClusterIdentity;
use eck_csi::volume::Region;

use super::fix::{Fix, held, there};
use crate::cluster::Kubernetes;
use crate::settings::Cloud;

/// The finalizer of csi-attacher: `external-attacher/` and the driver's name, dots as dashes (external-attacher, GetFinalizerName).
const FINALIZER: &str = "external-attacher/eck-csi-k8s-io";

/// Why a fix is not proven to be done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The cloud refused, or its answer was lost.
    #[error(transparent)]
    Cloud(#[from] ecx::Error),
    /// It was accepted, and its end was not seen.
    #[error("the cloud took it, and it is not done after {} s; last seen: {last}", after.as_secs())]
    NotYet {
        /// How long it was waited.
        after: Duration,
        /// The disk's state.
        last: String,
    },
    /// The API server.
    #[error("the API server refused")]
    Kube(#[from] kube::Error),
    /// Since the lists were read, or otherwise than they say.
    #[error("by its own word the disk is not as it was listed: {0}")]
    Otherwise(String),
    /// It is another one now.
    #[error("the VolumeAttachment is not being deleted any more")]
    Another,
}

pub(super) async fn act(kubernetes: &Kubernetes, cloud: &Cloud, fix: &Fix) -> Result<(), ActError> {
    match fix {
        Fix::DeleteDisk { region, disk, .. } => {
            if let Some(own) = ask(cloud, region, disk).await? {
                free(&own, &cloud.cluster)?;
            }
            // The controller's own token: both orders are one.
            let client_token = ecx::token::delete(&cloud.cluster.id, disk);
            let body = DeleteDisk { client_token, region_id: region.to_string(), disk_id: disk.clone() };
            match cloud.client.delete_disk(&body).await {
                Ok(_) | Err(ecx::Error::InProgress(_) | ecx::Error::DiskNotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
            until(cloud, region, disk, |disk| disk.is_none()).await
        }
        Fix::Detach { region, disk, machine } => {
            let instance_id = Some(machine.clone());
            let body = AttachDisk { region_id: region.to_string(), disk_id: disk.clone(), instance_id };
            match cloud.client.detach_disk(&body).await {
                Ok(_) => {}
                // The disk itself says what came of it.
                Err(error) if error.outcome_unknown() => {}
                Err(error) => return Err(error.into()),
            }
            let left =
                |disk: Option<&Disk>| disk.is_none_or(|disk| !disk.holders().contains(&machine.as_str()));
            until(cloud, region, disk, left).await
        }
        Fix::Release { attachment, region, disk, machine } => {
            let own = ask(cloud, region, disk).await?;
            if let Some(reason) = own.and_then(|own| there(&own, machine.as_deref())) {
                return Err(ActError::Otherwise(reason));
            }
            release(kubernetes, attachment).await
        }
    }
}

/// The disk by its own word, which ends where lists only hint; `None` if it is gone.
async fn ask(cloud: &Cloud, region: &Region, id: &str) -> Result<Option<Disk>, ActError> {
    let query = GetDisk { region_id: region.to_string(), disk_id: id.to_owned() };
    match cloud.client.get_disk(&query).await {
        Ok(disk) => Ok(Some(disk)),
        Err(ecx::Error::DiskNotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether it is still free, and no other cluster's.
fn free(disk: &Disk, cluster: &ClusterIdentity) -> Result<(), ActError> {
    let other = cluster.whose(disk.label_pairs()).other().map(|other| other.to_string());
    other.or_else(|| held(disk)).map_or(Ok(()), |reason| Err(ActError::Otherwise(reason)))
}

async fn until(
    cloud: &Cloud,
    region: &Region,
    id: &str,
    done: impl Fn(Option<&Disk>) -> bool,
) -> Result<(), ActError> {
    let poll = &cloud.client.profile().poll;
    let (mut pause, mut after) = (None, Duration::ZERO);
    loop {
        let next = poll.next(pause);
        tokio::time::sleep(next).await;
        (pause, after) = (Some(next), after + next);
        let query = GetDisk { region_id: region.to_string(), disk_id: id.to_owned() };
        let last = match cloud.client.get_disk(&query).await {
            Ok(disk) if done(Some(&disk)) => return Ok(()),
            Err(ecx::Error::DiskNotFound(_)) if done(None) => return Ok(()),
            Ok(disk) => disk.disk_status.as_str().to_owned(),
            Err(error) if error.retryable() => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        if after >= poll.give_up() {
            return Err(ActError::NotYet { after, last });
        }
    }
}

/// Takes the attacher's finalizer, and no other, from the object as it was read: whoever changed it since wins.
async fn release(kubernetes: &Kubernetes, name: &str) -> Result<(), ActError> {
    let attachments = kubernetes.all::<VolumeAttachment>();
    let Some(attachment) = attachments.get_opt(name).await? else { return Ok(()) };
    let metadata = attachment.metadata;
    if metadata.deletion_timestamp.is_none() {
        return Err(ActError::Another);
    }
    let mut finalizers = metadata.finalizers.unwrap_or_default();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    let patch =
        json!({ "metadata": { "finalizers": finalizers, "resourceVersion": metadata.resource_version } });
    attachments.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    Ok(())
}
