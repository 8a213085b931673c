//! The limits of this container, read once, at the first call.

use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::OnceLock;

use ideal_gpu::container_paths;
use ideal_gpu::limits::{Limits, MAX_BYTES};

use crate::log;

/// The limits. `None` where there are none that can be used: then CUDA is refused, and the reason was logged.
pub(crate) fn get() -> Option<&'static Limits> {
    static LIMITS: OnceLock<Option<Limits>> = OnceLock::new();
    let read = || match read() {
        Ok(limits) => Some(limits),
        Err(why) => {
            log::error(&format!("{}: {why}. CUDA is refused in this program", container_paths::LIMITS));
            None
        }
    };
    LIMITS.get_or_init(read).as_ref()
}

fn read() -> Result<Limits, String> {
    // Non-blocking: the path may be a pipe that nobody writes to.
    let file =
        std::fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open(container_paths::LIMITS);
    let file = file.map_err(|error| error.to_string())?;
    let mut text = Vec::new();
    // One byte more than is allowed, so that a file that is too long is noticed.
    file.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    Limits::parse(&text).map_err(|error| error.to_string())
}
