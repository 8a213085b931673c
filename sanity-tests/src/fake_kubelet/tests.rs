use std::sync::atomic::{AtomicUsize, Ordering};

use proto::deviceplugin::v1beta1 as pb;
use proto::deviceplugin::v1beta1::device_plugin_server::{DevicePlugin, DevicePluginServer};
use proto::deviceplugin::v1beta1::registration_client::RegistrationClient;
use tonic::{Request, Response, Status};

use super::pod::{Container, Kind};
use super::*;

const GPU: &str = "ideal.com/gpu";
const PATIENCE: Duration = Duration::from_secs(20);

/// A plugin with so many devices, whose ids are long: it knows how many bytes its list has.
#[derive(Clone)]
struct Plugin {
    devices: usize,
    started: Arc<AtomicUsize>,
}

type Lists = futures::stream::BoxStream<'static, Result<pb::ListAndWatchResponse, Status>>;

#[tonic::async_trait]
impl DevicePlugin for Plugin {
    type ListAndWatchStream = Lists;

    async fn get_device_plugin_options(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::DevicePluginOptions>, Status> {
        let options =
            pb::DevicePluginOptions { pre_start_required: true, get_preferred_allocation_available: false };
        Ok(Response::new(options))
    }

    async fn list_and_watch(&self, _: Request<pb::Empty>) -> Result<Response<Lists>, Status> {
        use futures::StreamExt as _;
        let device = |n| pb::Device { id: format!("{n:054}"), health: "Healthy".into(), topology: None };
        let list = pb::ListAndWatchResponse { devices: (0..self.devices).map(device).collect() };
        let forever = futures::stream::iter([Ok(list)]).chain(futures::stream::pending());
        Ok(Response::new(forever.boxed()))
    }

    async fn get_preferred_allocation(
        &self,
        _: Request<pb::PreferredAllocationRequest>,
    ) -> Result<Response<pb::PreferredAllocationResponse>, Status> {
        Err(Status::unimplemented("the options do not offer it"))
    }

    async fn allocate(
        &self,
        request: Request<pb::AllocateRequest>,
    ) -> Result<Response<pb::AllocateResponse>, Status> {
        let answer = |_| pb::ContainerAllocateResponse::default();
        let container_responses = request.into_inner().container_requests.into_iter().map(answer).collect();
        Ok(Response::new(pb::AllocateResponse { container_responses }))
    }

    async fn pre_start_container(
        &self,
        _: Request<pb::PreStartContainerRequest>,
    ) -> Result<Response<pb::PreStartContainerResponse>, Status> {
        self.started.fetch_add(1, Ordering::Relaxed);
        Ok(Response::new(pb::PreStartContainerResponse {}))
    }
}

async fn plug(kubelet: &FakeKubelet, plugin: &Plugin, socket: &str) {
    let listener = uds::bind(&kubelet.device_plugins().join(socket)).await.unwrap();
    let server = Server::builder().add_service(DevicePluginServer::new(plugin.clone()));
    tokio::spawn(server.serve_with_incoming(listener));
    let channel = uds::connect(&kubelet.device_plugins().join("kubelet.sock")).await.unwrap();
    let request = pb::RegisterRequest {
        version: "v1beta1".into(),
        endpoint: socket.into(),
        resource_name: GPU.into(),
        options: None,
    };
    RegistrationClient::new(channel).register(request).await.unwrap();
}

fn pod(uid: &str, devices: u64) -> Pod {
    let container =
        Container { name: "c".into(), kind: Kind::App, limits: [(GPU.to_owned(), devices)].into() };
    Pod { uid: uid.into(), namespace: "n".into(), name: uid.into(), containers: vec![container] }
}

fn plugin(devices: usize) -> Plugin {
    Plugin { devices, started: Arc::default() }
}

#[tokio::test]
async fn a_list_of_four_mebibytes_is_read_and_a_longer_one_loses_the_resource() {
    // A device takes 2 bytes of framing, 2 and its id, and 9 of health: 67 with ids of 54 letters.
    let most = rules::MAX_MESSAGE / 67;
    for (devices, read) in [(most, most as u64), (most + 1, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let kubelet = FakeKubelet::start(folder.path(), 1).await.unwrap();
        plug(&kubelet, &plugin(devices), "p.sock").await;
        if read > 0 {
            assert!(kubelet.has(GPU, read, PATIENCE).await, "{:?}", kubelet.heard(GPU));
            continue;
        }
        let ended = async {
            while kubelet.heard(GPU).ended.is_none() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap();
        let why = kubelet.admit(pod("p", 1)).await;
        assert!(why.is_ok(), "a resource that never came is not counted, and the pod runs without: {why:?}");
        assert!(kubelet.rules().holders().is_empty());
    }
}

#[tokio::test]
async fn a_restart_removes_the_sockets_and_keeps_what_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let kubelet = FakeKubelet::start(folder.path(), 1).await.unwrap();
    let plugin = plugin(5);
    plug(&kubelet, &plugin, "p.sock").await;
    assert!(kubelet.has(GPU, 5, PATIENCE).await);
    kubelet.admit(pod("p", 2)).await.unwrap();
    kubelet.start_container("p", "c").await.unwrap();
    std::fs::write(kubelet.device_plugins().join("file"), "kept").unwrap();
    kubelet.restart().await.unwrap();
    assert!(!kubelet.device_plugins().join("p.sock").exists());
    assert!(kubelet.device_plugins().join("file").exists());
    assert_eq!(kubelet.rules().allocatable(GPU), Some(0));
    kubelet.start_container("p", "c").await.unwrap_err();
    plug(&kubelet, &plugin, "q.sock").await;
    assert!(kubelet.has(GPU, 5, PATIENCE).await);
    kubelet.start_container("p", "c").await.unwrap();
    assert_eq!(plugin.started.load(Ordering::Relaxed), 2);
    assert_eq!(kubelet.pre_start_errors().len(), 1);
    kubelet.admit(pod("q", 4)).await.unwrap_err();
    kubelet.delete("p");
    kubelet.admit(pod("r", 4)).await.unwrap();
}
