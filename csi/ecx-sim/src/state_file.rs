//! The state on disk, which survives a restart.

use std::io;
use std::path::{Path, PathBuf};

use crate::world::World;

const NAME: &str = "state.json";

/// Why no state can be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The folder or the file.
    #[error("cannot read {0}")]
    Io(PathBuf, #[source] io::Error),
    /// The file is damaged.
    #[error("{0} is not the state of a simulator")]
    Parse(PathBuf, #[source] serde_json::Error),
}

/// The state in `folder`, which is made if need be; `None` if there is no state yet.
pub(crate) fn read(folder: &Path) -> Result<Option<World>, StateError> {
    std::fs::create_dir_all(folder).map_err(|e| StateError::Io(folder.to_owned(), e))?;
    let path = folder.join(NAME);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| StateError::Parse(path, e)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(StateError::Io(path, e)),
    }
}

/// Writes the state, so that a kill leaves the old one or the new one whole. A power loss need not: the simulator's cloud is gone
/// with it.
pub(crate) fn write(folder: &Path, world: &World) -> io::Result<()> {
    let state = serde_json::to_vec(world)?;
    atomic_file::place(&folder.join(NAME), |new| std::fs::write(new, &state))
}
