//! The service over a hand-written pod-resources server on a real socket, and a snapshot of two cards.

mod pod_resources;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ideal_gpu::ask::{ContainerAsk, Phase, PodAsk, Share};
use ideal_gpu::card::{Card, CardId};
use ideal_gpu::decision::Decision;
use ideal_gpu::names::CARD_POLICY;
use ideal_gpu::plan::Plan;
use ideal_gpu::pod::{PodSpecError, Policies};
use pod_resources::{Kubelet, Recorded};
use proto::podresources::v1::pod_resources_lister_server::PodResourcesListerServer;
use tempfile::TempDir;
use tokio::sync::watch;

use super::*;
use crate::cdi::Places;
use crate::context::Settings;
use crate::driver::{GpuSnapshot, GpuWatch, Unhealthy};
use crate::isolation::Isolation;
use crate::kubelet::Socket;
use crate::pod::Pod;
use crate::pod_cache::PodCache;
use crate::registration_state::RegistrationState;

struct Rig {
    dir: TempDir,
    recorded: Recorded,
    context: PluginContext,
    snapshots: watch::Sender<Arc<GpuSnapshot>>,
    _usages: watch::Sender<Arc<Vec<cards::CardUsage>>>,
}

fn card(n: u32) -> Card {
    Card {
        id: CardId::parse(&format!("GPU-{n}")).unwrap(),
        model: "T4".into(),
        memory_mib: 1000,
        index: n,
        numa: None,
        healthy: true,
        mig: false,
    }
}

async fn rig() -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let recorded = Recorded::default();
    let socket = dir.path().join("kubelet.sock");
    let listener = serve::uds::bind(&socket).await.unwrap();
    let server = PodResourcesListerServer::new(Kubelet(recorded.clone()));
    tokio::spawn(tonic::transport::Server::builder().add_service(server).serve_with_incoming(listener));
    let cards = vec![card(0), card(1)];
    let minors = cards.iter().map(|card| (card.id.clone(), card.index)).collect();
    let (snapshots, snapshot) =
        watch::channel(Arc::new(GpuSnapshot { cards, minors, ..GpuSnapshot::default() }));
    let (_usages, usage) = watch::channel(Arc::default());
    let at = |name: &str| dir.path().join(name);
    let places = Places { state: at("state"), cdi: at("cdi"), driver_root: at(""), host_root: "/".into() };
    let library = at("libvcuda.so");
    std::fs::write(&library, "a library").unwrap();
    let context = PluginContext {
        settings: Arc::new(Settings {
            places,
            no_cdi: false,
            isolation: Isolation { library: Some(library), ..Isolation::default() },
            policy: Default::default(),
        }),
        gpu_watch: GpuWatch { snapshot, usage },
        pod_cache: PodCache::open(at("state")).unwrap(),
        lister: Arc::new(crate::lister::Lister::new(socket)),
        counts: Default::default(),
        card_time: None,
    };
    Rig { dir, recorded, context, snapshots, _usages }
}

impl Rig {
    fn plugin(&self) -> Plugin {
        Plugin::new(self.context.clone(), Resource::Slices, CancellationToken::new())
    }

    /// A pod of one container comes to the node, decided on `cards` if there are any.
    fn pod(&self, name: &str, count: u32, cards: &[u32]) -> Pod {
        let share = Share::Slice { core: 60, memory_mib: 200 };
        let container = ContainerAsk { name: "c".into(), phase: Phase::App, cards: count, share };
        let ask = PodAsk { containers: vec![container] };
        let ids: Vec<CardId> = cards.iter().map(|n| card(*n).id).collect();
        let decision = (!ids.is_empty()).then(|| Decision::new(name, &ask, &Plan::of(&ask), &ids).to_text());
        self.record(name, &[]);
        Pod {
            uid: name.to_owned(),
            namespace: "ns".into(),
            name: name.to_owned(),
            created: name.to_owned(),
            ask,
            decision,
            policies: Ok(Policies::default()),
            finished: false,
            init_done: Default::default(),
        }
    }

    fn record(&self, pod: &str, ids: &[String]) {
        self.recorded.lock().unwrap().insert((pod.to_owned(), "c".to_owned()), ids.to_vec());
    }

