//! The shipped GPU plugin as a process of its own, on fake cards to which something happens: what the node object, the kubelet,
//! `/readyz`, the metrics and the events then say.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use sanity_tests::apiserver::{ApiServer, Key};
use sanity_tests::fake_kubelet::node::Node;
use sanity_tests::fake_kubelet::programs;
use sanity_tests::process::{self, Process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::UnixListener;

/// The most that anything may take before the test gives up; CI's machines are slow at times.
const PATIENCE: Duration = Duration::from_secs(60);

const SLICES: &str = "ideal.com/gpu";

/// A node of two cards.
struct Rig<'a> {
    node: Node<'a>,
    plugin: Process,
    folder: PathBuf,
    _temp: TempDir,
}

fn cards() -> String {
    programs::machine("n", 2, "NVIDIA GeForce RTX 3060", 12_288)
}

impl<'a> Rig<'a> {
    /// `prepare` gets the kubelet's folder of plugins before the plugin starts.
    async fn start(api: &'a ApiServer, machine: &str, prepare: impl FnOnce(&Path)) -> Rig<'a> {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("n");
        let node = Node::start(api, "n", &folder.join("kubelet"), 1).await.unwrap();
        prepare(&node.kubelet.device_plugins());
        let library = programs::fake_library().unwrap();
        let plugin = programs::plugin(api, "n", &folder, &library, machine).unwrap();
        Rig { node, plugin, folder, _temp: temp }
    }

    /// The machine is this from now on.
    fn change(&self, machine: &str) {
        let new = self.folder.join("cards.new");
        std::fs::write(&new, machine).unwrap();
        std::fs::rename(new, self.folder.join("cards.toml")).unwrap();
    }

    /// Waits until the node object is as it should be.
    async fn node(&mut self, what: &str, is: impl Fn(&Value) -> bool) {
        let node = &self.node;
        self.plugin.until(what, PATIENCE, async || is(&node.object()).then_some(())).await.unwrap();
    }

    async fn devices(&mut self, healthy: u64) {
        let node = &self.node;
        let look = async || (node.kubelet.rules().allocatable(SLICES) == Some(healthy)).then_some(());
        self.plugin.until(&format!("{healthy} healthy devices"), PATIENCE, look).await.unwrap();
    }

    /// Waits until `/readyz` says this.
    async fn says(&mut self, what: &str) {
        let log = self.folder.join("plugin.log");
        let look = async || {
            let address = process::admin_address(&std::fs::read_to_string(&log).ok()?)?;
            let reply = process::get(address, "/readyz").await.ok()?;
            (reply.starts_with("HTTP/1.1 503") && reply.contains(what)).then_some(())
        };
        self.plugin.until(&format!("{what:?} in /readyz"), PATIENCE, look).await.unwrap();
    }
}

fn label(node: &Value, name: &str) -> String {
    node["metadata"]["labels"][name].as_str().unwrap_or_default().to_owned()
}

/// Each card's health as the scheduler reads it.
fn health(node: &Value) -> Vec<bool> {
    let text = node["metadata"]["annotations"]["ideal.com/cards"].as_str().unwrap_or("{}");
    let cards: Value = serde_json::from_str(text).unwrap();
    let cards = cards["cards"].as_array().cloned().unwrap_or_default();
    cards.iter().map(|card| card["healthy"] == true).collect()
}

/// Events about the node: reason and message.
fn events(api: &ApiServer) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let events = api.list("events");
    let ours = events.iter().filter(|event| event["involvedObject"]["uid"] == "n");
    ours.map(|event| (text(&event["reason"]), text(&event["message"]))).collect()
}

