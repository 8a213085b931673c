//! Where the plugin puts files in a container.

/// The container's limits, see [`crate::limits`].
pub const LIMITS: &str = "/etc/ideal-gpu/limits.json";

/// The container's accounting, see [`crate::accounting`].
pub const ACCOUNTING: &str = "/etc/ideal-gpu/region";

/// Folder of one empty file for each card of the container, named by the card's UUID. The same inode is in every container
/// that shares the card: who holds the lock on it has the card's time slice.
pub const TIMESLICE_LOCKS: &str = "/etc/ideal-gpu/turn";

/// The library that holds a container to its limits.
pub const LIBRARY: &str = "/etc/ideal-gpu/libvcuda.so";

/// What the C library's loader loads into every program; ld.so(8).
pub const PRELOAD: &str = "/etc/ld.so.preload";
