//! LUKS2: the only user of cryptsetup and device mapper. The program and not libcryptsetup, whose bindings are unsafe code, and which
//! has no say over the order in which a header reaches the disk.
//!
//! A volume's mapping is called `eck-` and the disk's id, so that it is found again by name whatever became of the disk or of
//! this program. A key goes to cryptsetup by its standard input, or by a file that is in memory only.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;

use eck_csi::volume::DiskId;
use nix::sys::memfd::{MFdFlags, memfd_create};
use parking_lot::Mutex;
use uuid::Uuid;

use super::command::{self, ToolExit};
use super::content::{Content, Depth, sampled};
use super::device::{Device, Mapping};
use super::error::{DeviceError, HostError, LuksError};
use super::opened::{self, Opened};
use super::sysfs::{MAPPING_PREFIX, Sysfs};
use crate::key::Key;

pub mod header;
mod layout;

pub use header::Header;

/// Memory of a key's derivation in KiB, passes over it, and threads. A quarter of the node container's limit, and above what
/// OWASP asks of argon2id (19 MiB, two passes); RFC 9106 would have 64 MiB and three. cryptsetup allows no fewer passes than four.
const DERIVATION: [&str; 8] = [
    "--pbkdf",
    "argon2id",
    "--pbkdf-memory",
    "32768",
    "--pbkdf-force-iterations",
    "4",
    "--pbkdf-parallel",
    "1",
];

/// Keys are derived one at a time, for the memory that it takes.
static DERIVING: Mutex<()> = Mutex::new(());

/// The mark of an unused volume, as LUKS2 keeps it.
fn fresh_token() -> String {
    format!(r#"{{"type":"{}","keyslots":[]}}"#, header::FRESH)
}

/// What a new header is to be like. It says that nobody has used the volume.
pub struct NewHeader<'a> {
    /// Its identity, derived from the volume's id; see `fsid`.
    pub(crate) uuid: Uuid,
    /// What opens it.
    pub(crate) key: &'a Key,
    /// How much of the disk must read as zero before it counts as blank.
    pub(crate) depth: Depth,
}

/// How a mapping is made.
#[derive(Debug, Clone, Copy)]
pub struct MappingOptions {
    /// Nobody may write.
    pub read_only: bool,
    /// Freed space is told to the disk, which then shows where there is data and where not.
    pub discards: bool,
}

/// The machine's encrypted disks; see [`super::machine::Encryption`] for what each method does.
pub(super) struct Luks<'a>(&'a Sysfs);

fn mapping_name(disk: &DiskId) -> String {
    format!("{MAPPING_PREFIX}{disk}")
}

/// The output of an action that ended well.
fn require_success(
    action: &'static str,
    device: &Device,
    ended: (ToolExit, Vec<u8>),
) -> Result<Vec<u8>, LuksError> {
    match ended {
        (ToolExit { code: Some(0), .. }, output) => Ok(output),
        (ended, _) => Err(tool_error(action, device, ended)),
    }
}

fn tool_error(action: &'static str, device: &Device, ended: ToolExit) -> LuksError {
    LuksError::Tool { action, device: device.name.clone(), status: ended.status, stderr: ended.output_tail }
}

fn memory_error(device: &Device, what: &str) -> impl FnOnce(io::Error) -> DeviceError {
    let what = format!("{what} in memory, for {}", device.name);
    move |source| DeviceError::Io { what, source }
}

/// A file that is in memory only.
fn memfd(device: &Device, what: &'static str) -> Result<File, DeviceError> {
    let made = memfd_create(c"eck-csi-luks", MFdFlags::MFD_CLOEXEC);
    made.map(File::from).map_err(|errno| memory_error(device, what)(errno.into()))
}

/// The same, with these bytes in it.
fn memfd_with(device: &Device, what: &'static str, bytes: &[u8]) -> Result<File, DeviceError> {
    let mut file = memfd(device, what)?;
    file.write_all(bytes).map_err(memory_error(device, what))?;
    Ok(file)
}

