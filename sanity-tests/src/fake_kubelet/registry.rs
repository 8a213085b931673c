//! Plugins that have registered: the kubelet dials each back, reads its options and its list, and calls it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use proto::deviceplugin::v1beta1 as pb;
use proto::deviceplugin::v1beta1::device_plugin_client::DevicePluginClient;
use proto::deviceplugin::v1beta1::registration_server::Registration;
use serve::uds;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::admission::Plugins;
use super::rules::{Ids, MAX_MESSAGE, PreferredRequest, Rules};

/// How long the kubelet tries to reach a plugin that registers. (plugin/v1beta1/client.go)
const DIAL: Duration = Duration::from_secs(10);

/// How long PreStartContainer may take. (KubeletPreStartContainerRPCTimeoutInSecs)
const PRE_START: Duration = Duration::from_secs(30);

/// A plugin that the kubelet is connected to.
#[derive(Clone)]
struct Endpoint {
    client: DevicePluginClient<Channel>,
    options: pb::DevicePluginOptions,
    stop: CancellationToken,
}

/// What the kubelet has been told by plugins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// Registrations.
    pub registrations: usize,
    /// ListAndWatch messages.
    pub lists: usize,
    /// Bytes of the last one.
    pub bytes: usize,
    /// Why the last stream ended.
    pub ended: Option<String>,
}

/// The plugins of one kubelet.
pub struct Registry {
    folder: PathBuf,
    rules: Arc<Mutex<Rules>>,
    endpoints: Mutex<BTreeMap<String, Endpoint>>,
    heard: Mutex<BTreeMap<String, Heard>>,
}

impl Registry {
    /// None yet; their sockets are in `folder`.
    pub fn new(folder: &Path, rules: Arc<Mutex<Rules>>) -> Self {
        Self { folder: folder.to_owned(), rules, endpoints: Mutex::default(), heard: Mutex::default() }
    }

    /// What plugins have told about a resource.
    pub fn heard(&self, resource: &str) -> Heard {
        let heard = self.heard.lock();
        heard.get(resource).cloned().unwrap_or_default()
    }

    fn note(&self, resource: &str, note: impl FnOnce(&mut Heard)) {
        let mut heard = self.heard.lock();
        note(heard.entry(resource.to_owned()).or_default());
    }

    fn endpoints(&self) -> MutexGuard<'_, BTreeMap<String, Endpoint>> {
        self.endpoints.lock()
    }

    fn endpoint(&self, resource: &str) -> Result<Endpoint, String> {
        let found = self.endpoints().get(resource).cloned();
        found.ok_or_else(|| format!("endpoint of {resource} has been stopped"))
    }

    /// Hangs up on every plugin.
    pub fn clear(&self) {
        for (_, endpoint) in std::mem::take(&mut *self.endpoints()) {
            endpoint.stop.cancel();
        }
    }

    async fn connect(self: Arc<Self>, resource: String, socket: PathBuf) -> Result<(), Status> {
        let failed = |e: String| Status::unknown(format!("{}: {e}", socket.display()));
        let channel = timeout(DIAL, uds::connect(&socket)).await.map_err(|e| failed(e.to_string()))?;
        let channel = channel.map_err(|e| failed(e.to_string()))?;
        let mut client = DevicePluginClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
        let options = client.get_device_plugin_options(pb::Empty {}).await?.into_inner();
        let stop = CancellationToken::new();
        let endpoint = Endpoint { client, options, stop: stop.clone() };
        // The newest registration wins.
        if let Some(old) = self.endpoints().insert(resource.clone(), endpoint.clone()) {
            old.stop.cancel();
        }
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                ended = self.watch(&resource, endpoint.client) => self.lost(&resource, &stop, &ended),
            }
        });
        Ok(())
    }

    /// Reads the plugin's lists until the stream ends; gives the reason.
    async fn watch(&self, resource: &str, mut client: DevicePluginClient<Channel>) -> Status {
        use prost::Message as _;
        let end = Status::ok("end of the stream");
        let mut stream = match client.list_and_watch(pb::Empty {}).await {
            Ok(stream) => stream.into_inner(),
            Err(status) => return status,
        };
        loop {
            match stream.message().await {
                Ok(Some(message)) => {
                    let bytes = message.encoded_len();
                    // The device type's field is named ID; prost writes it in small letters.
                    let devices = message.devices.into_iter().map(|d| (d.id, d.health == "Healthy"));
                    self.rules.lock().advertise(resource, devices);
                    self.note(resource, |heard| (heard.lists, heard.bytes) = (heard.lists + 1, bytes));
                }
                Ok(None) => return end,
                Err(status) => return status,
            }
        }
    }

    fn lost(&self, resource: &str, stop: &CancellationToken, ended: &Status) {
        let mut endpoints = self.endpoints();
        // A newer plugin may have taken the place meanwhile: it cancels this token under the same lock.
        if stop.is_cancelled() {
            return;
        }
        endpoints.remove(resource);
        self.rules.lock().gone(resource);
        drop(endpoints);
        self.note(resource, |heard| heard.ended = Some(format!("{:?}: {}", ended.code(), ended.message())));
    }
}

