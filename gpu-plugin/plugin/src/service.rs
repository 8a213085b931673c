//! The device plugin service of one resource: each RPC is parse, operate, reply.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use ideal_gpu::card::CardId;
use proto::deviceplugin::v1beta1 as pb;
use proto::deviceplugin::v1beta1::device_plugin_server::DevicePlugin;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tracing::{error, info};

use crate::cdi;
use crate::context::PluginContext;
use crate::devices;
use crate::driver::GpuSnapshot;
use crate::error::DeviceIdError;
use crate::isolation::{Access, Mount};
use crate::prefer::{self, Ask};
use crate::prestart;
use crate::resource::Resource;

/// A stream that ends so soon after a message was refused, not abandoned: the kubelet tells a plugin no other way that a message
/// was too long or unreadable.
const REFUSED: Duration = Duration::from_secs(5);

/// The service.
#[derive(Clone)]
pub struct Plugin {
    context: PluginContext,
    resource: Resource,
    token: CancellationToken,
}

/// The kubelet goes by GetDevicePluginOptions; Register says the same.
pub(crate) const OPTIONS: pb::DevicePluginOptions =
    pb::DevicePluginOptions { pre_start_required: true, get_preferred_allocation_available: true };

impl Plugin {
    /// Lists end when `token` fires.
    pub fn new(context: PluginContext, resource: Resource, token: CancellationToken) -> Self {
        Self { context, resource, token }
    }

    /// What a container needs for these ids, whoever it is.
    fn allocation(&self, mut ids: Vec<String>) -> Result<pb::ContainerAllocateResponse, DeviceIdError> {
        devices::known(&self.context, self.resource, &ids)?;
        ids.sort_unstable();
        if !self.context.settings.no_cdi {
            let device = |id: &String| pb::CdiDevice { name: cdi::name(self.resource, id) };
            let cdi_devices = ids.iter().map(device).collect();
            return Ok(pb::ContainerAllocateResponse { cdi_devices, ..Default::default() });
        }
        let picture = self.context.gpu_watch.picture.borrow().clone();
        let cards: Vec<CardId> = ids.iter().filter_map(|id| self.resource.card(id)).collect();
        let minors = cards.iter().filter_map(|card| picture.minors.get(card));
        let places = &self.context.settings.places;
        let mut nodes: Vec<_> = minors.flat_map(|minor| places.nodes(*minor)).collect();
        nodes.sort();
        nodes.dedup();
        let device = |(path, host): (String, std::path::PathBuf)| pb::DeviceSpec {
            container_path: path,
            host_path: host.to_string_lossy().into_owned(),
            permissions: "rw".to_owned(),
        };
        let slots: Vec<(&str, &CardId)> = ids.iter().map(String::as_str).zip(&cards).collect();
        let slots = if self.resource == Resource::Slices { slots } else { Vec::new() };
        let mount = |Mount { path, host, access }: Mount| pb::Mount {
            container_path: path,
            host_path: host.to_string_lossy().into_owned(),
            read_only: access != Access::Write,
        };
        Ok(pb::ContainerAllocateResponse {
            mounts: self
                .context
                .settings
                .isolation
                .mounts(&places.state, &slots)
                .into_iter()
                .map(mount)
                .collect(),
            devices: nodes.into_iter().map(device).collect(),
            // NVIDIA's runtime adds the driver's libraries for the cards that are named here.
            envs: [("NVIDIA_VISIBLE_DEVICES".to_owned(), join(&cards))].into(),
            ..Default::default()
        })
    }
}

fn join(cards: &[CardId]) -> String {
    cards.iter().map(CardId::as_str).collect::<Vec<_>>().join(",")
}

/// A list that the kubelet watches.
struct Watched {
    context: PluginContext,
    resource: Resource,
    pictures: watch::Receiver<Arc<GpuSnapshot>>,
    token: CancellationToken,
    sent: Option<(Vec<pb::Device>, Instant)>,
}

