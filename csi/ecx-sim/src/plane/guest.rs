//! Disks of virtual machines: an attach is a virtio disk that is plugged into a running QEMU, a detach takes it out whether the
//! guest likes it or not, as a hypervisor does. The serial is the device's own, which virtio cuts at 20 bytes.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::qmp::Qmp;

/// How long a guest may take to let a disk go.
const LET_GO: Duration = Duration::from_secs(20);

/// The machines, each with a folder that has QEMU's socket in it.
#[derive(Debug)]
pub struct Guests {
    nodes: PathBuf,
}

/// The block device's name in QEMU: no longer than the 31 bytes that it takes.
pub fn node_name(disk: &str) -> String {
    format!("n-{}", disk.trim_start_matches("cd-"))
}

/// The id of the device.
pub fn device_id(disk: &str) -> String {
    format!("d-{}", disk.trim_start_matches("cd-"))
}

/// The disk's file as a block device of QEMU's.
pub fn block_device(disk: &str, file: &Path) -> Value {
    json!({"driver": "raw", "node-name": node_name(disk), "discard": "unmap", "file": {"driver": "file", "filename": file}})
}

/// The socket in the folder of a machine.
pub fn socket(folder: &Path) -> PathBuf {
    folder.join("qmp.sock")
}

impl Guests {
    /// Machines below a folder.
    pub fn new(nodes: PathBuf) -> Self {
        Self { nodes }
    }

    /// Plugs a disk in; one that is in already is success. A machine that is off gets it when it starts.
    pub fn plug(&self, disk: &str, instance: &str, file: &Path, serial: &str) -> io::Result<()> {
        let Some(mut qmp) = self.machine(instance)? else { return Ok(()) };
        if has(&mut qmp, disk)? {
            return Ok(());
        }
        let port = free_port(&mut qmp)?;
        let (node, device) = (node_name(disk), device_id(disk));
        qmp.ask("blockdev-add", &block_device(disk, file))?;
        let mut device = json!({"driver": "virtio-blk-pci", "id": device, "drive": node, "bus": port});
        if !serial.is_empty() {
            device["serial"] = serial.into();
        }
        if let Err(error) = qmp.ask("device_add", &device) {
            qmp.ask("blockdev-del", &json!({"node-name": node}))?;
            return Err(error);
        }
        Ok(())
    }

    /// Takes a disk out; one that is not in is success. False if the guest does not let it go.
    pub fn unplug(&self, disk: &str, instance: &str) -> io::Result<bool> {
        let Some(mut qmp) = self.machine(instance)? else { return Ok(true) };
        if !has(&mut qmp, disk)? {
            return Ok(true);
        }
        let until = Instant::now() + LET_GO;
        if has_device(&mut qmp, disk)? {
            qmp.ask("device_del", &json!({"id": device_id(disk)}))?;
        }
        let node = json!({"node-name": node_name(disk)});
        // QEMU tells of the end with an event; one more question a moment later is as good. Until then the node is in use.
        while has_device(&mut qmp, disk)? || qmp.ask("blockdev-del", &node).is_err() {
            if Instant::now() >= until {
                return Ok(false);
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(true)
    }

    /// Tells whoever has the disk that it has grown.
    pub fn grown(&self, disk: &str, bytes: u64) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.nodes)? {
            let Some(mut qmp) = Qmp::connect(&socket(&entry?.path()))? else { continue };
            if has(&mut qmp, disk)? {
                qmp.ask("block_resize", &json!({"node-name": node_name(disk), "size": bytes}))?;
            }
        }
        Ok(())
    }

    fn machine(&self, instance: &str) -> io::Result<Option<Qmp>> {
        Qmp::connect(&socket(&self.nodes.join(instance)))
    }
}

fn has(qmp: &mut Qmp, disk: &str) -> io::Result<bool> {
    let nodes = qmp.ask("query-named-block-nodes", &json!({"flat": true}))?;
    let name = node_name(disk);
    Ok(nodes.as_array().is_some_and(|nodes| nodes.iter().any(|node| node["node-name"] == name.as_str())))
}

fn has_device(qmp: &mut Qmp, disk: &str) -> io::Result<bool> {
    let devices = qmp.ask("qom-list", &json!({"path": "/machine/peripheral"}))?;
    let id = device_id(disk);
    Ok(devices.as_array().is_some_and(|devices| devices.iter().any(|device| device["name"] == id.as_str())))
}

/// The id of a root port with nothing in it.
fn free_port(qmp: &mut Qmp) -> io::Result<String> {
    let buses = qmp.ask("query-pci", &json!({}))?;
    let all = buses
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|bus| bus["devices"].as_array().into_iter().flatten());
    let empty = |device: &&Value| device["pci_bridge"]["devices"].as_array().is_none_or(Vec::is_empty);
    let free = all.filter(|device| !device["pci_bridge"].is_null()).find(empty);
    let id = free.and_then(|device| device["qdev_id"].as_str());
    id.map(str::to_owned).ok_or_else(|| io::Error::other("the machine has no free port"))
}