    async fn preferred(&self, size: i32) -> Result<Vec<String>, Status> {
        let taken: HashSet<String> = self.recorded.lock().unwrap().values().flatten().cloned().collect();
        let all = [card(0), card(1)].into_iter().flat_map(|card| Resource::Slices.ids(&card.id));
        let request = pb::ContainerPreferredAllocationRequest {
            available_device_i_ds: all.filter(|id| !taken.contains(id)).collect(),
            must_include_device_i_ds: Vec::new(),
            allocation_size: size,
        };
        let request = pb::PreferredAllocationRequest { container_requests: vec![request] };
        let reply = self.plugin().get_preferred_allocation(Request::new(request)).await?;
        Ok(reply.into_inner().container_responses.remove(0).device_i_ds)
    }

    async fn start(&self, ids: &[String]) -> Result<(), Status> {
        let request = pb::PreStartContainerRequest { devices_ids: ids.to_vec() };
        self.plugin().pre_start_container(Request::new(request)).await.map(drop)
    }

    async fn allocate(&self, ids: &[&str]) -> Result<pb::ContainerAllocateResponse, Status> {
        let devices_ids = ids.iter().map(|id| (*id).to_owned()).collect();
        let container_requests = vec![pb::ContainerAllocateRequest { devices_ids }];
        let reply = self.plugin().allocate(Request::new(pb::AllocateRequest { container_requests })).await?;
        Ok(reply.into_inner().container_responses.remove(0))
    }

    /// What a container would find in the limits file of the slot.
    fn limits(&self, slot: &str) -> serde_json::Value {
        let text =
            std::fs::read_to_string(self.dir.path().join("state/slots").join(slot).join("limits.json"));
        serde_json::from_str(&text.unwrap()).unwrap()
    }
}

#[tokio::test]
async fn the_decided_cards_are_steered_to_named_and_written_into_the_limits() {
    let rig = rig().await;
    rig.context.pod_cache.apply(rig.pod("p1", 2, &[1, 0]));
    let ids = rig.preferred(2).await.unwrap();
    assert_eq!(ids, ["0-GPU-1", "0-GPU-0"]);
    let reply = rig.allocate(&["0-GPU-1", "0-GPU-0"]).await.unwrap();
    let names: Vec<&str> = reply.cdi_devices.iter().map(|device| device.name.as_str()).collect();
    assert_eq!(names, ["ideal.com/gpu=0-GPU-0", "ideal.com/gpu=0-GPU-1"]);
    rig.record("p1", &ids);
    for _twice in 0..2 {
        rig.start(&ids).await.unwrap();
        let limits = rig.limits("0-GPU-1");
        assert_eq!((&limits["pod_uid"], &limits["container"]), (&"p1".into(), &"c".into()));
        assert_eq!(limits["cards"][0]["uuid"], "GPU-0", "in CUDA's order");
        assert_eq!(
            (&limits["cards"][1]["core_percent"], &limits["cards"][1]["memory_mib"]),
            (&60.into(), &200.into())
        );
    }
    assert!(rig.dir.path().join("cdi/ideal.com-gpu.json").exists());
}

#[tokio::test]
async fn a_card_that_was_not_decided_is_never_started_on() {
    let rig = rig().await;
    rig.context.pod_cache.apply(rig.pod("p1", 1, &[1]));
    let wrong = ["2-GPU-0".to_owned()];
    rig.record("p1", &wrong);
    let refused = rig.start(&wrong).await.unwrap_err();
    assert!(refused.message().contains("GPU-0, which was not decided for it"), "{refused}");
    assert!(!rig.dir.path().join("state/slots/2-GPU-0").exists());
    assert!(rig.start(&["3-GPU-1".to_owned()]).await.unwrap_err().message().contains("for no container"));
    for unknown in ["0-GPU-9", "5-GPU-0", "junk"] {
        assert!(rig.allocate(&[unknown]).await.unwrap_err().message().contains(unknown));
        assert!(rig.start(&[unknown.to_owned()]).await.is_err());
    }
}

#[tokio::test]
async fn a_node_that_is_cut_off_starts_its_containers_from_what_it_remembers() {
    let mut rig = rig().await;
    rig.context.pod_cache.apply(rig.pod("p1", 1, &[1]));
    let ids = rig.preferred(1).await.unwrap();
    rig.record("p1", &ids);
    // A new process that the API server tells nothing.
    rig.context.pod_cache = PodCache::open(rig.dir.path().join("state")).unwrap();
    rig.start(&ids).await.unwrap();
    assert_eq!(rig.limits(&ids[0])["pod_uid"], "p1");
}

