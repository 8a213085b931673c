//! What goes into the bundle: the driver's objects, those of its volumes, its logs and metrics.

use std::collections::BTreeSet;

use eck_csi::driver::DRIVER_NAME;
use eck_csi_audit::api;
use kube::api::LogParams;
use kube::core::Request;
use serde_json::Value;

use super::Content;
use super::scrub::Scrub;
use crate::settings::Kubernetes;

/// The label `app` of the driver's pods, and the port of their metrics (deploy/charts/eck-csi).
const PROGRAMS: [(&str, u16); 2] = [("eck-csi-controller", 9809), ("eck-csi-node", 9810)];

/// Bytes of one log: a hundred nodes of these are a file that can be sent.
const LOG_BYTES: i64 = 4 << 20;

const STORAGE: &str = "/apis/storage.k8s.io/v1";

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// Every object that has to do with the driver, and their events.
pub(super) async fn objects(kubernetes: &Kubernetes, scrub: &Scrub, content: &mut Content) {
    let own = &kubernetes.driver_namespace;
    let all = |path: String| list(kubernetes, path);
    let mut reader = Reader { scrub, content, names: BTreeSet::from([DRIVER_NAME.to_owned()]) };
    let ours = |object: &Value| name(object).starts_with("eck-csi");
    let volumes = all("/api/v1/persistentvolumes".to_owned()).await;
    let of_driver = |volume: &Value| volume["spec"]["csi"]["driver"] == DRIVER_NAME;
    let volumes = reader.keep("persistentvolumes", volumes, of_driver);
    let classes = all(format!("{STORAGE}/storageclasses")).await;
    let classes = reader.keep("storageclasses", classes, |class| class["provisioner"] == DRIVER_NAME);
    let claims = all("/api/v1/persistentvolumeclaims".to_owned()).await;
    reader.keep("persistentvolumeclaims", claims, |claim| {
        let named = |names: &BTreeSet<String>, field: &str| {
            claim["spec"][field].as_str().is_some_and(|name| names.contains(name))
        };
        named(&volumes, "volumeName") || named(&classes, "storageClassName")
    });
    let attachments = all(format!("{STORAGE}/volumeattachments")).await;
    reader.keep("volumeattachments", attachments, |one| one["spec"]["attacher"] == DRIVER_NAME);
    reader.keep("csidrivers", all(format!("{STORAGE}/csidrivers")).await, |one| name(one) == DRIVER_NAME);
    let events = all("/api/v1/events".to_owned()).await;
    // The nodes' events are about anything: not asked for.
    let names = reader.names.clone();
    reader.keep("events", events, |event| {
        let about = event["involvedObject"]["name"].as_str().unwrap_or_default();
        names.contains(about)
            || (event["metadata"]["namespace"] == own.as_str() && about.starts_with("eck-csi"))
    });
    reader.keep("csinodes", all(format!("{STORAGE}/csinodes")).await, |_| true);
    let capacities = all(format!("{STORAGE}/csistoragecapacities")).await;
    reader.keep("csistoragecapacities", capacities, |one| {
        one["storageClassName"].as_str().is_some_and(|class| classes.contains(class))
    });
    reader.keep("nodes", all("/api/v1/nodes".to_owned()).await, |_| true);
    for (group, kind) in
        [("apps/v1", "deployments"), ("apps/v1", "daemonsets"), ("coordination.k8s.io/v1", "leases")]
    {
        let path = format!("/apis/{group}/namespaces/{own}/{kind}");
        // Sidecars call their leases after the driver.
        let of_driver = |one: &Value| ours(one) || name(one).contains("eck-csi-k8s-io");
        reader.keep(kind, all(path).await, of_driver);
    }
    for kind in ["pods", "configmaps"] {
        reader.keep(kind, all(format!("/api/v1/namespaces/{own}/{kind}")).await, ours);
    }
}

async fn list(kubernetes: &Kubernetes, path: String) -> kube::Result<Vec<Value>> {
    api::list(&kubernetes.client, &path, "").await
}

struct Reader<'a> {
    scrub: &'a Scrub,
    content: &'a mut Content,
    /// Of all that was kept: events about them are kept too.
    names: BTreeSet<String>,
}

impl Reader<'_> {
    /// Adds those objects of a list that belong here; gives their names.
    fn keep(
        &mut self,
        kind: &str,
        all: kube::Result<Vec<Value>>,
        belongs: impl Fn(&Value) -> bool,
    ) -> BTreeSet<String> {
        let mut kept = match all {
            Ok(all) => all,
            Err(error) => {
                self.content.lacks(kind, &error);
                return BTreeSet::new();
            }
        };
        kept.retain(belongs);
        kept.iter_mut().for_each(|object| self.scrub.object(object));
        let names: BTreeSet<String> = kept.iter().map(|object| name(object).to_owned()).collect();
        self.names.extend(names.iter().cloned());
        self.content.add_json(format!("objects/{kind}.json"), &Value::Array(kept));
        names
    }
}

/// Logs and metrics of the driver's pods.
pub(super) async fn programs(kubernetes: &Kubernetes, lines: i64, content: &mut Content) {
    let path = format!("/api/v1/namespaces/{}/pods", kubernetes.driver_namespace);
    let pods: Vec<Value> = match api::list(&kubernetes.client, &path, "").await {
        Ok(pods) => pods,
        // Told with the objects already.
        Err(_) => return,
    };
    for pod in &pods {
        let app = pod["metadata"]["labels"]["app"].as_str().unwrap_or_default();
        let Some((_, port)) = PROGRAMS.iter().find(|(program, _)| *program == app) else { continue };
        metrics(kubernetes, &path, name(pod), *port, content).await;
        for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
            let container = container["name"].as_str().unwrap_or_default();
            let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
            let restarted =
                statuses.into_iter().any(|one| one["name"] == container && one["restartCount"] != 0);
            for previous in [false, true].into_iter().filter(|previous| !previous || restarted) {
                log(kubernetes, &path, name(pod), container, (lines, previous), content).await;
            }
        }
    }
}

async fn log(
    kubernetes: &Kubernetes,
    path: &str,
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
    let request = match Request::new(path).logs(pod, &params) {
        Ok(request) => request,
        Err(error) => return content.lacks(&file, &error),
    };
    match kubernetes.client.request_text(request).await {
        Ok(log) => content.add(file, log),
        Err(error) => content.lacks(&file, &error),
    }
}

async fn metrics(kubernetes: &Kubernetes, path: &str, pod: &str, port: u16, content: &mut Content) {
    let proxy = format!("{path}/{pod}:{port}/proxy");
    let file = format!("metrics/{pod}.txt");
    let request = match Request::new(proxy).get("metrics", &Default::default()) {
        Ok(request) => request,
        Err(error) => return content.lacks(&file, &error),
    };
    match kubernetes.client.request_text(request).await {
        Ok(metrics) => content.add(file, metrics),
        Err(error) => content.lacks(&file, &error),
    }
}