/// The path by which another program opens it. By number of this process: the other one's own table has it not.
fn path_of(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// cryptsetup, without questions and without locks: what runs on one disk here follows each other, and no lock of a container
/// is seen outside of it.
fn cryptsetup(action: &'static str, args: &[&str], input: &[u8]) -> Result<(ToolExit, Vec<u8>), LuksError> {
    let _one = (!input.is_empty()).then(|| DERIVING.lock());
    let args =
        [action.split(' ').collect::<Vec<_>>(), vec!["--batch-mode", "--disable-locks"], args.to_vec()];
    command::run_with("cryptsetup", &args.concat(), input).map_err(|source| LuksError::NoTool { source })
}

impl<'a> Luks<'a> {
    pub(super) fn new(sysfs: &'a Sysfs) -> Self {
        Self(sysfs)
    }

    /// The disk's mapping, wherever it lies.
    pub(super) fn mapping(&self, disk: &DiskId) -> Result<Option<Mapping>, DeviceError> {
        self.0.mapping(&mapping_name(disk))
    }

    /// Runs an action on the disk, which stays the same one all the while; it ends well or has failed.
    fn run(
        &self,
        action: &'static str,
        disk: &Device,
        options: &[&str],
        more: &[&str],
        input: &[u8],
    ) -> Result<Vec<u8>, HostError> {
        // Open until the end: so long no other disk can get this one's number or name.
        let _opened = Opened::direct(disk)?;
        self.0.recheck(disk)?;
        let path = disk.path.to_string_lossy();
        let ended = cryptsetup(action, &[options, &[path.as_ref()], more].concat(), input)?;
        self.0.recheck(disk)?;
        // cryptsetup(8), RETURN CODES: 2 is no permission, a bad passphrase.
        if ended.0.code == Some(2) && !input.is_empty() {
            return Err(LuksError::WrongKey { device: disk.name.clone() }.into());
        }
        Ok(require_success(action, disk, ended)?)
    }

    /// What the disk's header says. Of two headers of which one is damaged cryptsetup mends the other.
    pub(super) fn header(&self, disk: &Device) -> Result<Header, HostError> {
        let uuid = self.run("luksUUID", disk, &[], &[], b"")?;
        let json = self.run("luksDump", disk, &["--dump-json-metadata"], &[], b"")?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Header::parse(&text(uuid), &text(json))
            .map_err(|source| LuksError::Header { device: disk.name.clone(), source }.into())
    }

    /// Makes the header of a disk that is blank, or on which this very header was begun; see `layout`.
    pub(super) fn make_header(&self, disk: &Device, new: &NewHeader<'_>) -> Result<(), HostError> {
        let opened = Opened::direct(disk)?;
        let now = self.0.recheck(disk)?;
        if opened::in_use(&now)? {
            return Err(LuksError::InUse { device: disk.name.clone() }.into());
        }
        let content = opened.probe(&now, new.depth)?;
        if content != Content::Blank && content != Content::Begun(new.uuid) {
            let found = content.refusal().what;
            return Err(LuksError::NotBlank { device: disk.name.clone(), found }.into());
        }
        let image = header_image(disk, new)?;
        let file = opened::exclusive(&self.0.recheck(disk)?)?;
        layout::write(&file, &image, new.uuid).map_err(opened::failed(disk, "write to"))?;
        self.0.recheck(disk)?;
        Ok(())
    }

    /// Gives a copy's header the identity of its volume.
    pub(super) fn set_header_uuid(&self, disk: &Device, uuid: Uuid) -> Result<(), HostError> {
        self.run("luksUUID", disk, &["--uuid", &uuid.to_string()], &[], b"").map(drop)
    }

    /// Whether the key opens a slot.
    pub(super) fn opens(&self, disk: &Device, key: &Key) -> Result<bool, HostError> {
        let options = ["--type", "luks2", "--test-passphrase", "--key-file", "-"];
        match self.run("open", disk, &options, &[], key.bytes()) {
            Ok(_) => Ok(true),
            Err(HostError::Luks(LuksError::WrongKey { .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Adds the key `to`, which `from` allows.
    pub(super) fn add_key(&self, disk: &Device, from: &Key, to: &Key) -> Result<(), HostError> {
        let file = memfd_with(disk, "keep a key", to.bytes())?;
        let options = [&["--key-file", "-"][..], &DERIVATION].concat();
        self.run("luksAddKey", disk, &options, &[&path_of(&file)], from.bytes()).map(drop)
    }

    /// Takes the key's slot away. Another one must be known to open the volume: cryptsetup would take the last as well.
    pub(super) fn remove_key(&self, disk: &Device, key: &Key) -> Result<(), HostError> {
        self.run("luksRemoveKey", disk, &["--key-file", "-"], &[], key.bytes()).map(drop)
    }

    /// Takes a token away.
    pub(super) fn remove_token(&self, disk: &Device, id: u32) -> Result<(), HostError> {
        self.run("token remove", disk, &["--token-id", &id.to_string()], &[], b"").map(drop)
    }

    /// Makes the copy of the header what the header is.
    pub(super) fn copy_header(&self, disk: &Device) -> Result<(), HostError> {
        let file = opened::shared(&self.0.recheck(disk)?)?;
        Ok(layout::copy(&file).map_err(opened::failed(disk, "write to"))?)
    }

    /// Opens the volume; gives its mapping.
    pub(super) fn open(
        &self,
        disk: &Device,
        id: &DiskId,
        key: &Key,
        options: MappingOptions,
    ) -> Result<Device, HostError> {
        // The volume's key stays in the table of the mapping and not in a kernel keyring, which a container may not have, and
        // without which growing needs no key again. Whoever may read the table may read the disk.
        let mut flags = vec!["--type", "luks2", "--disable-keyring", "--key-file", "-"];
        flags.extend(options.read_only.then_some("--readonly"));
        flags.extend(options.discards.then_some("--allow-discards"));
        self.run("open", disk, &flags, &[&mapping_name(id)], key.bytes())?;
        let mapping = self.mapping(id)?.filter(|mapping| mapping.lies_on(disk));
        let unproven =
            || LuksError::Unproven { device: disk.name.clone(), what: "has no mapping".to_owned() }.into();
        mapping.map(|mapping| mapping.device).ok_or_else(unproven)
    }

    /// Closes a mapping that nobody uses; its disk may be gone.
    pub(super) fn close(&self, mapping: &Mapping) -> Result<(), HostError> {
        let device = &mapping.device;
        if opened::in_use(device)? {
            return Err(LuksError::InUse { device: mapping.name.clone() }.into());
        }
        let (ended, _) = cryptsetup("close", &[&mapping.name], b"")?;
        if self.0.mapping(&mapping.name)?.is_none() {
            return Ok(());
        }
        Err(tool_error("close", device, ended).into())
    }

    /// Makes a mapping as large as its disk is now; gives it.
    pub(super) fn resize(&self, mapping: &Mapping) -> Result<Device, HostError> {
        require_success("resize", &mapping.device, cryptsetup("resize", &[&mapping.name], b"")?)?;
        Ok(self.0.recheck(&mapping.device)?)
    }

    /// Makes a mapping blank that nobody has ever used: what has never been written decrypts to noise.
    pub(super) fn blank(&self, mapping: &Device) -> Result<(), HostError> {
        let file = opened::exclusive(&self.0.recheck(mapping)?)?;
        let zeros = vec![0; 64 << 10];
        let wipe = || {
            for place in sampled(mapping.size_bytes) {
                let mut at = place.start;
                while at < place.end {
                    let bytes = usize::try_from(place.end - at).unwrap_or(zeros.len()).min(zeros.len());
                    file.write_all_at(&zeros[..bytes], at)?;
                    at += bytes as u64;
                }
            }
            file.sync_all()
        };
        Ok(wipe().map_err(opened::failed(mapping, "write to"))?)
    }
}

/// A whole header, made in memory.
fn header_image(disk: &Device, new: &NewHeader<'_>) -> Result<Vec<u8>, HostError> {
    let mut file = memfd(disk, "make a LUKS2 header")?;
    // Beyond where the data begins there must be some.
    file.set_len(2 * layout::DATA_AT).map_err(memory_error(disk, "make a LUKS2 header"))?;
    let path = path_of(&file);
    let (metadata, slots) = ((layout::HEADER - layout::KEYSLOTS) / 2, layout::KEYSLOTS);
    let (uuid, metadata, slots) =
        (new.uuid.to_string(), format!("{}k", metadata >> 10), format!("{}k", slots >> 10));
    // In sectors of 512 bytes; so are the disk's own, so that what runs in the clear runs encrypted as well.
    let offset = (layout::DATA_AT / 512).to_string();
    let options = [
        &["--type", "luks2", "--key-file", "-", "--uuid", &uuid, "--offset", &offset, "--sector-size", "512"]
            [..],
        &["--cipher", "aes-xts-plain64", "--key-size", "512", "--hash", "sha256"],
        &["--luks2-metadata-size", &metadata, "--luks2-keyslots-size", &slots],
        &DERIVATION,
        &[&path],
    ];
    require_success("luksFormat", disk, cryptsetup("luksFormat", &options.concat(), new.key.bytes())?)?;
    let token = memfd_with(disk, "keep a token", fresh_token().as_bytes())?;
    let imported = cryptsetup("token import", &["--json-file", &path_of(&token), &path], b"")?;
    require_success("token import", disk, imported)?;
    let mut header = vec![0; usize::try_from(layout::HEADER).unwrap_or_default()];
    file.rewind()
        .and_then(|()| file.read_exact(&mut header))
        .map_err(memory_error(disk, "make a LUKS2 header"))?;
    Ok(header)
}

#[cfg(test)]
mod tests;
