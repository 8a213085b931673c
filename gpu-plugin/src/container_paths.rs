//! Where the plugin puts files in a container.

/// The container's limits, see [`crate::limits`].
pub const LIMITS: &str = "/etc/ideal-gpu/limits.json";

/// The container's accounting, see [`crate::accounting`].
pub const ACCOUNTING: &str = "/etc/ideal-gpu/region";

/// Folder of the socket by which the container's processes ask the node's arbiter for the cards, see [`crate::arbiter_protocol`].
pub const ARBITER: &str = "/etc/ideal-gpu/arbiter";

/// The socket in that folder. The arbiter makes it anew when it begins, so the folder is what is mounted.
pub const ARBITER_SOCKET: &str = "socket";

/// The library that holds a container to its limits.
pub const LIBRARY: &str = "/etc/ideal-gpu/libvcuda.so";

/// What the C library's loader loads into every program; ld.so(8).
pub const PRELOAD: &str = "/etc/ld.so.preload";
