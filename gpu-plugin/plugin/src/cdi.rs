//! CDI specs: what the container runtime does for each device name. They follow from the cards alone and not from who holds
//! them, so a runtime that has not read the newest file yet does nothing wrong.

use std::path::{Path, PathBuf};

use ideal_gpu::card::CardId;
use serde_json::{Value, json};

use crate::file::{self, WriteError};
use crate::isolation::{Access, Isolation, Mount};
use crate::libraries;
use crate::resource::Resource;

/// The oldest version of CDI that has all that is used here; containerd 1.7 and CRI-O 1.24 read it.
const VERSION: &str = "0.5.0";

/// Device files that every container with a card needs, beside the card's own. Those that are missing on a machine are left out.
const COMMON: [&str; 4] = ["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset"];

/// Where things are on this machine.
#[derive(Debug, Clone)]
pub struct Places {
    /// What the plugin keeps.
    pub state: PathBuf,
    /// CDI specs.
    pub cdi: PathBuf,
    /// Root of the driver's files, as the host names it.
    pub driver_root: PathBuf,
    /// Where this program sees the host's root.
    pub host_root: PathBuf,
}

impl Places {
    /// The device files of a card: path in the container and on the host.
    pub(crate) fn nodes(&self, minor: u32) -> Vec<(String, PathBuf)> {
        let own = format!("nvidia{minor}");
        let names = std::iter::once(own.as_str()).chain(COMMON);
        let both = names.map(|name| (format!("/dev/{name}"), self.driver_root.join("dev").join(name)));
        both.filter(|(_, host)| self.seen(host).exists()).collect()
    }

    /// Where this program sees a path of the host.
    fn seen(&self, host: &Path) -> PathBuf {
        host.strip_prefix("/").map_or_else(|_| host.to_owned(), |path| self.host_root.join(path))
    }

    fn file(&self, resource: Resource) -> PathBuf {
        self.cdi.join(format!("{}.json", resource.cdi_kind().replace('/', "-")))
    }

    /// Writes both specs, if they are not what stands there.
    pub(crate) fn write_specs(
        &self,
        cards: &[(CardId, u32)],
        isolation: &Isolation,
    ) -> Result<(), WriteError> {
        if cards.is_empty() {
            // A spec without devices is refused as a whole, with an error at every container of the node.
            return Ok(());
        }
        file::folder(&self.cdi)?;
        let libraries = libraries::mounts(&self.driver_root, |host| self.seen(host));
        for resource in Resource::ALL {
            let mut spec = spec(resource, cards, isolation, &self.state, |minor| self.nodes(minor));
            if !libraries.is_empty() {
                // Once for each container, however many devices it has.
                let mounts: Vec<Value> =
                    libraries.iter().map(|(path, host)| mount(path, host, LIBRARY)).collect();
                spec["containerEdits"] = json!({ "mounts": mounts });
            }
            file::put(&self.file(resource), spec.to_string().as_bytes(), 0o644)?;
        }
        Ok(())
    }
}

/// How a library is mounted: it must be mapped to be run, whatever the host's file system is mounted with.
const LIBRARY: &[&str] = &["ro", "nosuid", "nodev", "exec", "bind"];

fn options(access: Access) -> &'static [&'static str] {
    match access {
        Access::Read => &["ro", "nosuid", "nodev", "noexec", "bind"],
        Access::Write => &["rw", "nosuid", "nodev", "noexec", "bind"],
        Access::Run => LIBRARY,
    }
}

fn mount(path: &str, host: &Path, options: &[&str]) -> Value {
    json!({ "hostPath": host, "containerPath": path, "options": options })
}

/// The name that Allocate answers for a device.
pub(crate) fn name(resource: Resource, id: &str) -> String {
    format!("{}={id}", resource.cdi_kind())
}

