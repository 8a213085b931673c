//! This process's entry: taken at its first allocation, cleared by others once it is dead.

use ideal_gpu::accounting::layout::PROCESSES;

use super::damage::Damage;
use super::file::Accounting;
use super::fork_local::fork_local;
use super::process_entry::ProcessEntry;
use super::process_identity::ProcessIdentity;
use crate::log;

/// Why a process has no entry. It was logged.
#[derive(Debug)]
pub(crate) enum EntryError {
    /// It cannot get one.
    Refused,
    /// The file is damaged.
    Damaged,
}

impl From<Damage> for EntryError {
    fn from(_: Damage) -> Self {
        Self::Damaged
    }
}

impl Accounting {
    /// This process's entry. A child of `fork` takes one of its own.
    pub(crate) fn own_entry(&self) -> Result<ProcessEntry<'_>, EntryError> {
        self.check_file()?;
        let Some((number, check)) = fork_local().entry() else { return self.take_entry() };
        let entry = self.entry(number);
        if !entry.is_ours(check) {
            return Err(Damage::mark(self.mapping(), "the entry of this process was overwritten").into());
        }
        Ok(entry)
    }

    fn take_entry(&self) -> Result<ProcessEntry<'_>, EntryError> {
        let _lock = self.lock();
        // Another thread may have been faster.
        if let Some((number, _)) = fork_local().entry() {
            return Ok(self.entry(number));
        }
        self.clear_dead()?;
        let Some(process) = ProcessIdentity::of_this_process() else {
            log::error("/proc/self/stat cannot be read. CUDA is refused in this program");
            return Err(EntryError::Refused);
        };
        for number in 0..PROCESSES {
            let entry = self.entry(number);
            // A dying process may still hold the lock of an entry that was cleared: not this one.
            if !entry.is_free() || self.ofd_locks().is_held(number) {
                continue;
            }
            if let Some(check) = entry.publish(&process) {
                self.ofd_locks().hold(number);
                fork_local().set_entry(number, check);
                return Ok(entry);
            }
        }
        log::error(&format!(
            "{PROCESSES} processes of this container use CUDA, and there may be no more. CUDA is refused in this program"
        ));
        Err(EntryError::Refused)
    }
}
