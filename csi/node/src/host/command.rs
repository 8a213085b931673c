//! Runs the file system tools: the only place that starts a program.

use std::io::{self, Write as _};
use std::process::{Command, Output, Stdio};

use parking_lot::{Condvar, Mutex};

/// Tools that run at once: mkfs and fsck of large disks take memory, and dozens together have
/// killed drivers.
const AT_ONCE: usize = 4;

/// Bytes of a tool's words that are kept for an error: the end, where the reason stands.
const KEPT: usize = 600;

static RUNNING: Mutex<usize> = Mutex::new(0);
static FREE: Condvar = Condvar::new();

/// How a tool ended.
pub(super) struct ToolExit {
    /// Exit code; `None` if a signal ended it.
    pub(super) code: Option<i32>,
    /// `exit status: 1`, `signal: 9 (SIGKILL)`.
    pub(super) status: String,
    /// The end of what it wrote to both outputs.
    pub(super) output_tail: String,
}

/// Permission to run one tool.
struct Permit;

impl Permit {
    fn acquire() -> Self {
        let mut running = RUNNING.lock();
        while *running >= AT_ONCE {
            FREE.wait(&mut running);
        }
        *running += 1;
        Self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *RUNNING.lock() -= 1;
        FREE.notify_one();
    }
}

/// Runs `program` to its end. It gets no input, so that a question is answered with no.
pub(super) fn run(program: &str, args: &[&str]) -> io::Result<ToolExit> {
    run_with(program, args, b"").map(|(ended, _)| ended)
}

/// The same with an input, of which at most a pipe's 64 KiB; gives the whole standard output as well.
pub(super) fn run_with(program: &str, args: &[&str], input: &[u8]) -> io::Result<(ToolExit, Vec<u8>)> {
    let _permit = Permit::acquire();
    let mut command = Command::new(program);
    command.args(args).env("LC_ALL", "C");
    // Device mapper's library would wait for the machine's udev, which cannot answer into a container.
    command.env("DM_DISABLE_UDEV", "1");
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // Whoever ends without reading tells why by its status.
    let fed = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input));
    let output = child.wait_with_output()?;
    fed.or_else(|error| if output.status.success() { Err(error) } else { Ok(()) })?;
    let ended = ended(&output);
    Ok((ended, output.stdout))
}

fn ended(output: &Output) -> ToolExit {
    let mut words = String::from_utf8_lossy(&output.stdout).into_owned();
    words.push_str(&String::from_utf8_lossy(&output.stderr));
    let words = words.trim();
    let mut start = words.len().saturating_sub(KEPT);
    while !words.is_char_boundary(start) {
        start += 1;
    }
    ToolExit {
        code: output.status.code(),
        status: output.status.to_string(),
        output_tail: words[start..].to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_what_a_tool_says_is_kept() {
        let ended =
            run("sh", &["-c", "head -c 5000 /dev/zero | tr '\\0' x; echo the reason >&2; exit 3"]).unwrap();
        assert_eq!(ended.code, Some(3));
        assert!(
            ended.output_tail.ends_with("the reason") && ended.output_tail.len() == KEPT,
            "{}",
            ended.output_tail
        );
        assert!(run("no-such-tool", &[]).is_err());
    }

    #[test]
    fn an_input_is_read_and_the_whole_output_is_there() {
        let (ended, output) = run_with("sh", &["-c", "cat; head -c 5000 /dev/zero"], b"key").unwrap();
        assert_eq!((ended.code, output.len(), &output[..3]), (Some(0), 5003, &b"key"[..]));
        let (ended, _) = run_with("sh", &["-c", "exec <&-; exit 2"], &[b'x'; 60_000]).unwrap();
        assert_eq!(ended.code, Some(2));
    }
}
