//! Reads the claim, and whatever it hangs on.

use eck_csi::driver::DRIVER_NAME;
use eck_csi_kubernetes::api;
use ecx::api::{FindDiskByName, GetDisk, Group};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{
    Event as CoreEvent, PersistentVolume, PersistentVolumeClaim, Pod as CorePod,
};
use k8s_openapi::api::storage::v1::{CSINode, StorageClass, VolumeAttachment};
use kube::api::{DynamicObject, ListParams};

use super::facts::{Attachment, Claim, Class, Disk, Event, Facts, Pod, Volume};
use crate::cluster::{Kubernetes, list, name as name_of};
use crate::settings::Cloud;

/// `None`: there is no such claim.
pub(super) async fn facts(
    kubernetes: &Kubernetes,
    cloud: Result<&Cloud, String>,
    namespace: &str,
    name: &str,
) -> kube::Result<Option<Facts>> {
    let claims = kubernetes.within::<PersistentVolumeClaim>(namespace);
    let Some(claim) = claims.get_opt(name).await? else { return Ok(None) };
    let claim = Claim::of(&claim, events(kubernetes, namespace, name).await?);
    let class = match &claim.class {
        Some(class) => kubernetes.all::<StorageClass>().get_opt(class).await?,
        None => None,
    };
    let volume = match &claim.volume {
        Some(volume) => kubernetes.all::<PersistentVolume>().get_opt(volume).await?,
        None => None,
    };
    let volume: Option<Volume> = volume.as_ref().map(Volume::of);
    let attachments = list(&kubernetes.all::<VolumeAttachment>()).await?;
    let of_volume = |one: &&DynamicObject| {
        let source = &one.data["spec"]["source"]["persistentVolumeName"];
        volume.as_ref().is_some_and(|volume| *source == volume.name.as_str())
    };
    let csi_nodes = list(&kubernetes.all::<CSINode>()).await?;
    let has_driver = |node: &DynamicObject| {
        let drivers = node.data["spec"]["drivers"].as_array().into_iter().flatten();
        let ours = drivers.into_iter().any(|driver| driver["name"] == DRIVER_NAME);
        ours.then(|| name_of(node).to_owned())
    };
    Ok(Some(Facts {
        class: class.as_ref().map(Class::of),
        attachments: attachments.iter().filter(of_volume).map(Attachment::of).collect(),
        pods: pods(kubernetes, namespace, name).await?,
        disk: disk(cloud, &claim, volume.as_ref()).await,
        driver_on: csi_nodes.iter().filter_map(has_driver).collect(),
        controller: controller(kubernetes).await?,
        claim,
        volume,
    }))
}

async fn events(kubernetes: &Kubernetes, namespace: &str, name: &str) -> kube::Result<Vec<Event>> {
    let about = ListParams::default().fields(&format!("involvedObject.name={name}"));
    api::list(&kubernetes.within::<CoreEvent>(namespace), &about, |event| Some(Event::of(&event))).await
}

async fn pods(kubernetes: &Kubernetes, namespace: &str, claim: &str) -> kube::Result<Vec<Pod>> {
    let uses = |pod: DynamicObject| Pod::uses(&pod, claim).then_some(pod);
    let users = api::list(&kubernetes.within::<CorePod>(namespace), &ListParams::default(), uses).await?;
    let mut pods = Vec::new();
    for pod in &users {
        pods.push(Pod::of(pod, events(kubernetes, namespace, name_of(pod)).await?));
    }
    // A pod that has ended needs nothing any more.
    pods.retain(|pod| !matches!(pod.phase.as_str(), "Succeeded" | "Failed"));
    Ok(pods)
}

/// Whether one of its replicas is ready.
async fn controller(kubernetes: &Kubernetes) -> kube::Result<bool> {
    let deployments = kubernetes.within::<Deployment>(&kubernetes.driver_namespace);
    let found = deployments.get_opt("eck-csi-controller").await?;
    Ok(found.is_some_and(|found| found.data["status"]["readyReplicas"].as_u64().unwrap_or(0) > 0))
}

/// The volume's disk by its id; before there is a volume, the one that the provisioner has ordered for the claim.
async fn disk(cloud: Result<&Cloud, String>, claim: &Claim, volume: Option<&Volume>) -> Disk {
    let cloud = match cloud {
        Ok(cloud) => cloud,
        Err(reason) => return Disk::Unknown(reason),
    };
    let (mut gone, mut failed) = (None, None);
    for region in &cloud.regions {
        let region_id = region.to_string();
        let found = match volume {
            Some(volume) if volume.driver == DRIVER_NAME => {
                let query = GetDisk { region_id, disk_id: volume.disk.clone() };
                cloud.client.get_disk(&query).await.map(Some)
            }
            Some(_) => return Disk::None,
            None => {
                let query = FindDiskByName { region_id, disk_name: format!("pvc-{}", claim.uid) };
                let found = cloud.client.find_disk_by_name(&query).await;
                found.map(|found| found.disk_list.into_iter().next())
            }
        };
        match found {
            Ok(Some(disk)) => {
                return Disk::Is {
                    id: disk.disk_id.clone(),
                    state: disk.disk_status.as_str().to_owned(),
                    dead: disk.disk_status.group() == Group::Dead,
                    holders: disk.holders().into_iter().map(str::to_owned).collect(),
                };
            }
            Ok(None) => {}
            Err(ecx::Error::DiskNotFound(said)) => gone = Some(said.to_string()),
            Err(error) => failed = Some(format!("{region}: {error}")),
        }
    }
    // "Gone" is only said when every region has said so.
    match (failed, gone) {
        (Some(failed), _) => Disk::Unknown(failed),
        (None, Some(gone)) => Disk::Gone(gone),
        (None, None) => Disk::None,
    }
}
