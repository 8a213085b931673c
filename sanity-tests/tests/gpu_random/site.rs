//! A node: the fake kubelet's rules, cards whose health changes, and the plugin, as long as it lives.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use ideal_gpu::card::Inventory;
use ideal_gpu::names::{CORE, CORE_PER_CARD, GPU, MEMORY, WHOLE};
use ideal_gpu_plugin::driver::{GpuSnapshot, GpuWatch};
use parking_lot::Mutex;
use proto::deviceplugin::v1beta1 as pb;
use proto::deviceplugin::v1beta1::device_plugin_server::DevicePlugin;
use rand::Rng as _;
use rand::rngs::StdRng;
use sanity_tests::fake_kubelet::rules::Rules;
use tokio::sync::watch;
use tonic::{Request, Status};

use crate::agent::Agent;
use crate::api::Api;
use crate::draw;

/// A list that the kubelet watches.
type Lists = Pin<Box<dyn Stream<Item = Result<pb::ListAndWatchResponse, Status>> + Send>>;

pub(crate) struct Site {
    pub(crate) name: String,
    pub(crate) inventory: Inventory,
    pub(crate) rules: Arc<Mutex<Rules>>,
    /// `None` while the plugin is away.
    pub(crate) agent: Option<Agent>,
    /// Of each resource; empty while the plugin is not registered.
    lists: Vec<(&'static str, Lists)>,
    snapshots: watch::Sender<Arc<GpuSnapshot>>,
    gpu_watch: GpuWatch,
    folder: PathBuf,
    api: Api,
}

impl Site {
    pub(crate) async fn start(api: &Api, number: usize, folder: &Path, rng: &mut StdRng) -> Self {
        let (snapshots, snapshot) = watch::channel(Arc::default());
        // Nothing here asks for usage.
        let (_, usage) = watch::channel(Arc::default());
        let name = format!("n{number}");
        let mut site = Self {
            folder: folder.join(&name),
            name,
            inventory: draw::inventory(rng, number),
            rules: Arc::new(Mutex::new(Rules::new(rng.random()))),
            agent: None,
            lists: Vec::new(),
            snapshots,
            gpu_watch: GpuWatch { snapshot, usage },
            api: api.clone(),
        };
        site.see();
        site.come_back(rng).await;
        site
    }

    /// The plugin's folder of what it keeps.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The plugin or its registration is away.
    pub(crate) fn away(&self) -> bool {
        self.lists.is_empty()
    }

    /// The driver shows the cards as they are, and the node tells the API server.
    fn see(&self) {
        let cards = self.inventory.cards.clone();
        let minors = cards.iter().map(|card| (card.id.clone(), card.index)).collect();
        self.snapshots.send_replace(Arc::new(GpuSnapshot {
            cards,
            minors,
            asked: true,
            ..GpuSnapshot::default()
        }));
        self.api.node(&self.name, &self.inventory.to_text());
    }

    /// A card falls ill or recovers; gives whether it is healthy.
    pub(crate) async fn card_changes(&mut self, card: usize) -> bool {
        let healthy = &mut self.inventory.cards[card].healthy;
        *healthy = !*healthy;
        let healthy = *healthy;
        self.see();
        self.heard().await;
        healthy
    }

    pub(crate) fn kubelet_restarts(&mut self) {
        self.rules.lock().restart();
        self.lists.clear();
    }

    pub(crate) fn plugin_ends(&mut self) {
        self.agent = None;
        self.lists.clear();
        let mut rules = self.rules.lock();
        rules.gone(GPU);
        rules.gone(WHOLE);
    }

    /// The plugin runs and the kubelet knows it.
    pub(crate) async fn come_back(&mut self, rng: &mut StdRng) {
        if !self.away() {
            return;
        }
        let agent = self.agent.get_or_insert_with(|| {
            let (rules, gpu_watch) = (Arc::clone(&self.rules), self.gpu_watch.clone());
            Agent::start(&self.api, &self.name, &self.folder, rules, gpu_watch, rng.random())
        });
        for (resource, plugin) in [GPU, WHOLE].into_iter().zip(&agent.plugins) {
            let lists = plugin.list_and_watch(Request::new(pb::Empty {})).await.unwrap();
            self.lists.push((resource, lists.into_inner()));
        }
        self.heard().await;
    }

    /// The kubelet hears the next list of each resource, and the node's status says what was patched into it.
    async fn heard(&mut self) {
        for (resource, lists) in &mut self.lists {
            let list = lists.next().await.unwrap().unwrap();
            let devices = list.devices.into_iter().map(|device| (device.id, device.health == "Healthy"));
            self.rules.lock().advertise(resource, devices);
        }
        let mut rules = self.rules.lock();
        // All cards, the ill ones too: pods on them are counted by the kubelet as well.
        rules.patch(CORE, self.inventory.cards.len() as u64 * u64::from(CORE_PER_CARD));
        rules.patch(MEMORY, self.inventory.cards.iter().map(|card| card.memory_mib).sum());
    }
}