#[tokio::test]
async fn without_a_scheduler_the_node_decides_beside_what_is_there_and_says_when_it_is_full() {
    let rig = rig().await;
    let mut cards = HashSet::new();
    for name in ["p1", "p2"] {
        rig.context.pod_cache.apply(rig.pod(name, 1, &[]));
        let ids = rig.preferred(1).await.unwrap();
        rig.record(name, &ids);
        rig.start(&ids).await.unwrap();
        cards.insert(Resource::Slices.card(&ids[0]).unwrap());
    }
    assert_eq!(cards.len(), 2, "60 % twice needs two cards");
    rig.context.pod_cache.apply(rig.pod("p3", 1, &[]));
    let refused = rig.preferred(1).await.unwrap_err();
    assert!(refused.message().contains("card 0: 40 percent, 800 MiB, 4 slots free"), "{refused}");
}

#[tokio::test]
async fn the_node_decides_nothing_about_a_pod_that_the_scheduler_would_have_refused_and_says_why() {
    let rig = rig().await;
    let mut pod = rig.pod("p1", 1, &[]);
    pod.policies = Err(PodSpecError::Policy { annotation: CARD_POLICY, value: "random".to_owned() });
    rig.context.pod_cache.apply(pod);
    let refused = rig.preferred(1).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    assert!(refused.message().contains("card-policy: \"random\" is not allowed"), "{refused}");
}

#[tokio::test]
async fn a_pod_that_came_before_the_plugin_keeps_the_cards_that_it_has() {
    let rig = rig().await;
    let ids = ["3-GPU-0".to_owned(), "1-GPU-1".to_owned()];
    let pod = rig.pod("p1", 2, &[]);
    rig.record("p1", &ids);
    rig.context.pod_cache.apply(pod);
    rig.start(&ids).await.unwrap();
    let own = rig.context.pod_cache.read(|pods| pods["p1"].record.as_ref().unwrap().own);
    assert!(own, "the node decided, and will say so in the annotation");
}

#[tokio::test]
async fn a_decision_that_arrives_late_is_waited_for() {
    let rig = rig().await;
    let pod = rig.pod("p1", 1, &[1]);
    let (asked, ()) = tokio::join!(rig.preferred(1), async {
        tokio::task::yield_now().await;
        rig.context.pod_cache.apply(pod);
    });
    assert_eq!(asked.unwrap(), ["0-GPU-1"]);
}

#[tokio::test]
async fn a_successor_of_the_same_name_does_not_get_the_cards_of_the_one_before() {
    let rig = rig().await;
    rig.context.pod_cache.apply(rig.pod("p1", 1, &[0]));
    let ids = rig.preferred(1).await.unwrap();
    rig.record("p1", &ids);
    rig.start(&ids).await.unwrap();
    // The kubelet knows that one is gone and the next is there; the API server tells of both a little later.
    let mut next = rig.pod("p1", 1, &[]);
    let share = Share::Slice { core: 60, memory_mib: 200 };
    let ask =
        PodAsk { containers: vec![ContainerAsk { name: "c".into(), phase: Phase::App, cards: 1, share }] };
    next.decision = Some(Decision::new("u2", &ask, &Plan::of(&ask), &[card(1).id]).to_text());
    (next.uid, next.created) = ("u2".to_owned(), "p2".to_owned());
    let (asked, ()) = tokio::join!(rig.preferred(1), async {
        tokio::task::yield_now().await;
        rig.context.pod_cache.delete("p1");
        rig.context.pod_cache.apply(next);
    });
    assert_eq!(asked.unwrap(), ["0-GPU-1"]);
}

#[tokio::test]
async fn a_list_is_sent_when_it_changes_and_only_then() {
    use futures::StreamExt as _;
    let rig = rig().await;
    let mut lists = rig.plugin().list_and_watch(Request::new(pb::Empty {})).await.unwrap().into_inner();
    assert_eq!(lists.next().await.unwrap().unwrap().devices.len(), 10);
    rig.snapshots.send_modify(|snapshot| {
        Arc::make_mut(snapshot).unhealthy =
            [(card(0).id, Unhealthy { health: cards::Health::Suspect, reason: "why".to_owned() })].into()
    });
    rig.snapshots.send_modify(|snapshot| Arc::make_mut(snapshot).cards[0].healthy = false);
    let devices = lists.next().await.unwrap().unwrap().devices;
    assert_eq!(devices.iter().filter(|device| device.health == "Unhealthy").count(), 5);
    let next = tokio::time::timeout(Duration::from_millis(1), lists.next()).await;
    assert!(next.is_err(), "nothing more");
}

