//! The Identity service, the same on both sockets: the plugin is one, whichever half answers.

use std::collections::HashMap;

use proto::csi::v1 as pb;
use serve::admin::Ready;
use tonic::{Request, Response, Status};

use crate::driver::DRIVER_NAME;

/// Answers who the plugin is, what it can do and whether this half is ready.
#[derive(Clone)]
pub struct Identity {
    ready: Ready,
    version: &'static str,
}

impl Identity {
    /// `ready` is the same handle that `/readyz` shows; `version` is the program's.
    pub fn new(ready: Ready, version: &'static str) -> Self {
        Self { ready, version }
    }
}

#[tonic::async_trait]
impl pb::identity_server::Identity for Identity {
    async fn get_plugin_info(
        &self,
        _: Request<pb::GetPluginInfoRequest>,
    ) -> Result<Response<pb::GetPluginInfoResponse>, Status> {
        Ok(Response::new(pb::GetPluginInfoResponse {
            name: DRIVER_NAME.to_owned(),
            vendor_version: self.version.to_owned(),
            manifest: HashMap::new(),
        }))
    }

    async fn get_plugin_capabilities(
        &self,
        _: Request<pb::GetPluginCapabilitiesRequest>,
    ) -> Result<Response<pb::GetPluginCapabilitiesResponse>, Status> {
        use pb::plugin_capability::{Service, Type, VolumeExpansion, service, volume_expansion};
        // The node's socket names CONTROLLER_SERVICE too: it is a property of the plugin, not of the process.
        let service = |kind: service::Type| Type::Service(Service { r#type: kind.into() });
        let expansion =
            |kind: volume_expansion::Type| Type::VolumeExpansion(VolumeExpansion { r#type: kind.into() });
        let types = [
            service(service::Type::ControllerService),
            service(service::Type::VolumeAccessibilityConstraints),
            service(service::Type::SnapshotAccessibilityConstraints),
            service(service::Type::GroupControllerService),
            expansion(volume_expansion::Type::Online),
        ];
        let capabilities = types.map(|kind| pb::PluginCapability { r#type: Some(kind) }).into();
        Ok(Response::new(pb::GetPluginCapabilitiesResponse { capabilities }))
    }

    async fn probe(&self, _: Request<pb::ProbeRequest>) -> Result<Response<pb::ProbeResponse>, Status> {
        // Not ready is an answer, not an error: the caller waits and asks again.
        Ok(Response::new(pb::ProbeResponse { ready: Some(self.ready.is_ready()) }))
    }
}
