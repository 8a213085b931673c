//! Fuzz targets: every parser of bytes that come from outside, with what must hold of its answers whatever comes.
//!
//! A target takes any bytes and panics when a property is broken. `hack/fuzz` runs them under libFuzzer; `tests/corpus.rs` replays
//! the inputs that are kept in `corpus/`, among them every one that has once broken a property. `parsers.txt` names each file of the
//! product that parses and the target that covers it; `tests/parsers.rs` finds the ones that are missing there.

mod accounting;
mod arbiter;
mod authority;
mod cloud;
mod cluster;
mod controller;
mod decision;
mod extender;
mod input;
mod limits;
mod luks;
mod mountinfo;
mod names;
mod node;
mod placing;
pub mod planted;
mod pod;
mod profile;
mod record;
mod resources;
mod superblock;
mod sysfs;

/// A target.
pub struct Target {
    /// Its name, and that of its folder in `corpus/`.
    pub name: &'static str,
    /// Panics if a property is broken.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: [Target; 20] = [
    // What the kernel and disks say to eck-csi-node.
    Target { name: "mountinfo", run: mountinfo::run },
    Target { name: "superblock", run: superblock::run },
    Target { name: "luks_header", run: luks::run },
    Target { name: "sysfs", run: sysfs::run },
    // What the CO says to both halves, and the words of the domain.
    Target { name: "csi_controller", run: controller::run },
    Target { name: "csi_node", run: node::run },
    Target { name: "names", run: names::run },
    // What the cloud says, and how it is configured.
    Target { name: "cloud_reply", run: cloud::run },
    Target { name: "profile", run: profile::run },
    // What a container can write, and what its limits are read from.
    Target { name: "limits", run: limits::run },
    Target { name: "accounting", run: accounting::run },
    Target { name: "arbiter_protocol", run: arbiter::run },
    // What the API server and kube-scheduler say to ideal-gpu.
    Target { name: "decision", run: decision::run },
    Target { name: "placing", run: placing::run },
    Target { name: "extender", run: extender::run },
    Target { name: "cluster", run: cluster::run },
    Target { name: "node_pod", run: pod::run },
    // What the kubelet says, and what the plugin finds on its own disk.
    Target { name: "pod_resources", run: resources::run },
    Target { name: "record", run: record::run },
    Target { name: "authority", run: authority::run },
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
