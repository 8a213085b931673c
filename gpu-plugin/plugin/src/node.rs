//! The node object: capacity, cards and labels, put right whenever they are not what they should be.

use std::collections::BTreeMap;
use std::time::Duration;

use ideal_gpu::card::Card;
use ideal_gpu::names::{
    CARDS, CORE, CORE_PER_CARD, LABEL_ENABLE, LABEL_MODEL, LABEL_NODE_TYPE, MEMORY, NODE_TYPE_GPU,
};
use ideal_gpu::quantity;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::Event;
use kube::{Api, Client, ResourceExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::api;
use crate::driver::{GpuSnapshot, GpuWatch};
use crate::object_meta;

/// Pause after a write that failed or did not help: another writer is not fought faster than this.
const PAUSE: Duration = Duration::from_secs(5);

/// What of the node object matters.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct Node {
    #[serde(deserialize_with = "object_meta::slim")]
    metadata: ObjectMeta,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Status {
    capacity: BTreeMap<String, Quantity>,
    allocatable: BTreeMap<String, Quantity>,
}

object_meta::read_in_place_of!(Node, k8s_openapi::api::core::v1::Node);

/// What the node should say.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    core: u64,
    memory: u64,
    cards: String,
    /// `None`: left as it is, since nothing is known of any card.
    model: Option<String>,
    enable: &'static str,
}

impl Wanted {
    fn of(snapshot: &GpuSnapshot) -> Self {
        // Ill cards too: pods that are on them are still counted against these sums, and a sum that shrank under them would
        // turn pods away from cards with room. Which card may get work is the extender's business.
        let counted: Vec<&Card> = snapshot.cards.iter().filter(|card| !card.mig).collect();
        Self {
            core: counted.iter().map(|_| u64::from(CORE_PER_CARD)).sum(),
            memory: counted.iter().map(|card| card.memory_mib).sum(),
            cards: snapshot.inventory().to_text(),
            model: model(&snapshot.cards),
            enable: if snapshot.absent.is_none() && !snapshot.cards.is_empty() {
                "enable"
            } else {
                "disable"
            },
        }
    }

    /// The patch of labels and annotation, if one is needed.
    fn metadata(&self, node: &Node) -> Option<Value> {
        let wanted = [
            (LABEL_MODEL, self.model.as_deref()),
            (LABEL_NODE_TYPE, self.model.is_some().then_some(NODE_TYPE_GPU)),
            (LABEL_ENABLE, Some(self.enable)),
        ];
        let mut set = BTreeMap::new();
        for (label, value) in wanted {
            let Some(value) = value else { continue };
            if node.labels().get(label).map(String::as_str) != Some(value) {
                set.insert(label, value);
            }
        }
        let mut metadata = json!({});
        if !set.is_empty() {
            metadata["labels"] = json!(set);
        }
        if node.annotations().get(CARDS) != Some(&self.cards) {
            metadata["annotations"] = json!({ CARDS: self.cards });
        }
        metadata.as_object().is_some_and(|fields| !fields.is_empty()).then(|| json!({ "metadata": metadata }))
    }

    /// The patch of the status, if one is needed. The kubelet copies capacity to allocatable, some time later; the
    /// scheduler counts by allocatable.
    fn status(&self, node: &Node) -> Option<Value> {
        let same = |amounts: &BTreeMap<String, Quantity>| {
            let amount = |resource| amounts.get(resource).and_then(|amount| quantity::whole(&amount.0));
            amount(CORE) == Some(self.core) && amount(MEMORY) == Some(self.memory)
        };
        if same(&node.status.capacity) && same(&node.status.allocatable) {
            return None;
        }
        let amounts = json!({ CORE: self.core.to_string(), MEMORY: self.memory.to_string() });
        Some(json!({ "status": { "capacity": amounts, "allocatable": amounts } }))
    }
}

/// The label's value: the model of most cards, the first of those that are as many.
fn model(cards: &[Card]) -> Option<String> {
    let count = |card: &Card| cards.iter().filter(|other| other.model == card.model).count();
    let most = cards.iter().rev().max_by_key(|card| count(card))?;
    Some(cards::label_value(&most.model)).filter(|label| !label.is_empty())
}

