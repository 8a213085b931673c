//! LUKS2: the only user of cryptsetup and device mapper.
//!
//! A volume's mapping is called `eck-` and the disk's id, so that it is found again by name whatever became of the disk or of
//! this program. A key goes to cryptsetup by its standard input, or by a file that is in memory only.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, PoisonError};

use eck_csi::volume::DiskId;
use nix::sys::memfd::{MFdFlags, memfd_create};
use uuid::Uuid;

use super::command::{self, Ended};
use super::content::{Content, Depth, sampled};
use super::device::{self, Opened};
use super::error::{DeviceError, LuksError};
use super::filesystem::recheck;
use super::sysfs::Sysfs;
use super::{Device, Mapping};
use crate::key::Key;

pub mod header;
mod layout;

pub use header::Header;

/// Begins the names of all mappings.
pub(super) const PREFIX: &str = "eck-";

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
fn fresh() -> String {
    format!(r#"{{"type":"{}","keyslots":[]}}"#, header::FRESH)
}

/// What a new header is to be like. It says that nobody has used the volume.
pub(crate) struct New<'a> {
    /// Its identity, derived from the volume's id; see `fsid`.
    pub(crate) uuid: Uuid,
    /// What opens it.
    pub(crate) key: &'a Key,
    /// How much of the disk must read as zero before it counts as blank.
    pub(crate) depth: Depth,
}

/// How a mapping is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    /// Nobody may write.
    pub(crate) read_only: bool,
    /// Freed space is told to the disk, which then shows where there is data and where not.
    pub(crate) discards: bool,
}

/// The machine's encrypted disks.
#[derive(Debug, Clone)]
pub struct Luks {
    sysfs: Sysfs,
}

fn name(disk: &DiskId) -> String {
    format!("{PREFIX}{disk}")
}

/// The output of an action that ended well.
fn well(action: &'static str, device: &Device, ended: (Ended, Vec<u8>)) -> Result<Vec<u8>, LuksError> {
    match ended {
        (Ended { code: Some(0), .. }, output) => Ok(output),
        (ended, _) => Err(failure(action, device, ended)),
    }
}

fn failure(action: &'static str, device: &Device, ended: Ended) -> LuksError {
    LuksError::Tool { action, device: device.name.clone(), status: ended.status, stderr: ended.words }
}

fn memory(device: &Device, what: &str) -> impl FnOnce(io::Error) -> LuksError {
    let what = format!("{what} in memory, for {}", device.name);
    move |source| DeviceError::Io { what, source }.into()
}

/// A file that is in memory only.
fn memfd(device: &Device, what: &'static str) -> Result<File, LuksError> {
    let made = memfd_create(c"eck-csi-luks", MFdFlags::MFD_CLOEXEC);
    made.map(File::from).map_err(|errno| memory(device, what)(errno.into()))
}

/// The same, with these bytes in it.
fn kept(device: &Device, what: &'static str, bytes: &[u8]) -> Result<File, LuksError> {
    let mut file = memfd(device, what)?;
    file.write_all(bytes).map_err(memory(device, what))?;
    Ok(file)
}

