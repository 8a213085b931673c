//! The node's own pods: into the pod cache, and the node's own decisions back into their annotations.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ideal_gpu::names::DECISION;
use kube::api::{Patch, PatchParams};
pub use kube::runtime::watcher::Event;
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::api;
use crate::lister::PodResources;
use crate::pod::ApiPod;
use crate::pod_cache::PodCache;

/// How often it is looked whether the kubelet has let go of a pod that the API server has no more.
const SWEEP: Duration = Duration::from_secs(1);

/// How long a decision that could not be written back waits for the next try.
const AGAIN: Duration = Duration::from_secs(10);

/// What the API server tells of the node's pods, on its way into the pod cache.
pub struct PodUpdates {
    pod_cache: PodCache,
    listed: HashSet<String>,
}

impl PodUpdates {
    /// For this pod_cache.
    pub fn of(pod_cache: PodCache) -> Self {
        Self { pod_cache, listed: HashSet::new() }
    }

    /// One piece.
    pub fn tell(&mut self, event: Event<ApiPod>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(pod) | Event::Apply(pod) => {
                self.listed.insert(pod.uid().unwrap_or_default());
                is(&self.pod_cache, pod);
            }
            Event::Delete(pod) => {
                let uid = pod.uid().unwrap_or_default();
                self.listed.remove(&uid);
                self.pod_cache.delete(&uid);
            }
            Event::InitDone => self.pod_cache.keep(&std::mem::take(&mut self.listed)),
        }
    }
}

/// Fills the pod cache from the API server, for ever.
pub(crate) async fn follow(client: Client, node: String, pod_cache: PodCache) {
    let mut updates = PodUpdates::of(pod_cache);
    let tell = |event| updates.tell(event);
    api::follow(Api::<ApiPod>::all(client), &format!("spec.nodeName={node}"), tell).await;
}

fn is(pod_cache: &PodCache, pod: ApiPod) {
    let (uid, namespace, name) =
        (pod.uid().unwrap_or_default(), pod.namespace().unwrap_or_default(), pod.name_any());
    match pod.read() {
        Ok(Some(pod)) => pod_cache.apply(pod),
        Ok(None) => pod_cache.other(uid, namespace, name),
        Err(reason) => {
            // It may run all the same: only what names cards can be refused, and only by the scheduler's webhook.
            warn!(uid, namespace, name, %reason, "The pod's request cannot be read, or is what no node gives: no card is given to it");
            pod_cache.other(uid, namespace, name);
        }
    }
}

/// Forgets pods that are gone everywhere, until `token` fires.
pub async fn sweep(pod_cache: PodCache, lister: Arc<dyn PodResources>, token: CancellationToken) {
    let mut changes = pod_cache.changes();
    while !token.is_cancelled() {
        if pod_cache.has_gone() {
            match lister.list().await {
                Ok(listed) => pod_cache.sweep(&listed),
                Err(error) => {
                    warn!(error = serve::chain::chain(&error), "Pods that are gone cannot be forgotten yet")
                }
            }
        }
        if pod_cache.has_gone() {
            let _ = tokio::time::timeout(SWEEP, token.cancelled()).await;
        } else {
            tokio::select! {
                () = token.cancelled() => {}
                _ = changes.changed() => {}
            }
        }
    }
}

/// Writes the node's own decisions into the pods' annotations, so that a scheduler that comes later counts them.
pub(crate) async fn publish(client: Client, pod_cache: PodCache) {
    let mut changes = pod_cache.changes();
    loop {
        changes.mark_unchanged();
        let mut again = false;
        for (uid, namespace, name, text) in unpublished(&pod_cache) {
            let pods = Api::<ApiPod>::namespaced(client.clone(), &namespace);
            // With the uid, so that a successor of the same name is never meant.
            let patch = json!({ "metadata": { "uid": uid, "annotations": { DECISION: text } } });
            match pods.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await {
                Ok(_) => info!(uid, "The node's decision is in the pod's annotation"),
                Err(error) if api::lost(&error) => {}
                Err(error) => {
                    again = true;
                    warn!(
                        uid,
                        error = serve::chain::chain(&error),
                        "The node's decision cannot be written back yet"
                    );
                }
            }
        }
        if again {
            let _ = tokio::time::sleep(AGAIN).await;
        } else if changes.changed().await.is_err() {
            return;
        }
    }
}

fn unpublished(pod_cache: &PodCache) -> Vec<(String, String, String, String)> {
    pod_cache.read(|pods| {
        let own = pods.values().filter(|entry| !entry.gone && !entry.pod.finished).filter_map(|entry| {
            let record = entry.record.as_ref().filter(|record| record.own)?;
            let text = record.decision.to_text();
            // Another text there is a forgery, or came too late: the devices are handed out.
            let missing = entry.pod.decision.as_ref() != Some(&text);
            missing.then(|| (record.uid.clone(), record.namespace.clone(), record.name.clone(), text))
        });
        own.collect()
    })
}
