//! A machine in memory, for tests of the operations: disks with a content, a mount table, mappings. What it is told it does, or
//! refuses as the real one would; it notes what was done to it. Something else can happen at a call: see [`FakeMachine::when`].
//!
//! What is not written anew here is the real machine's, on a sysfs that is not there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;

use eck_csi::context::PublishContext;
use eck_csi::volume::FsType;
use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;

use super::device::tests::device;
use super::machine::{Devices, Filesystems, Machine, Mounts};
use super::sysfs::Sysfs;
use super::{
    Check, Content, Depth, Device, DeviceError, Foreign, Format, FsError, FsId, HostError, MountError,
    MountTable, wait,
};

mod encryption;

pub(crate) use encryption::Vault;

/// Calls at which something else can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    Recheck,
    Probe,
    Mounts,
    MakeTarget,
    Format,
    Check,
    SetUuid,
    Mount,
    Unmount,
    Grow,
    Resize,
}

/// A disk, and what it holds.
pub(crate) struct Disk {
    pub(crate) device: Device,
    pub(crate) content: Content,
    /// Data that only a look at the whole disk finds.
    pub(crate) hidden: Option<Foreign>,
    /// Somebody holds it whom the mount table does not show.
    pub(crate) held: bool,
    /// The tool cannot change the UUID of its file system.
    pub(crate) keeps_uuid: bool,
    /// When the kernel shows it; `None`: it does already.
    pub(crate) appears: Option<Instant>,
    /// What is encrypted, if its content is [`Content::Luks2`].
    pub(crate) vault: Option<Vault>,
}

impl Disk {
    /// The disk `vdb` of 20 GiB with this content.
    pub(crate) fn new(content: Content) -> Self {
        let device = device();
        Self { device, content, hidden: None, held: false, keeps_uuid: false, appears: None, vault: None }
    }
}

/// A line of the mount table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mounted {
    pub(crate) device: (u64, u64),
    pub(crate) target: PathBuf,
    pub(crate) fs: String,
    pub(crate) read_only: bool,
}

type Event = Box<dyn FnOnce(&mut State) -> Result<(), HostError> + Send>;

/// What the machine is like now.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) disks: Vec<Disk>,
    pub(crate) mounts: Vec<Mounted>,
    /// Device files outside of `/dev`.
    pub(crate) nodes: BTreeMap<PathBuf, (u64, u64)>,
    pub(crate) targets: BTreeSet<PathBuf>,
    /// File systems that the kernel does not have.
    pub(crate) unsupported: Vec<FsType>,
    formats: Vec<Format>,
    acts: Vec<String>,
    calls: HashMap<Call, usize>,
    events: Vec<(Call, usize, Event)>,
}

/// The machine.
pub(crate) struct FakeMachine {
    sysfs: Sysfs,
    state: Mutex<State>,
}

fn number(device: &Device) -> (u64, u64) {
    (device.major, device.minor)
}

fn mount_error(what: &str) -> HostError {
    MountError::Io { what: what.to_owned(), source: std::io::ErrorKind::InvalidInput.into() }.into()
}

impl State {
    /// The device as it is now, if it is still the same one.
    fn now(&self, device: &Device) -> Result<Device, HostError> {
        let mappings = self.disks.iter().filter_map(Disk::mapping).map(|mapping| &mapping.device);
        let mut all = self.disks.iter().map(|disk| &disk.device).chain(mappings);
        let now = all.find(|other| number(other) == number(device));
        let same = now.filter(|now| (&now.serial, now.diskseq) == (&device.serial, device.diskseq));
        same.cloned().ok_or_else(|| {
            DeviceError::Changed { device: device.name.clone(), what: "it is another one".into() }.into()
        })
    }

    /// What stands on the device: that of its disk, or what is encrypted in it.
    fn content(&mut self, device: &Device) -> Result<&mut Content, HostError> {
        self.now(device)?;
        let lost = DeviceError::NotFound { serials: device.serial.clone() };
        let found = self.disks.iter_mut().find_map(|disk| disk.content_of(device));
        Ok(found.ok_or(lost)?)
    }

    fn look(&mut self, device: &Device, depth: Depth) -> Result<Content, HostError> {
        let content = self.content(device)?.clone();
        let disk = self.disks.iter().find(|disk| disk.device.name == device.name);
        let hidden = disk.and_then(|disk| disk.hidden.clone());
        Ok(match (&content, depth, hidden) {
            (Content::Blank, Depth::Whole, Some(hidden)) => Content::Foreign(hidden),
            _ => content,
        })
    }

