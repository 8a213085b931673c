//! What the kubelet does with a pod: admission, one pod at a time, and the start of each container.

use std::future::Future;

use parking_lot::Mutex;
use proto::deviceplugin::v1beta1::ContainerAllocateResponse;

use super::rules::{Held, Ids, Pick, PreferredRequest, Rejection, Rules};

/// The plugins, as the kubelet calls them. An error is the plugin's own text.
pub trait Plugins: Sync {
    /// GetPreferredAllocation; nothing if the plugin's options do not offer it.
    fn preferred(
        &self,
        resource: &str,
        request: &PreferredRequest,
    ) -> impl Future<Output = Result<Vec<String>, String>> + Send;

    /// Allocate.
    fn allocate(
        &self,
        resource: &str,
        ids: &Ids,
    ) -> impl Future<Output = Result<ContainerAllocateResponse, String>> + Send;

    /// PreStartContainer, if the plugin's options want it.
    fn pre_start(&self, resource: &str, ids: &Ids) -> impl Future<Output = Result<(), String>> + Send;
}

/// Admits a pod that was added, or rejects it. The caller sees to it that one pod at a time is admitted.
pub async fn admit(rules: &Mutex<Rules>, plugins: &impl Plugins, uid: &str) -> Result<(), Rejection> {
    let outcome = allocate_all(rules, plugins, uid).await;
    let mut rules = rules.lock();
    match &outcome {
        Ok(()) => rules.admit(uid),
        Err(why) => rules.reject(uid, why.clone()),
    }
    outcome
}

async fn allocate_all(rules: &Mutex<Rules>, plugins: &impl Plugins, uid: &str) -> Result<(), Rejection> {
    rules.lock().predicates(uid)?;
    let order = rules.lock().order(uid);
    for (container, resources) in order {
        for (resource, size) in resources {
            allocate(rules, plugins, (uid, &container, &resource), size).await?;
        }
        rules.lock().container_done(uid, &container);
    }
    Ok(())
}

async fn allocate(
    rules: &Mutex<Rules>,
    plugins: &impl Plugins,
    (uid, container, resource): (&str, &str, &str),
    size: usize,
) -> Result<(), Rejection> {
    let pick = rules.lock().pick(uid, container, resource, size)?;
    let ids = match pick {
        Pick::Has => return Ok(()),
        Pick::Given(ids) => ids,
        Pick::Prefer(request) => {
            let preferred = plugins.preferred(resource, &request).await.map_err(Rejection::Plugin)?;
            rules.lock().choose(&request, &preferred)
        }
    };
    let response = plugins.allocate(resource, &ids).await.map_err(Rejection::Plugin)?;
    let holder = (uid.to_owned(), container.to_owned(), resource.to_owned());
    rules.lock().record(holder, Held { ids, response });
    Ok(())
}

/// Starts a container, for the first time or again: PreStartContainer of each of its devices, in any order; then the runtime
/// gets what Allocate answered. (manager.go, GetDeviceRunContainerOptions)
pub async fn start(
    rules: &Mutex<Rules>,
    plugins: &impl Plugins,
    uid: &str,
    container: &str,
) -> Result<Vec<ContainerAllocateResponse>, String> {
    let order = rules.lock().order(uid).into_iter().find(|(name, _)| name == container);
    let mut responses = Vec::new();
    for (resource, _) in order.map(|(_, resources)| resources).unwrap_or_default() {
        let held = rules.lock().held(uid, container, &resource).cloned();
        let held = held.ok_or_else(|| format!("no devices of {resource} found for pod {uid}"))?;
        plugins.pre_start(&resource, &held.ids).await?;
        responses.push(held.response);
    }
    Ok(responses)
}