fn spec(
    resource: Resource,
    cards: &[(CardId, u32)],
    isolation: &Isolation,
    state: &Path,
    nodes: impl Fn(u32) -> Vec<(String, PathBuf)>,
) -> Value {
    let device = |id: String, nodes: &[Value]| {
        let mut edits = json!({
            // The devices come from here: a runtime of NVIDIA's that looks at this variable must add nothing.
            "env": ["NVIDIA_VISIBLE_DEVICES=void"],
            "deviceNodes": nodes,
        });
        if resource == Resource::Slices {
            // Of a container's slots each shows the same files, and the runtime replaces a mount of the same place.
            let mounts = isolation.mounts(state, &[&id]);
            let mount = |Mount { path, host, access }: &Mount| mount(path, host, options(*access));
            edits["mounts"] = mounts.iter().map(mount).collect();
        }
        json!({ "name": id, "containerEdits": edits })
    };
    let ids = |(card, minor): &(CardId, u32)| {
        let node = |(path, host): (String, PathBuf)| json!({ "path": path, "hostPath": host });
        // Looked for once a card, not once a slot.
        let nodes: Vec<Value> = nodes(*minor).into_iter().map(node).collect();
        resource.ids(card).into_iter().map(|id| device(id, &nodes)).collect::<Vec<_>>()
    };
    let devices: Vec<Value> = cards.iter().flat_map(ids).collect();
    json!({ "cdiVersion": VERSION, "kind": resource.cdi_kind(), "devices": devices })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cards() -> Vec<(CardId, u32)> {
        vec![(CardId::parse("GPU-a").unwrap(), 0), (CardId::parse("GPU-b").unwrap(), 7)]
    }

    #[test]
    fn each_slot_is_a_device_with_its_cards_node_and_the_limits() {
        let nodes =
            |minor| vec![(format!("/dev/nvidia{minor}"), PathBuf::from(format!("/dev/nvidia{minor}")))];
        let isolation = Isolation { library: Some("/state/lib/x.so".into()), ..Isolation::default() };
        let spec = spec(Resource::Slices, &cards(), &isolation, Path::new("/state"), nodes);
        assert_eq!(spec["kind"], "ideal.com/gpu");
        assert_eq!(spec["devices"].as_array().unwrap().len(), 10);
        let device = &spec["devices"][5];
        assert_eq!(device["name"], "0-GPU-b");
        assert_eq!(device["containerEdits"]["deviceNodes"][0]["path"], "/dev/nvidia7");
        let mounts = device["containerEdits"]["mounts"].as_array().unwrap();
        let is = |at: usize, path, host, first, exec| {
            let options = json!([first, "nosuid", "nodev", exec, "bind"]);
            assert_eq!(mounts[at], json!({"containerPath": path, "hostPath": host, "options": options}));
        };
        is(0, "/etc/ideal-gpu/limits.json", "/state/slots/0-GPU-b/limits.json", "ro", "noexec");
        is(1, "/etc/ideal-gpu/region", "/state/slots/0-GPU-b/region", "rw", "noexec");
        is(2, "/etc/ideal-gpu/arbiter", "/state/slots/0-GPU-b/arbiter", "ro", "noexec");
        is(3, "/etc/ideal-gpu/libvcuda.so", "/state/slots/0-GPU-b/libvcuda.so", "ro", "exec");
        is(4, "/etc/ld.so.preload", "/state/preload", "ro", "noexec");
        assert_eq!(name(Resource::Slices, "0-GPU-b"), "ideal.com/gpu=0-GPU-b");
    }

    #[test]
    fn a_whole_card_has_no_limits_and_missing_device_files_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("dev")).unwrap();
        std::fs::write(dir.path().join("dev/nvidia7"), "").unwrap();
        std::fs::create_dir_all(dir.path().join("usr/lib64")).unwrap();
        std::fs::write(dir.path().join("usr/lib64/libcuda.so.1"), "").unwrap();
        let at = |name: &str| dir.path().join(name);
        let places =
            Places { state: at("state"), cdi: at("cdi"), driver_root: at(""), host_root: "/".into() };
        places.write_specs(&cards(), &Isolation::default()).unwrap();
        let text = std::fs::read_to_string(at("cdi/ideal.com-card.json")).unwrap();
        let spec: Value = serde_json::from_str(&text).unwrap();
        assert!(spec["devices"][0]["containerEdits"]["mounts"].is_null());
        assert_eq!(spec["devices"][0]["containerEdits"]["deviceNodes"].as_array().unwrap().len(), 0);
        assert_eq!(spec["devices"][1]["name"], "GPU-b");
        assert_eq!(spec["devices"][1]["containerEdits"]["deviceNodes"].as_array().unwrap().len(), 1);
        let library = &spec["containerEdits"]["mounts"][1];
        assert_eq!(library["containerPath"], "/usr/lib64/libcuda.so.1");
        assert_eq!(library["hostPath"], at("usr/lib64/libcuda.so.1").to_str().unwrap());
        assert_eq!(std::fs::read_dir(at("cdi")).unwrap().count(), 2);
    }
}