/// The path by which another program opens it. By number of this process: the other one's own table has it not.
fn path_of(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// cryptsetup, without questions and without locks: what runs on one disk here follows each other, and no lock of a container
/// is seen outside of it.
fn cryptsetup(action: &'static str, args: &[&str], input: &[u8]) -> Result<(Ended, Vec<u8>), LuksError> {
    let _one = (!input.is_empty()).then(|| DERIVING.lock().unwrap_or_else(PoisonError::into_inner));
    let args =
        [action.split(' ').collect::<Vec<_>>(), vec!["--batch-mode", "--disable-locks"], args.to_vec()];
    command::run_with("cryptsetup", &args.concat(), input).map_err(|source| LuksError::NoTool { source })
}

impl Luks {
    pub(super) fn new(sysfs: Sysfs) -> Self {
        Self { sysfs }
    }

    /// The disk's mapping, wherever it lies.
    pub(crate) fn mapping(&self, disk: &DiskId) -> Result<Option<Mapping>, DeviceError> {
        self.sysfs.mapping(&name(disk))
    }

    /// The disk's mapping, if it lies on `device`.
    pub(crate) fn on(&self, disk: &DiskId, device: &Device) -> Result<Option<Mapping>, DeviceError> {
        Ok(self.mapping(disk)?.filter(|mapping| mapping.lies_on(device)))
    }

    /// What carries the volume's content: the mapping on `device`, or, where there is none, the device itself.
    pub(crate) fn top(&self, disk: &DiskId, device: &Device) -> Result<Device, DeviceError> {
        Ok(self.on(disk, device)?.map_or_else(|| device.clone(), |mapping| mapping.device))
    }

    /// Runs an action on the disk, which stays the same one all the while; it ends well or has failed.
    fn done(
        &self,
        action: &'static str,
        disk: &Device,
        options: &[&str],
        more: &[&str],
        input: &[u8],
    ) -> Result<Vec<u8>, LuksError> {
        // Open until the end: so long no other disk can get this one's number or name.
        let _opened = Opened::direct(disk)?;
        recheck(&self.sysfs, disk)?;
        let path = disk.path.to_string_lossy();
        let ended = cryptsetup(action, &[options, &[path.as_ref()], more].concat(), input)?;
        recheck(&self.sysfs, disk)?;
        // cryptsetup(8), RETURN CODES: 2 is no permission, a bad passphrase.
        if ended.0.code == Some(2) && !input.is_empty() {
            return Err(LuksError::WrongKey { device: disk.name.clone() });
        }
        well(action, disk, ended)
    }

    /// What the disk's header says. Of two headers of which one is damaged cryptsetup mends the other.
    pub(crate) fn header(&self, disk: &Device) -> Result<Header, LuksError> {
        let uuid = self.done("luksUUID", disk, &[], &[], b"")?;
        let json = self.done("luksDump", disk, &["--dump-json-metadata"], &[], b"")?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Header::parse(&text(uuid), &text(json))
            .map_err(|source| LuksError::Header { device: disk.name.clone(), source })
    }

    /// Makes the header of a disk that is blank, or on which this very header was begun; see `layout`.
    pub(crate) fn make(&self, disk: &Device, new: &New<'_>) -> Result<(), LuksError> {
        let opened = Opened::direct(disk)?;
        let now = recheck(&self.sysfs, disk)?;
        if device::in_use(&now)? {
            return Err(LuksError::InUse { device: disk.name.clone() });
        }
        match opened.probe(&now, new.depth)? {
            Content::Blank => {}
            Content::Begun(uuid) if uuid == new.uuid => {}
            other => {
                return Err(LuksError::NotBlank { device: disk.name.clone(), found: other.refusal().what });
            }
        }
        let image = image(disk, new)?;
        let file = device::exclusive(&recheck(&self.sysfs, disk)?)?;
        layout::write(&file, &image, new.uuid).map_err(device::failed(disk, "write to"))?;
        recheck(&self.sysfs, disk)?;
        Ok(())
    }

    /// Gives a copy's header the identity of its volume.
    pub(crate) fn set_uuid(&self, disk: &Device, uuid: Uuid) -> Result<(), LuksError> {
        self.done("luksUUID", disk, &["--uuid", &uuid.to_string()], &[], b"").map(drop)
    }

    /// Whether the key opens a slot.
    pub(crate) fn opens(&self, disk: &Device, key: &Key) -> Result<bool, LuksError> {
        let options = ["--type", "luks2", "--test-passphrase", "--key-file", "-"];
        match self.done("open", disk, &options, &[], key.bytes()) {
            Ok(_) => Ok(true),
            Err(LuksError::WrongKey { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Adds the key `to`, which `from` allows.
    pub(crate) fn add_key(&self, disk: &Device, from: &Key, to: &Key) -> Result<(), LuksError> {
        let file = kept(disk, "keep a key", to.bytes())?;
        let options = [&["--key-file", "-"][..], &DERIVATION].concat();
        self.done("luksAddKey", disk, &options, &[&path_of(&file)], from.bytes()).map(drop)
    }

    /// Takes the key's slot away. Another one must be known to open the volume: cryptsetup would take the last as well.
    pub(crate) fn remove_key(&self, disk: &Device, key: &Key) -> Result<(), LuksError> {
        self.done("luksRemoveKey", disk, &["--key-file", "-"], &[], key.bytes()).map(drop)
    }

    /// Takes a token away.
    pub(crate) fn remove_token(&self, disk: &Device, id: u32) -> Result<(), LuksError> {
        self.done("token remove", disk, &["--token-id", &id.to_string()], &[], b"").map(drop)
    }

    /// Makes the copy of the header what the header is.
    pub(crate) fn copy(&self, disk: &Device) -> Result<(), LuksError> {
        let file = device::shared(&recheck(&self.sysfs, disk)?)?;
        Ok(layout::copy(&file).map_err(device::failed(disk, "write to"))?)
    }

    /// Opens the volume; gives its mapping.
    pub(crate) fn open(&self, disk: &Device, id: &DiskId, key: &Key, how: How) -> Result<Device, LuksError> {
        // The volume's key stays in the table of the mapping and not in a kernel keyring, which a container may not have, and
        // without which growing needs no key again. Whoever may read the table may read the disk.
        let mut options = vec!["--type", "luks2", "--disable-keyring", "--key-file", "-"];
        options.extend(how.read_only.then_some("--readonly"));
        options.extend(how.discards.then_some("--allow-discards"));
        self.done("open", disk, &options, &[&name(id)], key.bytes())?;
        let mapping = self.on(id, disk)?;
        let unproven =
            || LuksError::Unproven { device: disk.name.clone(), what: "has no mapping".to_owned() };
        mapping.map(|mapping| mapping.device).ok_or_else(unproven)
    }

    /// Closes a mapping that nobody uses; its disk may be gone.
    pub(crate) fn close(&self, mapping: &Mapping) -> Result<(), LuksError> {
        let device = &mapping.device;
        if device::in_use(device)? {
            return Err(LuksError::InUse { device: mapping.name.clone() });
        }
        let (ended, _) = cryptsetup("close", &[&mapping.name], b"")?;
        if self.sysfs.mapping(&mapping.name)?.is_none() {
            return Ok(());
        }
        Err(failure("close", device, ended))
    }

    /// Makes a mapping as large as its disk is now; gives it.
    pub(crate) fn stretch(&self, mapping: &Mapping) -> Result<Device, LuksError> {
        well("resize", &mapping.device, cryptsetup("resize", &[&mapping.name], b"")?)?;
        Ok(recheck(&self.sysfs, &mapping.device)?)
    }

    /// Makes a mapping blank that nobody has ever used: what has never been written decrypts to noise.
    pub(crate) fn blank(&self, mapping: &Device) -> Result<(), LuksError> {
        let file = device::exclusive(&recheck(&self.sysfs, mapping)?)?;
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
        Ok(wipe().map_err(device::failed(mapping, "write to"))?)
    }
}

/// A whole header, made in memory.
fn image(disk: &Device, new: &New<'_>) -> Result<Vec<u8>, LuksError> {
    let mut file = memfd(disk, "make a LUKS2 header")?;
    // Beyond where the data begins there must be some.
    file.set_len(2 * layout::DATA_AT).map_err(memory(disk, "make a LUKS2 header"))?;
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
    well("luksFormat", disk, cryptsetup("luksFormat", &options.concat(), new.key.bytes())?)?;
    let token = kept(disk, "keep a token", fresh().as_bytes())?;
    let imported = cryptsetup("token import", &["--json-file", &path_of(&token), &path], b"")?;
    well("token import", disk, imported)?;
    let mut header = vec![0; usize::try_from(layout::HEADER).unwrap_or_default()];
    file.rewind().and_then(|()| file.read_exact(&mut header)).map_err(memory(disk, "make a LUKS2 header"))?;
    Ok(header)
}

#[cfg(test)]
mod tests;