#[tokio::test]
async fn without_a_driver_the_node_says_why_and_recovers_when_it_comes() {
    let api = ApiServer::start().unwrap();
    let mut rig = Rig::start(&api, "driver = \"not_loaded\"\n", |_| {}).await;
    rig.node("no devices", |node| label(node, "nvidia-device-enable") == "disable").await;
    rig.says("driver").await;
    assert_eq!(label(&rig.node.object(), "gpu-model"), "", "nothing is known of any card");
    rig.change(&cards());
    rig.devices(10).await;
    rig.node("labels and amounts", |node| {
        let has = &node["status"]["allocatable"];
        label(node, "gpu-model") == "NVIDIA-GeForce-RTX-3060"
            && label(node, "node-type") == "gpu"
            && label(node, "nvidia-device-enable") == "enable"
            && has["ideal.com/vcuda-core"] == "200"
            && has["ideal.com/vcuda-memory"] == "24576"
    })
    .await;
    rig.plugin.ready(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_card_that_falls_ill_takes_no_new_work_until_it_is_back_and_says_so() {
    let api = ApiServer::start().unwrap();
    let mut rig = Rig::start(&api, &cards(), |_| {}).await;
    rig.devices(10).await;
    rig.node("both cards", |node| health(node) == [true, true]).await;
    // A fault of a program (XID 13) is no fault of the card; 79 is.
    let event = |id: u32, card: u32, xid: u32| {
        format!("[[events]]\nid = {id}\ncard = \"GPU-n-{card}\"\nxid = {xid}\n")
    };
    rig.change(&format!("{}{}{}", cards(), event(1, 0, 13), event(2, 1, 79)));
    rig.node("one card", |node| health(node) == [true, false]).await;
    rig.devices(5).await;
    let has = rig.node.object()["status"]["allocatable"]["ideal.com/vcuda-core"].clone();
    assert_eq!(has, "200", "pods on the ill card are still counted against the sum");
    let told = api.wait_for(|api| events(api).pop());
    let (reason, message) = tokio::time::timeout(PATIENCE, told).await.unwrap().unwrap();
    assert_eq!(reason, "GPUFailed");
    assert!(message.contains("GPU-n-1") && message.contains("XID 79"), "{message}");
    let address = rig.plugin.ready(PATIENCE).await.unwrap();
    let metrics = process::get(address, "/metrics").await.unwrap();
    let line = metrics.lines().find(|line| line.starts_with("ideal_gpu_card_unhealthy{")).unwrap();
    assert!(
        line.contains("GPU-n-1") && line.contains("state=\"failed\"") && line.contains("XID 79"),
        "{line}"
    );

    // The card is taken out, and comes back reset.
    rig.change(&programs::machine("n", 1, "NVIDIA GeForce RTX 3060", 12_288));
    let lost = rig.folder.join("plugin.log");
    let gone = async || std::fs::read_to_string(&lost).ok()?.contains("Lost").then_some(());
    rig.plugin.until("the loss", PATIENCE, gone).await.unwrap();
    rig.change(&cards());
    rig.devices(10).await;
    rig.node("both cards again", |node| health(node) == [true, true]).await;
    let well = api.wait_for(|api| events(api).iter().any(|(reason, _)| reason == "GPUHealthy").then_some(()));
    tokio::time::timeout(PATIENCE, well).await.unwrap();
}

#[tokio::test]
async fn what_others_overwrite_is_put_right_and_a_new_kubelet_is_told_again() {
    let api = ApiServer::start().unwrap();
    let mut rig = Rig::start(&api, &cards(), |_| {}).await;
    let amounts = |node: &Value| {
        ["capacity", "allocatable"]
            .iter()
            .all(|list| node["status"][list]["ideal.com/vcuda-memory"] == "24576")
            && label(node, "node-type") == "gpu"
    };
    rig.devices(10).await;
    rig.node("amounts and labels", amounts).await;
    let spoiled = api.modify(&Key::node("n"), |node| {
        node["status"]["capacity"]["ideal.com/vcuda-memory"] = "1".into();
        node["metadata"]["labels"] = serde_json::json!({});
        node["metadata"]["annotations"]["ideal.com/cards"] = "{}".into();
    });
    assert!(!amounts(&spoiled.unwrap()));
    rig.node("amounts and labels again", |node| amounts(node) && health(node) == [true, true]).await;
    rig.node.kubelet.restart().await.unwrap();
    rig.devices(10).await;
    rig.plugin.ready(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn whole_cards_are_left_to_another_plugin_that_serves_them_until_it_is_gone() {
    let api = ApiServer::start().unwrap();
    let mut other = None;
    let mut rig = Rig::start(&api, &cards(), |folder| {
        // NVIDIA's own plugin, and what an older one has left behind.
        other = Some(UnixListener::bind(folder.join("nvidia-gpu.sock")).unwrap());
        drop(UnixListener::bind(folder.join("nvidia.sock")).unwrap());
    })
    .await;
    rig.devices(10).await;
    rig.says("another device plugin serves nvidia.com/gpu on ").await;
    assert_eq!(rig.node.kubelet.rules().allocatable("nvidia.com/gpu"), None);
    drop(other);
    std::fs::remove_file(rig.node.kubelet.device_plugins().join("nvidia-gpu.sock")).unwrap();
    let node = &rig.node;
    let whole = async || (node.kubelet.rules().allocatable("nvidia.com/gpu") == Some(2)).then_some(());
    rig.plugin.until("whole cards", PATIENCE, whole).await.unwrap();
    rig.plugin.ready(PATIENCE).await.unwrap();
}
