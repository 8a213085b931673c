//! What the kubelet says that pods hold: bytes of protobuf, as tonic hands them over.

use ideal_gpu_plugin::lister::Listed;
use ideal_gpu_plugin::resource::Resource;
use proto::podresources::v1 as pb;

use crate::controller::with;

pub(crate) fn run(bytes: &[u8]) {
    with(bytes, |reply: pb::ListPodResourcesResponse| reply.pod_resources.into_iter().for_each(pod));
}

fn pod(sent: pb::PodResources) {
    let listed = Listed::read(sent.clone());
    assert!(listed.name == sent.name && listed.namespace == sent.namespace);
    assert_eq!(listed.containers.len(), sent.containers.len());
    for ((name, held), container) in listed.containers.iter().zip(&sent.containers) {
        assert_eq!(*name, container.name);
        for (resource, ids) in held {
            let ours = container.devices.iter().filter(|devices| devices.resource_name == resource.name());
            let sent: Vec<&String> = ours.flat_map(|devices| &devices.device_ids).collect();
            assert!(ids.iter().all(|id| sent.contains(&id)) && sent.iter().all(|id| ids.contains(*id)));
            for id in ids {
                if let Some(card) = resource.card(id) {
                    assert!(resource.ids(&card).contains(id), "{id:?} is one of its card's");
                }
            }
        }
        assert!(held.keys().all(|resource| Resource::ALL.contains(resource)));
    }
}
