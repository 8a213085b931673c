//! The bench of one case: a copy of the content, its loop device, the tree that shows it, and the fault ready to happen.

use std::fs::{self, File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use eck_csi::volume::NodeId;
use eck_csi_node::driver::{Driver, Settings};
use eck_csi_node::host::Linux;
use eck_csi_node::metrics::Decisions;
use eck_csi_node::service::Node;
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::content::GroundTruth;
use super::disk::{Disk, publish};
use super::fault::{Fault, Outcome};
use super::faulty::{Faults, Faulty, Hook};
use super::lab::{Loop, Tree, blank, copy, difference, path, run, zero};

const MIB: u64 = 1 << 20;
/// What somebody writes to the disk between probe and format, and where.
const INTRUDER: &[u8] = b"customer data";
const INTRUDER_AT: u64 = 9 * MIB + 123;
/// Space that mkfs finds under the disk before its writes fail.
const SPACE_LEFT: u64 = 128 << 10;

/// A request that stands still until it is let go.
pub(crate) struct Gate {
    /// It stands there.
    pub(crate) entered: oneshot::Receiver<()>,
    /// Lets it go.
    pub(crate) open: mpsc::Sender<()>,
}

/// See the module's text.
pub(crate) struct Bench {
    /// The volume's disk.
    pub(crate) image: PathBuf,
    /// Its size.
    pub(crate) size: u64,
    /// Where it is staged.
    pub(crate) staging: PathBuf,
    /// The service.
    pub(crate) node: Node<Faulty>,
    /// What goes wrong, and what was counted.
    pub(crate) faults: Arc<Faults>,
    /// For a caller that gives up.
    pub(crate) gate: Option<Gate>,
    fault: Fault,
    tree: Arc<Tree>,
    twin: Option<Loop>,
    held: Option<File>,
    other: PathBuf,
    device: Arc<Mutex<Loop>>,
    store: Option<PathBuf>,
    // Last: everything above lies in it.
    _dir: TempDir,
}

impl Bench {
    /// Everything ready for one request.
    pub(crate) fn new(disk: &Disk<'_>, fault: Fault) -> Self {
        let dir = tempfile::tempdir_in(&disk.folder).unwrap();
        let root = dir.path().canonicalize().unwrap();
        let staging = root.join("globalmount");
        let other = root.join("other");
        let store = starved(disk, fault).then(|| root.join("store"));
        let image = store.as_deref().unwrap_or(&root).join("image");
        copy_to(disk, &image, store.as_deref());
        let size = fs::metadata(&image).unwrap().len();
        blank(&other, size / MIB);
        let device = Loop::attach(&image, fault == Fault::ReadOnly);
        let tree = Arc::new(Tree::new(root.join("root")));
        let serial = publish(size).serials[0].clone();
        tree.show(&device.name, &serial);
        let twin = (fault == Fault::Twin).then(|| Loop::attach(&other, false));
        twin.iter().for_each(|twin| tree.show(&twin.name, &serial));
        let exclusive =
            || OpenOptions::new().read(true).custom_flags(nix::libc::O_EXCL).open(device.dev()).unwrap();
        let held = (fault == Fault::Held).then(exclusive);
        if fault == Fault::UnreadableEnd {
            // The kernel answers EIO where the file under the device has ended.
            File::options().write(true).open(&image).unwrap().set_len(size - MIB).unwrap();
        }
        let device = Arc::new(Mutex::new(device));
        let (hooks, gate) = faults(fault, disk, &tree, &device, [&image, &other]);
        let faults = Arc::new(hooks);
        let settings = Settings {
            node_id: NodeId::parse("fj-xiamen-4/evm-1".to_owned()).unwrap(),
            device_patience: Duration::from_millis(20),
            reserved_disks: 0,
            state_dir: root.join("state"),
        };
        let host = Faulty::new(Linux::new(&tree.root), Arc::clone(&faults));
        let node = Node::new(Driver::new(host, settings, Decisions::default()));
        let _dir = dir;
        Self { image, size, staging, node, faults, gate, fault, tree, twin, held, other, device, store, _dir }
    }

    /// The fault ends, as far as it can.
    pub(crate) fn over(&mut self) {
        self.faults.over.store(true, Ordering::SeqCst);
        self.held = None;
        if let Some(twin) = self.twin.take() {
            self.tree.hide(&twin.name);
        }
    }

    /// What is different from before, on the volume's disk and on the other one.
    pub(crate) fn changes(&self, disk: &Disk<'_>) -> Vec<String> {
        let mut same: Range<u64> = 0..self.size;
        match self.fault {
            Fault::UnreadableEnd => {
                File::options().write(true).open(&self.image).unwrap().set_len(self.size).unwrap();
                same.end -= MIB;
            }
            Fault::DataAppears if self.faults.formats.load(Ordering::SeqCst) > 0 => {
                let mut found = vec![0; INTRUDER.len()];
                File::open(&self.image).unwrap().read_exact_at(&mut found, INTRUDER_AT).unwrap();
                if found != INTRUDER {
                    return vec!["what somebody wrote is lost".to_owned()];
                }
                zero(&self.image, INTRUDER_AT..INTRUDER_AT + INTRUDER.len() as u64);
            }
            _ => {}
        }
        let changed =
            difference(&self.image, &disk.base, same).map(|at| format!("the disk has changed at {at}"));
        let empty = self.other.with_extension("empty");
        blank(&empty, self.size / MIB);
        let others = difference(&self.other, &empty, 0..self.size);
        let others = others.map(|at| format!("another disk has changed at {at}"));
        changed.into_iter().chain(others).collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Only after a case that went wrong there is something to unmount.
        let _ = Command::new("umount").args(["--quiet", "--lazy", path(&self.staging)]).output();
        self.device.lock().detach();
        if let Some(store) = &self.store {
            run("umount", &["--lazy", path(store)]);
        }
    }
}

/// Whether the disk lies where there is no room to write. What is to be mounted gets its room: it is not to be made.
fn starved(disk: &Disk<'_>, fault: Fault) -> bool {
    fault == Fault::MkfsFails && disk.content.truth != GroundTruth::Ours
}

/// Copies the content; on a file system of its own that has [`SPACE_LEFT`], if there is to be one.
fn copy_to(disk: &Disk<'_>, image: &Path, store: Option<&Path>) {
    let Some(store) = store else { return copy(&disk.base, image) };
    fs::create_dir(store).unwrap();
    run("mount", &["-t", "tmpfs", "starved", path(store)]);
    copy(&disk.base, image);
    let size = fs::metadata(image).unwrap().blocks() * 512 + SPACE_LEFT;
    run("mount", &["-o", &format!("remount,size={size}"), path(store)]);
}

fn faults(
    fault: Fault,
    disk: &Disk<'_>,
    tree: &Arc<Tree>,
    device: &Arc<Mutex<Loop>>,
    [image, other]: [&Path; 2],
) -> (Faults, Option<Gate>) {
    let mut faults = Faults::default();
    let (image, other) = (image.to_owned(), other.to_owned());
    let (tree, device) = (Arc::clone(tree), Arc::clone(device));
    match fault {
        Fault::Vanishes => {
            faults.after_probe = Some(Box::new(move || {
                let mut device = device.lock();
                tree.hide(&device.name);
                device.detach();
            }));
        }
        Fault::Replaced => {
            faults.after_probe = Some(Box::new(move || device.lock().replace(&other)));
        }
        Fault::UnreadableStart => faults.unreadable = Some(0..4096),
        Fault::UnreadableLater => faults.unreadable = Some(40_960..45_056),
        Fault::DataAppears => {
            faults.before_format = Some(Box::new(move || {
                let file = File::options().write(true).open(&image).unwrap();
                file.write_all_at(INTRUDER, INTRUDER_AT).unwrap();
            }));
        }
        Fault::MountFails => faults.mount_fails = true.into(),
        Fault::GivesUp => return gated(faults, disk, fault),
        _ => {}
    }
    (faults, None)
}

/// The request stands still before mkfs, or before the probe where there will be no mkfs.
fn gated(mut faults: Faults, disk: &Disk<'_>, fault: Fault) -> (Faults, Option<Gate>) {
    let (enter, entered) = oneshot::channel();
    let (open, opened) = mpsc::channel();
    let (enter, opened) = (Mutex::new(Some(enter)), Mutex::new(opened));
    let wait: Hook = Box::new(move || {
        if let Some(enter) = enter.lock().take() {
            enter.send(()).unwrap();
            opened.lock().recv().unwrap();
        }
    });
    if fault.outcome(disk.content.truth, disk.mountable) == Outcome::Formatted {
        faults.before_format = Some(wait);
    } else {
        faults.before_probe = Some(wait);
    }
    (faults, Some(Gate { entered, open }))
}
