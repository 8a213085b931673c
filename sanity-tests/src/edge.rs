//! Virtual edge nodes: QEMU machines with the node program inside, into which the simulated cloud plugs disks.
//!
//! ```text
//!   sidecar ─▶ controller (this process) ─▶ ecx-sim ── QMP ──▶ QEMU: virtio disk
//!   kubelet ── TCP of QEMU's user network ──────────────────▶ eck-csi-node inside, by edge-agent
//! ```
//!
//! A power cut is SIGKILL to QEMU: what the guest had not yet written to its disk is lost, with its page cache. The disk itself
//! is a file of this machine in its page cache, so a write that the disk has taken is never lost: a disk that lies about its
//! write cache is not tried.

pub mod cases;
pub mod guest;
pub mod site;
