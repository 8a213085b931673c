//! Which nodes are not ready, or carry our taint: one watch, so that a cluster at rest costs the API server nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Node as CoreNode;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use parking_lot::Mutex;

use crate::node::is_unsettled;

/// Nodes in one page of a list: bounds what is in memory at once.
const PAGE: u32 = 50;

/// Names of nodes that are to be looked at.
pub(crate) type Unsettled = Arc<Mutex<BTreeSet<String>>>;

/// Keeps the names fresh, for ever. A watch that broke is begun anew after a pause, as the API server's own clients do.
pub(crate) async fn follow(client: Client, unsettled: Unsettled) {
    let config = watcher::Config::default().page_size(PAGE);
    let mut events = std::pin::pin!(watcher(Api::<CoreNode>::all(client), config).default_backoff());
    let mut listed = BTreeSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(node)) => listed.extend(name_of(&node).filter(|_| is_unsettled(&node))),
            Ok(Event::InitDone) => *unsettled.lock() = std::mem::take(&mut listed),
            Ok(Event::Apply(node)) if is_unsettled(&node) => unsettled.lock().extend(name_of(&node)),
            Ok(Event::Apply(node) | Event::Delete(node)) => {
                if let Some(name) = name_of(&node) {
                    unsettled.lock().remove(&name);
                }
            }
            Err(error) => tracing::warn!(error = serve::chain::chain(&error), "The watch of nodes broke"),
        }
    }
}

fn name_of(node: &CoreNode) -> Option<String> {
    node.metadata.name.clone()
}