/// Keeps the node object right, for ever.
pub(crate) async fn keep(client: Client, name: String, gpu_watch: GpuWatch) {
    let (seen, node) = watch::channel(None);
    let selector = format!("metadata.name={name}");
    let tell = |event: Event<Node>| match event {
        Event::InitApply(node) | Event::Apply(node) => drop(seen.send_replace(Some(node))),
        Event::Delete(_) => drop(seen.send_replace(None)),
        Event::Init | Event::InitDone => {}
    };
    let nodes = Api::all(client);
    let follow = api::follow(nodes.clone(), &selector, tell);
    tokio::join!(follow, repair(&nodes, &name, gpu_watch.snapshot, node));
}

async fn repair(
    nodes: &Api<Node>,
    name: &str,
    mut snapshots: watch::Receiver<std::sync::Arc<GpuSnapshot>>,
    mut seen: watch::Receiver<Option<Node>>,
) {
    let mut last = None;
    loop {
        let wanted = Wanted::of(&snapshots.borrow_and_update());
        let node = seen.borrow_and_update().clone();
        if let Some(node) = node {
            let patches = (wanted.metadata(&node), wanted.status(&node));
            // The same patch again means that somebody undoes it, or that it failed.
            if patches != (None, None) && last.take().as_ref() == Some(&patches) {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            if write(nodes, name, &patches).await.is_err() {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            last = Some(patches).filter(|patches| *patches != (None, None));
        }
        tokio::select! {
            changed = snapshots.changed() => if changed.is_err() { return },
            changed = seen.changed() => if changed.is_err() { return },
        }
    }
}

async fn write(nodes: &Api<Node>, name: &str, patches: &(Option<Value>, Option<Value>)) -> Result<(), ()> {
    for (patch, status) in [(&patches.0, false), (&patches.1, true)] {
        let Some(patch) = patch else { continue };
        let (params, merge) = (PatchParams::default(), Patch::Merge(patch));
        let written = match status {
            true => nodes.patch_status(name, &params, &merge).await,
            false => nodes.patch(name, &params, &merge).await,
        };
        match written {
            Ok(_) => info!(status, %patch, "The node object is put right"),
            Err(error) => {
                warn!(status, error = serve::chain::chain(&error), "The node object cannot be written yet");
                return Err(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ideal_gpu::card::CardId;

    use super::*;

    fn snapshot() -> GpuSnapshot {
        let card = |n: u32, healthy| Card {
            id: CardId::parse(&format!("GPU-{n}")).unwrap(),
            model: "NVIDIA GeForce RTX 3060".into(),
            memory_mib: 12_000,
            index: n,
            numa: None,
            healthy,
            mig: false,
        };
        GpuSnapshot { cards: vec![card(0, true), card(1, true), card(2, false)], ..GpuSnapshot::default() }
    }

    #[test]
    fn a_bare_node_gets_everything_and_then_nothing_more() {
        let wanted = Wanted::of(&snapshot());
        let metadata = wanted.metadata(&Node::default()).unwrap();
        let labels =
            json!({LABEL_MODEL: "NVIDIA-GeForce-RTX-3060", LABEL_NODE_TYPE: "gpu", LABEL_ENABLE: "enable"});
        assert_eq!(metadata["metadata"]["labels"], labels);
        let status = wanted.status(&Node::default()).unwrap();
        assert_eq!(status["status"]["capacity"], json!({CORE: "300", MEMORY: "36000"}));
        let mut node = json!({"metadata": metadata["metadata"], "status": status["status"]});
        // The API server writes quantities its own way.
        node["status"]["capacity"][MEMORY] = json!("36k");
        let node: Node = serde_json::from_value(node).unwrap();
        assert_eq!((wanted.metadata(&node), wanted.status(&node)), (None, None));
        let overwritten = Node { status: Status::default(), ..node };
        assert!(wanted.metadata(&overwritten).is_none());
        assert!(wanted.status(&overwritten).is_some(), "the kubelet made its node anew");
    }

    #[test]
    fn without_a_driver_the_node_is_disabled_and_offers_nothing() {
        let wanted = Wanted::of(&GpuSnapshot { absent: Some("no driver".into()), ..GpuSnapshot::default() });
        let metadata = wanted.metadata(&Node::default()).unwrap();
        assert_eq!(metadata["metadata"]["labels"], json!({LABEL_ENABLE: "disable"}));
        assert_eq!(
            wanted.status(&Node::default()).unwrap()["status"]["capacity"],
            json!({CORE: "0", MEMORY: "0"})
        );
    }
}