    fn in_use(&self, device: &Device) -> bool {
        let disk = self.disks.iter().find(|disk| disk.device.name == device.name);
        disk.is_some_and(|disk| disk.held || disk.mapping().is_some())
            || self.mounts.iter().any(|mount| mount.device == number(device))
    }

    fn act(&mut self, act: String) {
        self.acts.push(act);
    }
}

impl FakeMachine {
    /// With these disks, and nothing mounted.
    pub(crate) fn new(disks: impl IntoIterator<Item = Disk>) -> Self {
        let state = State { disks: disks.into_iter().collect(), ..State::default() };
        Self { sysfs: Sysfs::new(Path::new("/no/such/folder")), state: Mutex::new(state) }
    }

    /// At the `nth` such call from now on something happens first; an error is what the call then gives. It must come to that.
    pub(crate) fn when(
        &self,
        call: Call,
        nth: usize,
        event: impl FnOnce(&mut State) -> Result<(), HostError> + Send + 'static,
    ) {
        let mut state = self.state.lock();
        let nth = nth + state.calls.get(&call).copied().unwrap_or_default();
        state.events.push((call, nth, Box::new(event)));
    }

    /// What the machine is like.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// What was done to it, in order.
    pub(crate) fn acts(&self) -> Vec<String> {
        self.state.lock().acts.clone()
    }

    /// How its disks were formatted.
    pub(crate) fn formats(&self) -> Vec<Format> {
        self.state.lock().formats.clone()
    }

    fn call(&self, call: Call) -> Result<MutexGuard<'_, State>, HostError> {
        let mut state = self.state.lock();
        let calls = state.calls.entry(call).or_default();
        *calls += 1;
        let nth = *calls;
        let event = state.events.iter().position(|(of, at, _)| (*of, *at) == (call, nth));
        if let Some(at) = event {
            let (_, _, event) = state.events.remove(at);
            event(&mut state)?;
        }
        Ok(state)
    }
}

impl Drop for FakeMachine {
    fn drop(&mut self) {
        let left: Vec<_> = self.state.get_mut().events.iter().map(|(call, nth, _)| (*call, *nth)).collect();
        assert!(std::thread::panicking() || left.is_empty(), "it never came to {left:?}");
    }
}

impl Machine for FakeMachine {
    fn sysfs(&self) -> &Sysfs {
        &self.sysfs
    }
}

impl Devices for FakeMachine {
    fn devices(&self, serials: &[String]) -> Result<Vec<Device>, HostError> {
        let state = self.state.lock();
        let shown = state.disks.iter().filter(|disk| disk.appears.is_none());
        Ok(shown.map(|disk| disk.device.clone()).filter(|device| serials.contains(&device.serial)).collect())
    }

    /// Time passes at once.
    fn wait_for_device(&self, want: &PublishContext, deadline: Instant) -> Result<Device, HostError> {
        for disk in &mut self.state.lock().disks {
            disk.appears = disk.appears.filter(|at| *at > deadline);
        }
        Ok(wait::only(self.devices(&want.serials)?, want)?)
    }

    fn recheck(&self, device: &Device) -> Result<Device, HostError> {
        self.call(Call::Recheck)?.now(device)
    }

    fn probe(&self, device: &Device, depth: Depth) -> Result<Content, HostError> {
        self.call(Call::Probe)?.look(device, depth)
    }

    fn in_use(&self, device: &Device) -> Result<bool, HostError> {
        Ok(self.state.lock().in_use(device))
    }
}

impl Filesystems for FakeMachine {
    fn supports(&self, fs: FsType) -> bool {
        !self.state.lock().unsupported.contains(&fs)
    }

    fn format(&self, device: &Device, format: &Format) -> Result<(), HostError> {
        let mut state = self.call(Call::Format)?;
        if state.in_use(device) {
            return Err(FsError::InUse { device: device.name.clone() }.into());
        }
        let found = state.look(device, format.depth)?;
        if found != Content::Blank {
            return Err(FsError::NotBlank { device: device.name.clone(), found: found.refusal().what }.into());
        }
        let fat = format.fs == FsType::Vfat;
        let id = if fat { FsId::Fat(format.fat) } else { FsId::Uuid(format.uuid) };
        let formatted = super::Formatted { fs: format.fs, id, size_bytes: device.size_bytes, clean: true };
        *state.content(device)? = Content::Formatted(formatted);
        state.formats.push(format.clone());
        state.act(format!("format {} as {}", device.name, format.fs));
        Ok(())
    }

