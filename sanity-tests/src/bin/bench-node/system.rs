//! This machine: its programs, its cores and its load.

use std::process::{Command, Output};

use sanity_tests::rig::{Error, io};

/// Runs a program to its end; an error unless it succeeds.
pub(crate) fn run(program: &str, args: &[&str]) -> Result<Output, Error> {
    let output = Command::new(program).args(args).env("LC_ALL", "C").output().map_err(io(program))?;
    if output.status.success() {
        return Ok(output);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Check(format!("{program} {args:?}: {}: {stderr}", output.status)))
}

/// The cores that this process may use, as the kernel writes them: `0-1`.
pub(crate) fn cores() -> Result<String, Error> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(io("/proc/self/status"))?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    Ok(list.unwrap_or_default().trim().to_owned())
}

/// The load average of the last minute.
pub(crate) fn load_average() -> Result<String, Error> {
    let text = std::fs::read_to_string("/proc/loadavg").map_err(io("/proc/loadavg"))?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}
