//! Allocate: what a container gets for its device ids, whoever it is. Which pod it belongs to is known in PreStartContainer only.

use std::path::PathBuf;

use ideal_gpu::card::CardId;
use proto::deviceplugin::v1beta1 as pb;

use crate::cdi;
use crate::context::PluginContext;
use crate::devices;
use crate::error::DeviceIdError;
use crate::isolation::{Access, Mount};
use crate::resource::Resource;

/// The reply for one container: names of CDI devices, or without CDI the device files themselves.
pub(crate) fn allocate(
    context: &PluginContext,
    resource: Resource,
    mut ids: Vec<String>,
) -> Result<pb::ContainerAllocateResponse, DeviceIdError> {
    devices::known(context, resource, &ids)?;
    ids.sort_unstable();
    if context.settings.no_cdi {
        return Ok(device_files(context, resource, &ids));
    }
    let device = |id: &String| pb::CdiDevice { name: cdi::name(resource, id) };
    let cdi_devices = ids.iter().map(device).collect();
    Ok(pb::ContainerAllocateResponse { cdi_devices, ..Default::default() })
}

/// For a container runtime without CDI: device files and mounts one by one, and the cards by name for NVIDIA's runtime.
fn device_files(
    context: &PluginContext,
    resource: Resource,
    ids: &[String],
) -> pb::ContainerAllocateResponse {
    let snapshot = context.gpu_watch.snapshot.borrow().clone();
    let cards: Vec<CardId> = ids.iter().filter_map(|id| resource.card(id)).collect();
    let minors = cards.iter().filter_map(|card| snapshot.minors.get(card));
    let places = &context.settings.places;
    let mut nodes: Vec<_> = minors.flat_map(|minor| places.nodes(*minor)).collect();
    nodes.sort();
    nodes.dedup();
    let slots = match resource {
        Resource::Slices => ids.iter().map(String::as_str).collect(),
        Resource::Whole => Vec::new(),
    };
    let mounts = context.settings.isolation.mounts(&places.state, &slots);
    pb::ContainerAllocateResponse {
        mounts: mounts.into_iter().map(mount).collect(),
        devices: nodes.into_iter().map(device).collect(),
        // NVIDIA's runtime adds the driver's libraries for the cards that are named here.
        envs: [("NVIDIA_VISIBLE_DEVICES".to_owned(), join(&cards))].into(),
        ..Default::default()
    }
}

fn device((path, host): (String, PathBuf)) -> pb::DeviceSpec {
    pb::DeviceSpec {
        container_path: path,
        host_path: host.to_string_lossy().into_owned(),
        permissions: "rw".to_owned(),
    }
}

fn mount(Mount { path, host, access }: Mount) -> pb::Mount {
    pb::Mount {
        container_path: path,
        host_path: host.to_string_lossy().into_owned(),
        read_only: access != Access::Write,
    }
}

fn join(cards: &[CardId]) -> String {
    cards.iter().map(CardId::as_str).collect::<Vec<_>>().join(",")
}
