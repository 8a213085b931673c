//! What goes into the bundle: the driver's objects, those of its volumes, its logs and metrics.

use std::collections::BTreeSet;

use eck_csi::driver::DRIVER_NAME;
use eck_csi_kubernetes::api;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment};
use kube::api::{DynamicObject, ListParams, LogParams};
use kube::core::Request;
use kube::{Api, Resource};

use super::content::Content;
use crate::cluster::{self, Kubernetes, name};

/// The label `app` of the driver's pods, and the port of their metrics (deploy/charts/eck-csi).
const PROGRAMS: [(&str, u16); 2] = [("eck-csi-controller", 9809), ("eck-csi-node", 9810)];

/// Bytes of one log: a hundred nodes of these are a file that can be sent.
const LOG_BYTES: i64 = 4 << 20;

/// Every object that has to do with the driver, and their events.
pub(super) async fn objects(kubernetes: &Kubernetes, content: &mut Content) {
    let own = &kubernetes.driver_namespace;
    let mut reader = Reader { kubernetes, content, names: BTreeSet::from([DRIVER_NAME.to_owned()]) };
    let ours = |object: &DynamicObject| name(object).starts_with("eck-csi");
    let of_driver = |volume: &DynamicObject| volume.data["spec"]["csi"]["driver"] == DRIVER_NAME;
    let volumes = reader.keep::<PersistentVolume>(None, of_driver).await;
    let of_driver = |class: &DynamicObject| class.data["provisioner"] == DRIVER_NAME;
    let classes = reader.keep::<StorageClass>(None, of_driver).await;
    let of_driver = |claim: &DynamicObject| {
        let named = |names: &BTreeSet<String>, field: &str| {
            claim.data["spec"][field].as_str().is_some_and(|name| names.contains(name))
        };
        named(&volumes, "volumeName") || named(&classes, "storageClassName")
    };
    reader.keep::<PersistentVolumeClaim>(None, of_driver).await;
    let of_driver = |one: &DynamicObject| one.data["spec"]["attacher"] == DRIVER_NAME;
    reader.keep::<VolumeAttachment>(None, of_driver).await;
    reader.keep::<CSIDriver>(None, |one| name(one) == DRIVER_NAME).await;
    // The nodes' events are about anything: not asked for.
    let names = reader.names.clone();
    let about_driver = |event: &DynamicObject| {
        let about = event.data["involvedObject"]["name"].as_str().unwrap_or_default();
        names.contains(about)
            || (event.metadata.namespace.as_ref() == Some(own) && about.starts_with("eck-csi"))
    };
    reader.keep::<Event>(None, about_driver).await;
    reader.keep::<CSINode>(None, |_| true).await;
    let of_driver = |one: &DynamicObject| {
        one.data["storageClassName"].as_str().is_some_and(|class| classes.contains(class))
    };
    reader.keep::<CSIStorageCapacity>(None, of_driver).await;
    reader.keep::<Node>(None, |_| true).await;
    reader.keep::<Deployment>(Some(own), ours).await;
    reader.keep::<DaemonSet>(Some(own), ours).await;
    // Sidecars call their leases after the driver.
    let of_driver = |one: &DynamicObject| ours(one) || name(one).contains("eck-csi-k8s-io");
    reader.keep::<Lease>(Some(own), of_driver).await;
    reader.keep::<Pod>(Some(own), ours).await;
    reader.keep::<ConfigMap>(Some(own), ours).await;
}

struct Reader<'a> {
    kubernetes: &'a Kubernetes,
    content: &'a mut Content,
    /// Of all that was kept: events about them are kept too.
    names: BTreeSet<String>,
}

impl Reader<'_> {
    /// Adds those objects of the kind `K` that belong here; gives their names.
    async fn keep<K: Resource<DynamicType = ()>>(
        &mut self,
        namespace: Option<&str>,
        belongs: impl Fn(&DynamicObject) -> bool,
    ) -> BTreeSet<String> {
        let api = match namespace {
            Some(namespace) => self.kubernetes.within::<K>(namespace),
            None => self.kubernetes.all::<K>(),
        };
        let kind = K::plural(&());
        let belongs = |object| belongs(&object).then_some(object);
        let kept = match api::list(&api, &ListParams::default(), belongs).await {
            Ok(kept) => kept,
            Err(error) => {
                self.content.lacks(&kind, &error);
                return BTreeSet::new();
            }
        };
        let names: BTreeSet<String> = kept.iter().map(|object| name(object).to_owned()).collect();
        self.names.extend(names.iter().cloned());
        let objects = serde_json::to_value(kept).unwrap_or_default();
        self.content.add_json(format!("objects/{kind}.json"), objects);
        names
    }
}

/// Logs and metrics of the driver's pods.
pub(super) async fn programs(kubernetes: &Kubernetes, lines: i64, content: &mut Content) {
    let namespace = &kubernetes.driver_namespace;
    let pods = match cluster::list(&kubernetes.within::<Pod>(namespace)).await {
        Ok(pods) => pods,
        // Told with the objects already.
        Err(_) => return,
    };
    let logs: Api<Pod> = Api::namespaced(kubernetes.client.clone(), namespace);
    for pod in &pods {
        let app = pod.metadata.labels.as_ref().and_then(|labels| labels.get("app"));
        let Some((_, port)) = PROGRAMS.iter().find(|(program, _)| app.is_some_and(|app| app == program))
        else {
            continue;
        };
        metrics(kubernetes, name(pod), *port, content).await;
        for container in pod.data["spec"]["containers"].as_array().into_iter().flatten() {
            let container = container["name"].as_str().unwrap_or_default();
            let statuses = pod.data["status"]["containerStatuses"].as_array().into_iter().flatten();
            let restarted =
                statuses.into_iter().any(|one| one["name"] == container && one["restartCount"] != 0);
            for previous in [false, true].into_iter().filter(|previous| !previous || restarted) {
                log(&logs, name(pod), container, (lines, previous), content).await;
            }
        }
    }
}

async fn log(
    pods: &Api<Pod>,
    pod: &str,
    container: &str,
    (lines, previous): (i64, bool),
    content: &mut Content,
) {
    let params = LogParams {
        container: Some(container.to_owned()),
        tail_lines: Some(lines),
        limit_bytes: Some(LOG_BYTES),
        previous,
        timestamps: true,
        ..LogParams::default()
    };
    let file = format!("logs/{pod}/{container}{}.log", if previous { ".previous" } else { "" });
    match pods.logs(pod, &params).await {
        Ok(log) => content.add(file, log),
        Err(error) => content.lacks(&file, &error),
    }
}

/// Through the API server's proxy of the pod, for which kube has no method.
async fn metrics(kubernetes: &Kubernetes, pod: &str, port: u16, content: &mut Content) {
    let pods = Pod::url_path(&(), Some(&kubernetes.driver_namespace));
    let file = format!("metrics/{pod}.txt");
    let request = match Request::new(format!("{pods}/{pod}:{port}/proxy")).get("metrics", &Default::default())
    {
        Ok(request) => request,
        Err(error) => return content.lacks(&file, &error),
    };
    match kubernetes.client.request_text(request).await {
        Ok(metrics) => content.add(file, metrics),
        Err(error) => content.lacks(&file, &error),
    }
}
