//! The pod-resources API: which pods are here and which devices each container holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use proto::podresources::v1 as pb;
use proto::podresources::v1::pod_resources_lister_server::PodResourcesLister;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::pod::{Kind, Pod};
use super::rules::Rules;

/// Calls a second that the kubelet answers, and calls at once. (apis/podresources/constants.go)
const CALLS_PER_SECOND: f64 = 100.0;
const CALLS_AT_ONCE: f64 = 10.0;

/// The service.
pub struct Lister {
    rules: Arc<Mutex<Rules>>,
    allowance: Mutex<(f64, Instant)>,
}

impl Lister {
    /// Over these rules.
    pub fn new(rules: Arc<Mutex<Rules>>) -> Self {
        Self { rules, allowance: Mutex::new((CALLS_AT_ONCE, Instant::now())) }
    }

    fn allow(&self) -> Result<(), Status> {
        let mut allowance = self.allowance.lock();
        let now = Instant::now();
        let grown = allowance.0 + now.duration_since(allowance.1).as_secs_f64() * CALLS_PER_SECOND;
        *allowance = (grown.min(CALLS_AT_ONCE), now);
        if allowance.0 < 1.0 {
            return Err(Status::resource_exhausted("rejected by rate limit"));
        }
        allowance.0 -= 1.0;
        Ok(())
    }
}

/// List, as the kubelet answers it.
pub fn list(rules: &mut Rules) -> pb::ListPodResourcesResponse {
    rules.collect_garbage();
    pb::ListPodResourcesResponse {
        pod_resources: rules.active().map(|pod| resources_of(rules, pod)).collect(),
    }
}

/// A pod's containers and what they hold. Init containers that end are not among them, sidecars are. (server_v1.go)
pub fn resources_of(rules: &Rules, pod: &Pod) -> pb::PodResources {
    let lasting = pod.containers.iter().filter(|container| container.kind != Kind::Init);
    let containers = lasting.map(|container| {
        let of = |(uid, name, _): &(String, String, String)| *uid == pod.uid && *name == container.name;
        let held = rules.holders().iter().filter(|(holder, _)| of(holder));
        // One entry for each id, as the kubelet has written them since 1.21.
        let devices =
            held.flat_map(|((_, _, resource), held)| held.ids.iter().map(move |id| entry(resource, id)));
        pb::ContainerResources {
            name: container.name.clone(),
            devices: devices.collect(),
            ..Default::default()
        }
    });
    pb::PodResources {
        name: pod.name.clone(),
        namespace: pod.namespace.clone(),
        containers: containers.collect(),
        ..Default::default()
    }
}

fn entry(resource: &str, id: &str) -> pb::ContainerDevices {
    pb::ContainerDevices {
        resource_name: resource.to_owned(),
        device_ids: vec![id.to_owned()],
        topology: None,
    }
}

#[tonic::async_trait]
impl PodResourcesLister for Lister {
    async fn list(
        &self,
        _: Request<pb::ListPodResourcesRequest>,
    ) -> Result<Response<pb::ListPodResourcesResponse>, Status> {
        self.allow()?;
        Ok(Response::new(list(&mut self.rules.lock())))
    }

    async fn get_allocatable_resources(
        &self,
        _: Request<pb::AllocatableResourcesRequest>,
    ) -> Result<Response<pb::AllocatableResourcesResponse>, Status> {
        self.allow()?;
        let rules = self.rules.lock();
        let resources: BTreeMap<&str, _> = rules.resources().map(|name| (name, rules.known(name))).collect();
        let devices = resources.iter().flat_map(|(name, ids)| ids.iter().map(|id| entry(name, id)));
        Ok(Response::new(pb::AllocatableResourcesResponse {
            devices: devices.collect(),
            ..Default::default()
        }))
    }

    async fn get(
        &self,
        request: Request<pb::GetPodResourcesRequest>,
    ) -> Result<Response<pb::GetPodResourcesResponse>, Status> {
        self.allow()?;
        let wanted = request.into_inner();
        let rules = self.rules.lock();
        let same = |pod: &&Pod| pod.name == wanted.pod_name && pod.namespace == wanted.pod_namespace;
        // The kubelet's own code for this is Unknown: a plain Go error.
        let pod = rules.active().find(same).ok_or_else(|| Status::unknown("pod not found"))?;
        Ok(Response::new(pb::GetPodResourcesResponse { pod_resources: Some(resources_of(&rules, pod)) }))
    }
}
