//! One life of ideal-gpu-plugin: the product's own service, pod_cache and sweep in this process. What stands in is its sockets, its
//! watch, which may be late, and the driver.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ideal_gpu::place::Policy;
use ideal_gpu_plugin::cdi::Places;
use ideal_gpu_plugin::context::{PluginContext, Settings};
use ideal_gpu_plugin::driver::GpuWatch;
use ideal_gpu_plugin::isolation::Isolation;
use ideal_gpu_plugin::lister::{ListError, Listed, PodResources};
use ideal_gpu_plugin::pod::ApiPod;
use ideal_gpu_plugin::pod_cache::PodCache;
use ideal_gpu_plugin::pod_watch::{Event, PodUpdates, sweep};
use ideal_gpu_plugin::resource::Resource;
use ideal_gpu_plugin::service::Plugin;
use parking_lot::Mutex;
use proto::deviceplugin::v1beta1 as pb;
use proto::deviceplugin::v1beta1::device_plugin_server::DevicePlugin;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sanity_tests::fake_kubelet::admission::Plugins;
use sanity_tests::fake_kubelet::lister;
use sanity_tests::fake_kubelet::rules::{Ids, PreferredRequest, Rules};
use serde::Deserialize as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::Request;

use crate::api::{Api, Object};

/// The latest that news reach the plugin: less than the 2 s for which it waits for a pod that the kubelet knows already.
const LATEST: Duration = Duration::from_millis(1800);

/// The kubelet's records, without its socket.
struct Records(Arc<Mutex<Rules>>);

#[tonic::async_trait]
impl PodResources for Records {
    async fn list(&self) -> Result<Vec<Listed>, ListError> {
        let listed = lister::list(&mut self.0.lock()).pod_resources;
        Ok(listed.into_iter().map(Listed::read).collect())
    }
}

pub(crate) struct Agent {
    pub(crate) pod_cache: PodCache,
    pub(crate) plugins: [Plugin; 2],
    /// They end with it.
    _tasks: JoinSet<()>,
}

impl Agent {
    /// Starts it in this folder.
    pub(crate) fn start(
        api: &Api,
        node: &str,
        folder: &Path,
        rules: Arc<Mutex<Rules>>,
        gpu_watch: GpuWatch,
        seed: u64,
    ) -> Self {
        let at = |name: &str| folder.join(name);
        let places =
            Places { state: at("state"), cdi: at("cdi"), driver_root: at("root"), host_root: "/".into() };
        let pod_cache = PodCache::open(places.state.clone()).unwrap();
        let context = PluginContext {
            settings: Arc::new(Settings {
                places,
                no_cdi: false,
                isolation: Isolation::default(),
                policy: Policy::Binpack,
            }),
            gpu_watch,
            pod_cache: pod_cache.clone(),
            lister: Arc::new(Records(rules)),
            counts: Default::default(),
            card_time: None,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(sweep(pod_cache.clone(), Arc::clone(&context.lister), CancellationToken::new()));
        tasks.spawn(follow(
            api.clone(),
            node.to_owned(),
            PodUpdates::of(pod_cache.clone()),
            StdRng::seed_from_u64(seed),
        ));
        let plugin = |resource| Plugin::new(context.clone(), resource, CancellationToken::new());
        Self { pod_cache, plugins: Resource::ALL.map(plugin), _tasks: tasks }
    }

    fn plugin(&self, resource: &str) -> &Plugin {
        let at = Resource::ALL.iter().position(|known| known.name() == resource);
        &self.plugins[at.unwrap()]
    }
}

/// Tells the plugin what happens to the node's pods: in order, each piece late by chance; now and then it lists anew.
async fn follow(api: Api, node: String, mut updates: PodUpdates, mut rng: StdRng) {
    let (watch, mut changes) = mpsc::unbounded_channel();
    api.watch(&node, watch);
    let mut at = list(&api, &node, &mut updates, Instant::now() + lateness(&mut rng)).await;
    while let Some((made, change)) = changes.recv().await {
        if change.version <= at {
            continue;
        }
        let due = made + lateness(&mut rng);
        if rng.random_bool(0.05) {
            at = list(&api, &node, &mut updates, due).await;
        } else {
            sleep_until(due).await;
            let pod = ApiPod::deserialize(&change.value).unwrap();
            updates.tell(if change.deleted { Event::Delete(pod) } else { Event::Apply(pod) });
        }
    }
}

fn lateness(rng: &mut StdRng) -> Duration {
    if rng.random() { Duration::ZERO } else { LATEST.mul_f64(rng.random::<f64>()) }
}

/// What is listed is as old as its answer is late; gives the last change in it.
async fn list(api: &Api, node: &str, updates: &mut PodUpdates, due: Instant) -> usize {
    updates.tell(Event::Init);
    let (pods, version) = api.list();
    let here: Vec<Arc<Object>> = pods.into_iter().filter(|pod| pod.node() == Some(node)).collect();
    sleep_until(due).await;
    for pod in here {
        updates.tell(Event::InitApply(ApiPod::deserialize(&pod.value).unwrap()));
    }
    updates.tell(Event::InitDone);
    version
}

impl Plugins for Agent {
    async fn preferred(&self, resource: &str, request: &PreferredRequest) -> Result<Vec<String>, String> {
        let request = pb::ContainerPreferredAllocationRequest {
            available_device_i_ds: request.available.iter().cloned().collect(),
            must_include_device_i_ds: request.must.iter().cloned().collect(),
            allocation_size: i32::try_from(request.size).unwrap(),
        };
        let request = pb::PreferredAllocationRequest { container_requests: vec![request] };
        let reply = self.plugin(resource).get_preferred_allocation(Request::new(request)).await;
        let reply = reply.map_err(|status| status.message().to_owned())?.into_inner();
        Ok(reply.container_responses.into_iter().flat_map(|container| container.device_i_ds).collect())
    }

    async fn allocate(&self, resource: &str, ids: &Ids) -> Result<pb::ContainerAllocateResponse, String> {
        let request = pb::ContainerAllocateRequest { devices_ids: ids.iter().cloned().collect() };
        let request = pb::AllocateRequest { container_requests: vec![request] };
        let reply = self.plugin(resource).allocate(Request::new(request)).await;
        let mut reply = reply.map_err(|status| status.message().to_owned())?.into_inner();
        Ok(reply.container_responses.swap_remove(0))
    }

    async fn pre_start(&self, resource: &str, ids: &Ids) -> Result<(), String> {
        let request = pb::PreStartContainerRequest { devices_ids: ids.iter().cloned().collect() };
        let reply = self.plugin(resource).pre_start_container(Request::new(request)).await;
        reply.map(drop).map_err(|status| status.message().to_owned())
    }
}
