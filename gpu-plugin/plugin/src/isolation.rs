//! What holds a container to its limits: `libvcuda.so`, and how it comes into the container with the files that it needs.
//!
//! The library of the plugin's image is copied to `<state>/lib/libvcuda-<hash>.so`, which is never rewritten: programs have it
//! mapped. Each start of a container makes a hard link to the newest in the container's folder. So a running container keeps
//! the library that it began with whatever becomes of `lib`, the next start has the newest, and a CDI spec names neither.

use std::path::{Path, PathBuf};

use ideal_gpu::accounting::layout::FILE_BYTES;
use ideal_gpu::container_paths::{ACCOUNTING, ARBITER, LIBRARY, LIMITS, PRELOAD};
use sha2::{Digest as _, Sha256};

use crate::file::{self, WriteError};
use crate::state_layout::{ARBITER_NAME, LIBRARY_NAME, REGION_NAME, preload, slot_folder, slot_limits};

/// Hex digits of the content's hash in the library's name: 64 bits, so that two libraries never meet.
const DIGITS: usize = 16;

/// Why there is no library.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// It is not where the flag says.
    #[error("cannot read {path}; --libvcuda= for a node without isolation")]
    Read {
        /// Where the flag says it is.
        path: String,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// The state folder takes no file.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// How this node's containers are held to their limits.
#[derive(Debug, Clone, Default)]
pub struct Isolation {
    /// The library on the host. None: limits are written, and nothing holds a program to them.
    pub library: Option<PathBuf>,
    /// Memory that a full card has no room for is host memory.
    pub virtual_memory: bool,
    /// Compute that nobody else of the card wants may be used.
    pub work_conserving: bool,
    /// What each CUDA context is charged with, in MiB.
    pub context_mib: u64,
}

/// How the container has a file of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// It reads it.
    Read,
    /// It reads and writes it.
    Write,
    /// It runs it.
    Run,
}

/// A file of the host in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) path: String,
    pub(crate) host: PathBuf,
    pub(crate) access: Access,
}

/// Copies the library to where containers have it from, and removes those of earlier versions.
pub fn install(source: &Path, state: &Path) -> Result<PathBuf, InstallError> {
    let read = |error| InstallError::Read { path: source.display().to_string(), source: error };
    let content = std::fs::read(source).map_err(read)?;
    let digits: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("libvcuda-{}.so", digits.get(..DIGITS).unwrap_or_default());
    let folder = state.join("lib");
    file::folder(&folder)?;
    let path = folder.join(&name);
    file::put(&path, &content, 0o555)?;
    file::put(&preload(state), format!("{LIBRARY}\n").as_bytes(), 0o444)?;
    for other in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        if other.file_name() != *name {
            // What runs has links of its own.
            let _stays_until_the_next_start = std::fs::remove_file(other.path());
        }
    }
    Ok(path)
}

impl Isolation {
    /// What a container with these slots has, each path once: the slots of one container all lead to its folder.
    pub(crate) fn mounts(&self, state: &Path, slots: &[&str]) -> Vec<Mount> {
        let Some(slot) = slots.first() else { return Vec::new() };
        let mount = |path: &str, host, access| Mount { path: path.to_owned(), host, access };
        let mut mounts = vec![mount(LIMITS, slot_limits(state, slot), Access::Read)];
        if self.library.is_none() {
            return mounts;
        }
        let folder = slot_folder(state, slot);
        mounts.push(mount(ACCOUNTING, folder.join(REGION_NAME), Access::Write));
        mounts.push(mount(ARBITER, folder.join(ARBITER_NAME), Access::Read));
        mounts.push(mount(LIBRARY, folder.join(LIBRARY_NAME), Access::Run));
        // Last: from here on every program of the container loads what stands there.
        mounts.push(mount(PRELOAD, preload(state), Access::Read));
        mounts
    }

    /// Makes what the library needs in the folder of a container that is about to start.
    pub(crate) fn prepare(&self, folder: &Path) -> Result<(), WriteError> {
        let Some(library) = &self.library else { return Ok(()) };
        // Another inode each time: what may be left of the container's last life counts in its own.
        file::replace(&folder.join(REGION_NAME), &[0; FILE_BYTES], 0o666)?;
        // The arbiter's socket is made in it, anew whenever the plugin begins.
        file::folder(&folder.join(ARBITER_NAME))?;
        file::hard_link(&folder.join(LIBRARY_NAME), library)
    }
}

#[cfg(test)]
mod tests;
