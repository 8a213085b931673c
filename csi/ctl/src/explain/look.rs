//! The look: the claim, and whatever it hangs on.

use eck_csi::driver::DRIVER_NAME;
use eck_csi_audit::api;
use ecx::api::{FindDiskByName, GetDisk, Group};
use kube::Client;
use serde_json::Value;

use super::facts::{Attachment, Claim, Class, Disk, Event, Facts, Pod, Volume};
use crate::settings::{Cloud, Kubernetes};

/// `None`: there is no such claim.
pub(super) async fn look(
    kubernetes: &Kubernetes,
    cloud: Result<&Cloud, String>,
    namespace: &str,
    name: &str,
) -> kube::Result<Option<Facts>> {
    let client = &kubernetes.client;
    let claims = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims");
    let Some(claim) = api::get::<Value>(client, &claims, name).await? else { return Ok(None) };
    let claim = Claim::of(&claim, events(client, namespace, name).await?);
    let storage = "/apis/storage.k8s.io/v1";
    let class = match &claim.class {
        Some(class) => api::get(client, &format!("{storage}/storageclasses"), class).await?,
        None => None,
    };
    let volume = match &claim.volume {
        Some(volume) => api::get(client, "/api/v1/persistentvolumes", volume).await?,
        None => None,
    };
    let volume: Option<Volume> = volume.as_ref().map(Volume::of);
    let attachments: Vec<Value> = api::list(client, &format!("{storage}/volumeattachments"), "").await?;
    let of_volume = |one: &&Value| {
        let source = &one["spec"]["source"]["persistentVolumeName"];
        volume.as_ref().is_some_and(|volume| *source == volume.name.as_str())
    };
    let csi_nodes: Vec<Value> = api::list(client, &format!("{storage}/csinodes"), "").await?;
    let has_driver = |node: &Value| {
        let drivers = node["spec"]["drivers"].as_array().into_iter().flatten();
        let ours = drivers.into_iter().any(|driver| driver["name"] == DRIVER_NAME);
        ours.then(|| node["metadata"]["name"].as_str().unwrap_or_default().to_owned())
    };
    Ok(Some(Facts {
        class: class.as_ref().map(Class::of),
        attachments: attachments.iter().filter(of_volume).map(Attachment::of).collect(),
        pods: pods(client, namespace, name).await?,
        disk: disk(cloud, &claim, volume.as_ref()).await,
        driver_on: csi_nodes.iter().filter_map(has_driver).collect(),
        controller: controller(kubernetes).await?,
        claim,
        volume,
    }))
}

async fn events(client: &Client, namespace: &str, name: &str) -> kube::Result<Vec<Event>> {
    let path = format!("/api/v1/namespaces/{namespace}/events");
    let events: Vec<Value> = api::list(client, &path, &format!("involvedObject.name={name}")).await?;
    Ok(events.iter().map(Event::of).collect())
}

async fn pods(client: &Client, namespace: &str, claim: &str) -> kube::Result<Vec<Pod>> {
    let all: Vec<Value> = api::list(client, &format!("/api/v1/namespaces/{namespace}/pods"), "").await?;
    let mut pods = Vec::new();
    for pod in all.iter().filter(|pod| Pod::uses(pod, claim)) {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        pods.push(Pod::of(pod, events(client, namespace, name).await?));
    }
    // A pod that has ended needs nothing any more.
    pods.retain(|pod| !matches!(pod.phase.as_str(), "Succeeded" | "Failed"));
    Ok(pods)
}

/// Whether one of its replicas is ready.
async fn controller(kubernetes: &Kubernetes) -> kube::Result<bool> {
    let path = format!("/apis/apps/v1/namespaces/{}/deployments", kubernetes.driver_namespace);
    let found: Option<Value> = api::get(&kubernetes.client, &path, "eck-csi-controller").await?;
    Ok(found.is_some_and(|found| found["status"]["readyReplicas"].as_u64().unwrap_or(0) > 0))
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
