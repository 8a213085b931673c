//! Names and places in the state folder, of what containers have of it:
//!
//! | place | what |
//! |---|---|
//! | `containers/<pod uid>/<container>/` | what one container was created with |
//! | `slots/<slot>` | a link to the folder of the container that has the slot |
//! | `preload` | the list of libraries that every program of a container loads |

use std::path::{Path, PathBuf};

/// The limits in a container's folder.
pub(crate) const LIMITS_NAME: &str = "limits.json";

/// The accounting in a container's folder.
pub(crate) const REGION_NAME: &str = "region";

/// The library in a container's folder.
pub(crate) const LIBRARY_NAME: &str = "libvcuda.so";

/// The folder of the arbiter's socket in a container's folder.
pub(crate) const ARBITER_NAME: &str = "arbiter";

/// The folders of all pods.
pub(crate) fn containers_folder(state: &Path) -> PathBuf {
    state.join("containers")
}

/// The folders of a pod's containers.
pub(crate) fn pod_folder(state: &Path, uid: &str) -> PathBuf {
    containers_folder(state).join(uid)
}

/// The accounting of a container.
pub(crate) fn region(state: &Path, uid: &str, container: &str) -> PathBuf {
    pod_folder(state, uid).join(container).join(REGION_NAME)
}

/// The links of all slots.
pub(crate) fn slots_folder(state: &Path) -> PathBuf {
    state.join("slots")
}

/// The folder that is mounted for a slot; it stands for the container that holds the slot.
pub(crate) fn slot_folder(state: &Path, slot: &str) -> PathBuf {
    slots_folder(state).join(slot)
}

/// The file of limits that is mounted for a slot.
pub(crate) fn slot_limits(state: &Path, slot: &str) -> PathBuf {
    slot_folder(state, slot).join(LIMITS_NAME)
}

/// The list of libraries that every program of a container loads.
pub(crate) fn preload(state: &Path) -> PathBuf {
    state.join("preload")
}