    fn check(&self, device: &Device, fs: FsType, check: Check) -> Result<(), HostError> {
        let mut state = self.call(Call::Check)?;
        // The log of XFS is the kernel's to replay.
        if let Content::Formatted(found) = state.content(device)?
            && fs != FsType::Xfs
        {
            found.clean = true;
        }
        state.act(format!("check {} as {fs}: {check:?}", device.name));
        Ok(())
    }

    fn set_uuid(&self, device: &Device, _: FsType, uuid: Uuid) -> Result<bool, HostError> {
        let mut state = self.call(Call::SetUuid)?;
        if state.in_use(device) {
            return Err(FsError::InUse { device: device.name.clone() }.into());
        }
        let keeps = state.disks.iter().any(|disk| disk.device.name == device.name && disk.keeps_uuid);
        let failed = |stderr: &str| {
            let (program, status, stderr) = ("tune2fs", "exit status: 1".to_owned(), stderr.to_owned());
            FsError::Tool { program, device: device.name.clone(), status, stderr }
        };
        match state.content(device)? {
            Content::Formatted(found) if found.clean => {
                found.id = if keeps { found.id } else { FsId::Uuid(uuid) };
            }
            Content::Formatted(_) => return Err(failed("the journal is not replayed").into()),
            _ => return Err(failed("no file system").into()),
        }
        state.act(format!("set the UUID of {}", device.name));
        Ok(!keeps)
    }

    fn grow(&self, device: &Device, fs: FsType, mounted_at: &Path) -> Result<(), HostError> {
        let mut state = self.call(Call::Grow)?;
        if fs == FsType::Vfat {
            return Err(FsError::CannotGrow { device: device.name.clone(), fs }.into());
        }
        let size_bytes = state.now(device)?.size_bytes;
        if let Content::Formatted(found) = state.content(device)? {
            found.size_bytes = size_bytes;
        }
        state.act(format!("grow the {fs} of {} at {}", device.name, mounted_at.display()));
        Ok(())
    }
}

impl Mounts for FakeMachine {
    fn mounts(&self) -> Result<MountTable, HostError> {
        let state = self.call(Call::Mounts)?;
        let lines = state.mounts.iter().map(|Mounted { device, target, fs, read_only }| {
            let (target, flag) = (target.display(), if *read_only { "ro" } else { "rw" });
            format!("40 22 {}:{} / {target} {flag} - {fs} none {flag}\n", device.0, device.1)
        });
        Ok(MountTable::parse(lines.collect::<String>().as_bytes()))
    }

    fn mount(
        &self,
        device: &Device,
        fs: FsType,
        target: &Path,
        options: &[String],
        read_only: bool,
    ) -> Result<(), HostError> {
        let mut state = self.call(Call::Mount)?;
        if state.unsupported.contains(&fs) {
            return Err(MountError::NoFileSystem { fs }.into());
        }
        if !state.targets.contains(target) {
            return Err(mount_error("the target is not there"));
        }
        match state.content(device)? {
            Content::Formatted(found) if found.fs == fs => found.clean |= !read_only,
            _ => return Err(mount_error("no such file system")),
        }
        let (target, mounted) = (target.to_owned(), number(device));
        let words = [vec![if read_only { "ro".into() } else { "rw".into() }], options.to_vec()].concat();
        state.act(format!("mount {} as {fs} at {} ({})", device.name, target.display(), words.join(",")));
        state.mounts.push(Mounted { device: mounted, target, fs: fs.as_str().into(), read_only });
        Ok(())
    }

    fn unmount(&self, target: &Path) -> Result<(), HostError> {
        let mut state = self.call(Call::Unmount)?;
        state.mounts.retain(|mount| mount.target != target);
        state.act(format!("unmount {}", target.display()));
        Ok(())
    }

    fn make_target(&self, target: &Path, block: bool) -> Result<(), HostError> {
        let mut state = self.call(Call::MakeTarget)?;
        state.targets.insert(target.to_owned());
        let kind = if block { "file" } else { "directory" };
        state.act(format!("make the {kind} {}", target.display()));
        Ok(())
    }

    fn block_device_at(&self, path: &Path) -> Result<Option<(u64, u64)>, HostError> {
        Ok(self.state.lock().nodes.get(path).copied())
    }
}