fn text(status: Status) -> String {
    format!("rpc error: code = {:?} desc = {}", status.code(), status.message())
}

impl Plugins for Registry {
    async fn preferred(&self, resource: &str, request: &PreferredRequest) -> Result<Vec<String>, String> {
        let mut endpoint = self.endpoint(resource)?;
        if !endpoint.options.get_preferred_allocation_available {
            return Ok(Vec::new());
        }
        let request = pb::ContainerPreferredAllocationRequest {
            available_device_i_ds: request.available.iter().cloned().collect(),
            must_include_device_i_ds: request.must.iter().cloned().collect(),
            allocation_size: i32::try_from(request.size).unwrap_or(i32::MAX),
        };
        let request = pb::PreferredAllocationRequest { container_requests: vec![request] };
        let reply = endpoint.client.get_preferred_allocation(request).await.map_err(text)?.into_inner();
        Ok(reply.container_responses.into_iter().next().map(|r| r.device_i_ds).unwrap_or_default())
    }

    async fn allocate(&self, resource: &str, ids: &Ids) -> Result<pb::ContainerAllocateResponse, String> {
        let mut endpoint = self.endpoint(resource)?;
        let request = pb::ContainerAllocateRequest { devices_ids: ids.iter().cloned().collect() };
        let request = pb::AllocateRequest { container_requests: vec![request] };
        let reply = endpoint.client.allocate(request).await.map_err(text)?.into_inner();
        let first = reply.container_responses.into_iter().next();
        first.ok_or_else(|| "no containers return in allocation response".to_owned())
    }

    async fn pre_start(&self, resource: &str, ids: &Ids) -> Result<(), String> {
        let mut endpoint = self.endpoint(resource)?;
        if !endpoint.options.pre_start_required {
            return Ok(());
        }
        let request = pb::PreStartContainerRequest { devices_ids: ids.iter().cloned().collect() };
        let reply = timeout(PRE_START, endpoint.client.pre_start_container(request)).await;
        reply.map_err(|_| "context deadline exceeded".to_owned())?.map(drop).map_err(text)
    }
}

/// The Registration service.
pub struct Register(pub Arc<Registry>);

#[tonic::async_trait]
impl Registration for Register {
    async fn register(&self, request: Request<pb::RegisterRequest>) -> Result<Response<pb::Empty>, Status> {
        let request = request.into_inner();
        if request.version != "v1beta1" {
            return Err(Status::unknown(format!(
                "requested API version {:?} is not supported",
                request.version
            )));
        }
        let name = &request.resource_name;
        if !name.contains('/') || name.contains("kubernetes.io/") || request.endpoint.contains('/') {
            return Err(Status::unknown(format!("the ResourceName {name:?} or its endpoint is invalid")));
        }
        self.0.note(name, |heard| heard.registrations += 1);
        let socket = self.0.folder.join(&request.endpoint);
        self.0.clone().connect(request.resource_name, socket).await?;
        Ok(Response::new(pb::Empty {}))
    }
}
