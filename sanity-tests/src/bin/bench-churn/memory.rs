//! This process's memory.

use sanity_tests::rig::{Error, io};

/// MiB.
pub(crate) struct Memory {
    pub(crate) resident: f64,
    pub(crate) peak: f64,
}

impl Memory {
    pub(crate) fn now() -> Result<Self, Error> {
        let status = std::fs::read_to_string("/proc/self/status").map_err(io("/proc/self/status"))?;
        let mib = |key: &str| -> Option<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
        };
        let found = mib("VmRSS").zip(mib("VmHWM"));
        let found = found.ok_or_else(|| Error::check("/proc/self/status has no VmRSS or VmHWM"))?;
        Ok(Self { resident: found.0, peak: found.1 })
    }
}