impl Watched {
    /// The next list that differs from the last one.
    async fn next(mut self) -> Option<(Result<pb::ListAndWatchResponse, Status>, Self)> {
        loop {
            let devices = devices::list(self.resource, &self.pictures.borrow_and_update().cards);
            if self.sent.as_ref().is_none_or(|(sent, _)| *sent != devices) {
                let healthy = devices.iter().filter(|device| device.health == "Healthy").count();
                info!(resource = self.resource.name(), devices = devices.len(), healthy, "List sent");
                self.context.counts.listed(self.resource);
                self.sent = Some((devices.clone(), Instant::now()));
                return Some((Ok(pb::ListAndWatchResponse { devices }), self));
            }
            tokio::select! {
                () = self.token.cancelled() => return None,
                changed = self.pictures.changed() => changed.ok()?,
            }
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let Some((devices, at)) = self.sent.take().filter(|_| !self.token.is_cancelled()) else { return };
        let (resource, devices) = (self.resource.name(), devices.len());
        if at.elapsed() < REFUSED {
            let ms = at.elapsed().as_millis();
            error!(
                resource,
                devices, ms, "The kubelet closed the stream right after a list: it refused it, or ended"
            );
        } else {
            info!(resource, "The kubelet closed the stream");
        }
    }
}

#[tonic::async_trait]
impl DevicePlugin for Plugin {
    type ListAndWatchStream = Pin<Box<dyn Stream<Item = Result<pb::ListAndWatchResponse, Status>> + Send>>;

    async fn get_device_plugin_options(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::DevicePluginOptions>, Status> {
        Ok(Response::new(OPTIONS))
    }

    async fn list_and_watch(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<Self::ListAndWatchStream>, Status> {
        let watched = Watched {
            context: self.context.clone(),
            resource: self.resource,
            pictures: self.context.gpu_watch.picture.clone(),
            token: self.token.clone(),
            sent: None,
        };
        Ok(Response::new(Box::pin(futures::stream::unfold(watched, Watched::next))))
    }

    async fn get_preferred_allocation(
        &self,
        request: Request<pb::PreferredAllocationRequest>,
    ) -> Result<Response<pb::PreferredAllocationResponse>, Status> {
        let mut replies = Vec::new();
        for container in request.into_inner().container_requests {
            let ask = ask(self.resource, container)?;
            let ids = prefer::prefer(&self.context, self.resource, &ask).await?;
            replies.push(pb::ContainerPreferredAllocationResponse { device_i_ds: ids });
        }
        Ok(Response::new(pb::PreferredAllocationResponse { container_responses: replies }))
    }

    async fn allocate(
        &self,
        request: Request<pb::AllocateRequest>,
    ) -> Result<Response<pb::AllocateResponse>, Status> {
        let containers = request.into_inner().container_requests.into_iter();
        let replies = containers.map(|container| self.allocation(container.devices_ids));
        let replies = replies.collect::<Result<_, DeviceIdError>>()?;
        Ok(Response::new(pb::AllocateResponse { container_responses: replies }))
    }

    async fn pre_start_container(
        &self,
        request: Request<pb::PreStartContainerRequest>,
    ) -> Result<Response<pb::PreStartContainerResponse>, Status> {
        let ids = request.into_inner().devices_ids;
        prestart::prepare(&self.context, self.resource, ids.into_iter().collect()).await?;
        Ok(Response::new(pb::PreStartContainerResponse {}))
    }
}

fn ask(resource: Resource, request: pb::ContainerPreferredAllocationRequest) -> Result<Ask, DeviceIdError> {
    let (available, must) = (request.available_device_i_ds, request.must_include_device_i_ds);
    let size = usize::try_from(request.allocation_size).ok();
    match size.filter(|size| *size > 0 && must.len() <= *size) {
        Some(size) => Ok(Ask { available, must, size }),
        None => Err(DeviceIdError::Size {
            resource: resource.name(),
            size: request.allocation_size,
            available: available.len(),
        }),
    }
}

#[cfg(test)]
mod tests;
