//! What identifies a process, so that a later process with the same id is not taken for it.

use std::os::unix::fs::MetadataExt as _;

/// A process, or the program that a process was before `execve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessIdentity {
    pub(crate) pid: u64,
    /// In clock ticks since boot.
    pub(crate) start: u64,
    /// Inode of the PID namespace in which `pid` is meant.
    pub(crate) namespace: u64,
    /// Where the stack starts: it changes with `execve`. 0 if it may not be known.
    pub(crate) stack: u64,
}

impl ProcessIdentity {
    /// This process.
    pub(crate) fn of_this_process() -> Option<Self> {
        let pid = u64::from(std::process::id());
        let Stat { start, stack, .. } = stat(pid)?;
        Some(Self { pid, start, namespace: namespace()?, stack })
    }

    /// Whether it certainly is no more. One that cannot be seen from here counts as alive: memory that is counted too long does
    /// less harm than memory that is not counted.
    pub(crate) fn is_gone(&self) -> bool {
        if namespace() != Some(self.namespace) {
            return false;
        }
        match stat(self.pid) {
            Some(it) => {
                let other_program = self.stack != 0 && it.stack != 0 && it.stack != self.stack;
                // The driver takes the memory back when the last thread has closed the descriptors, and the first thread, by which
                // a process is known, is a zombie as soon as it has ended itself.
                let ended = matches!(it.state, b'Z' | b'X' | b'x') && it.threads <= 1;
                ended || it.start != self.start || other_program
            }
            None => !std::path::Path::new(&format!("/proc/{}", self.pid)).exists() && namespace().is_some(),
        }
    }
}

fn namespace() -> Option<u64> {
    Some(std::fs::metadata("/proc/self/ns/pid").ok()?.ino())
}

/// From the kernel: fields 3, 20, 22 and 28 of proc_pid_stat(5).
struct Stat {
    state: u8,
    threads: u64,
    start: u64,
    stack: u64,
}

fn stat(pid: u64) -> Option<Stat> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything.
    let after = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text.get(after + 2..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse().ok();
    let state = *fields.first()?.as_bytes().first()?;
    Some(Stat { state, threads: number(20)?, start: number(22)?, stack: number(28)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_until_it_ends_and_another_with_its_id_is_not_it() {
        let own = ProcessIdentity::of_this_process().unwrap();
        assert!(!own.is_gone());
        assert!(ProcessIdentity { start: own.start + 1, ..own }.is_gone(), "the id was given to another");
        assert!(ProcessIdentity { stack: own.stack + 16, ..own }.is_gone(), "it is another program now");
        assert!(
            !ProcessIdentity { namespace: own.namespace + 1, start: 1, ..own }.is_gone(),
            "nobody can tell from here"
        );
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = u64::from(child.id());
        let start = stat(pid).unwrap().start;
        let it = ProcessIdentity { pid, start, stack: 0, ..own };
        child.wait().unwrap();
        assert!(it.is_gone());
    }
}