#[tokio::test]
async fn without_cdi_each_file_is_mounted_once() {
    let mut rig = rig().await;
    Arc::make_mut(&mut rig.context.settings).no_cdi = true;
    std::fs::create_dir(rig.dir.path().join("dev")).unwrap();
    for name in ["nvidia0", "nvidiactl"] {
        std::fs::write(rig.dir.path().join("dev").join(name), "").unwrap();
    }
    let reply = rig.allocate(&["2-GPU-0", "1-GPU-1"]).await.unwrap();
    let ends = ["slots/1-GPU-1/limits.json", "slots/1-GPU-1/region", "slots/1-GPU-1/arbiter"];
    let ends = [&ends[..], &["slots/1-GPU-1/libvcuda.so", "state/preload"]].concat();
    let hosts = reply.mounts.iter().map(|mount| mount.host_path.as_str());
    assert!(
        hosts.clone().count() == 5 && hosts.zip(ends).all(|(host, end)| host.ends_with(end)),
        "{reply:?}"
    );
    let writable: Vec<_> = reply.mounts.iter().filter(|mount| !mount.read_only).collect();
    assert!(writable.len() == 1 && writable[0].container_path == "/etc/ideal-gpu/region");
    let nodes: Vec<&str> = reply.devices.iter().map(|device| device.container_path.as_str()).collect();
    assert_eq!(nodes, ["/dev/nvidia0", "/dev/nvidiactl"]);
    assert_eq!(reply.envs["NVIDIA_VISIBLE_DEVICES"], "GPU-1,GPU-0");
}

/// The kubelet's registration: tells the test who came.
struct Registrations(tokio::sync::mpsc::UnboundedSender<pb::RegisterRequest>);

#[tonic::async_trait]
impl pb::registration_server::Registration for Registrations {
    async fn register(&self, request: Request<pb::RegisterRequest>) -> Result<Response<pb::Empty>, Status> {
        self.0.send(request.into_inner()).unwrap();
        Ok(Response::new(pb::Empty {}))
    }
}

#[tokio::test]
async fn the_kubelet_is_told_again_when_it_or_the_socket_is_a_new_one_and_the_end_is_clean() {
    use pb::device_plugin_client::DevicePluginClient;
    let rig = rig().await;
    let folder = rig.dir.path().join("device-plugins");
    std::fs::create_dir(&folder).unwrap();
    let (registration, mut stands) = watch::channel(RegistrationState::Unknown);
    let socket = Socket {
        folder: folder.clone(),
        resource: Resource::Slices,
        context: rig.context.clone(),
        metrics: serve::metrics::Metrics::default(),
        registration,
    };
    let token = CancellationToken::new();
    let running = tokio::spawn(socket.run(token.clone()));
    let (told, mut came) = tokio::sync::mpsc::unbounded_channel();
    for _life_of_the_kubelet in 0..2 {
        // At its start the kubelet removes every socket of the folder.
        for entry in std::fs::read_dir(&folder).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        let listener = serve::uds::bind(&folder.join("kubelet.sock")).await.unwrap();
        let server = pb::registration_server::RegistrationServer::new(Registrations(told.clone()));
        let kubelet = tokio::spawn(
            tonic::transport::Server::builder().add_service(server).serve_with_incoming(listener),
        );
        let request = came.recv().await.unwrap();
        assert_eq!((request.resource_name.as_str(), request.options), ("ideal.com/gpu", Some(OPTIONS)));
        // It is served before the kubelet hears of it.
        let channel = serve::uds::connect(&folder.join(&request.endpoint)).await.unwrap();
        let options = DevicePluginClient::new(channel).get_device_plugin_options(pb::Empty {}).await.unwrap();
        assert_eq!(options.into_inner(), OPTIONS);
        stands.wait_for(|registration| *registration == RegistrationState::Registered).await.unwrap();
        kubelet.abort();
        let _ended = kubelet.await;
    }
    token.cancel();
    running.await.expect("no panic");
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["kubelet.sock"]);
}
