//! The kubelet's pod-resources API: who holds what.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use proto::podresources::v1 as pr;
use proto::podresources::v1::pod_resources_lister_server::PodResourcesLister;
use tonic::{Request, Response, Status};

/// What the kubelet has recorded: ids by pod and container.
pub(super) type Recorded = Arc<Mutex<BTreeMap<(String, String), Vec<String>>>>;

pub(super) struct Kubelet(pub(super) Recorded);

#[tonic::async_trait]
impl PodResourcesLister for Kubelet {
    async fn list(
        &self,
        _: Request<pr::ListPodResourcesRequest>,
    ) -> Result<Response<pr::ListPodResourcesResponse>, Status> {
        let recorded = self.0.lock().unwrap().clone();
        let pods = recorded.into_iter().map(|((pod, container), ids)| pr::PodResources {
            name: pod,
            namespace: "ns".into(),
            containers: vec![pr::ContainerResources {
                name: container,
                devices: ids.into_iter().map(entry).collect(),
                ..Default::default()
            }],
            ..Default::default()
        });
        Ok(Response::new(pr::ListPodResourcesResponse { pod_resources: pods.collect() }))
    }

    async fn get_allocatable_resources(
        &self,
        _: Request<pr::AllocatableResourcesRequest>,
    ) -> Result<Response<pr::AllocatableResourcesResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn get(
        &self,
        _: Request<pr::GetPodResourcesRequest>,
    ) -> Result<Response<pr::GetPodResourcesResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }
}

/// One entry for each id, as the kubelet writes them.
fn entry(id: String) -> pr::ContainerDevices {
    pr::ContainerDevices { resource_name: "ideal.com/gpu".into(), device_ids: vec![id], topology: None }
}
