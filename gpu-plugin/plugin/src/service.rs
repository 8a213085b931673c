//! The device plugin service of one resource: each RPC is parse, operate, reply.

use std::pin::Pin;

use futures::Stream;
use proto::deviceplugin::v1beta1 as pb;
use proto::deviceplugin::v1beta1::device_plugin_server::DevicePlugin;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::allocate::allocate;
use crate::context::PluginContext;
use crate::device_list::DeviceList;
use crate::error::DeviceIdError;
use crate::prefer::{self, Ask};
use crate::prestart;
use crate::resource::Resource;

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
        let list = DeviceList::new(self.context.clone(), self.resource, self.token.clone());
        Ok(Response::new(Box::pin(list.messages())))
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
        let replies = containers.map(|asked| allocate(&self.context, self.resource, asked.devices_ids));
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
