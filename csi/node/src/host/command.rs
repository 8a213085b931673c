//! Runs the file system tools: the only place that starts a program.

use std::io;
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};

/// Tools that run at once: mkfs and fsck of large disks take memory, and dozens together have killed drivers (anchors, R12).
const AT_ONCE: usize = 4;

/// Bytes of a tool's words that are kept for an error: the end, where the reason stands.
const KEPT: usize = 600;

static RUNNING: Mutex<usize> = Mutex::new(0);
static FREE: Condvar = Condvar::new();

/// How a tool ended.
pub(super) struct Ended {
    /// Exit code; `None` if a signal ended it.
    pub(super) code: Option<i32>,
    /// `exit status: 1`, `signal: 9 (SIGKILL)`.
    pub(super) status: String,
    /// The end of what it wrote to both outputs.
    pub(super) words: String,
}

struct Turn;

impl Turn {
    fn take() -> Self {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        while *running >= AT_ONCE {
            running = FREE.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
        *running += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        FREE.notify_one();
    }
}

/// Runs `program` to its end. It gets no input, so that a question is answered with no.
pub(super) fn run(program: &str, args: &[&str]) -> io::Result<Ended> {
    let _turn = Turn::take();
    let output = Command::new(program).args(args).env("LC_ALL", "C").stdin(Stdio::null()).output()?;
    let mut words = String::from_utf8_lossy(&output.stdout).into_owned();
    words.push_str(&String::from_utf8_lossy(&output.stderr));
    let words = words.trim();
    let mut start = words.len().saturating_sub(KEPT);
    while !words.is_char_boundary(start) {
        start += 1;
    }
    Ok(Ended {
        code: output.status.code(),
        status: output.status.to_string(),
        words: words[start..].to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_what_a_tool_says_is_kept() {
        let ended =
            run("sh", &["-c", "head -c 5000 /dev/zero | tr '\\0' x; echo the reason >&2; exit 3"]).unwrap();
        assert_eq!(ended.code, Some(3));
        assert!(ended.words.ends_with("the reason") && ended.words.len() == KEPT, "{}", ended.words);
        assert!(run("no-such-tool", &[]).is_err());
    }
}
