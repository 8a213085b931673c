//! Who a process is, so that a slot can be told from that of one that had the same id before.

use std::os::unix::fs::MetadataExt as _;

/// A process, or the program that a process was before `execve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) pid: u64,
    /// In clock ticks since boot.
    pub(crate) start: u64,
    /// Inode of the PID namespace in which `pid` is meant.
    pub(crate) namespace: u64,
    /// Where the stack starts: it changes with `execve`. 0 if it may not be known.
    pub(crate) stack: u64,
}

impl Identity {
    /// This process.
    pub(crate) fn own() -> Option<Self> {
        let (_, start, stack) = stat(u64::from(std::process::id()))?;
        Some(Self { pid: u64::from(std::process::id()), start, namespace: namespace()?, stack })
    }

    /// Whether it certainly is no more. One that cannot be seen from here counts as alive: memory that is counted too long does
    /// less harm than memory that is not counted.
    pub(crate) fn gone(&self) -> bool {
        if namespace() != Some(self.namespace) {
            return false;
        }
        match stat(self.pid) {
            // A zombie's descriptors are closed, so the driver has taken its memory back.
            Some((state, start, stack)) => {
                let other_program = self.stack != 0 && stack != 0 && stack != self.stack;
                matches!(state, b'Z' | b'X' | b'x') || start != self.start || other_program
            }
            None => !std::path::Path::new(&format!("/proc/{}", self.pid)).exists() && namespace().is_some(),
        }
    }
}

fn namespace() -> Option<u64> {
    Some(std::fs::metadata("/proc/self/ns/pid").ok()?.ino())
}

/// State, start time and start of the stack of a process: fields 3, 22 and 28 of proc_pid_stat(5).
fn stat(pid: u64) -> Option<(u8, u64, u64)> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything.
    let after = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text.get(after + 2..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse().ok();
    Some((*fields.first()?.as_bytes().first()?, number(22)?, number(28)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_until_it_ends_and_another_with_its_id_is_not_it() {
        let own = Identity::own().unwrap();
        assert!(!own.gone());
        assert!(Identity { start: own.start + 1, ..own }.gone(), "the id was given to another");
        assert!(Identity { stack: own.stack + 16, ..own }.gone(), "it is another program now");
        assert!(
            !Identity { namespace: own.namespace + 1, start: 1, ..own }.gone(),
            "nobody can tell from here"
        );
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = u64::from(child.id());
        let (_, start, _) = stat(pid).unwrap();
        let it = Identity { pid, start, stack: 0, ..own };
        child.wait().unwrap();
        assert!(it.gone());
    }
}
