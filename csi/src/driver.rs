//! Every fixed name and number of the driver, each with where it comes from.

/// CSI driver name; fixed by the ECK user guide (4.13).
pub const DRIVER_NAME: &str = "eck.csi.k8s.io";

/// Topology key of a region; fixed by the guide's PV example, `esx` included.
pub const TOPOLOGY_REGION: &str = "topology.csi.esx.eck.ctyun.cn/region";

/// Value of `diskType` that stands for the pool's default cloud disk; fixed by the guide's PV example.
pub const DISK_TYPE_DEFAULT: &str = "cloud";

/// Key of the label of the disks that the controller orders; its value is the cluster id.
pub const DISK_LABEL: &str = "eck-csi";

/// Key of the label beside it, with the cluster's UID. Keys and values have room for 32 characters (ecx/API.md §3).
pub const CLUSTER_UID_LABEL: &str = "eck-csi-cluster-uid";

/// Bytes in a GiB. The cloud counts sizes in whole "GB", which are GiB (ecx/API.md B.1).
pub const GIB: u64 = 1 << 30;

/// Smallest disk, in GiB; guide 4.7.
pub const MIN_DISK_GIB: u64 = 20;

/// Largest disk, in GiB; EBS v4 limit of the first group of disk types (ecx/API.md §3).
pub const MAX_DISK_GIB: u64 = 32_768;

/// Data disks that one node can hold; guide 4.3 (up to 100 data disks per node).
pub const MAX_DISKS_PER_NODE: u32 = 100;

/// Longest string field that the CSI spec lets a plugin see, in bytes (spec, "Size Limits").
pub const MAX_FIELD_BYTES: usize = 128;

/// Longest node id, in bytes (spec, NodeGetInfoResponse.node_id).
pub const MAX_NODE_ID_BYTES: usize = 256;

/// Longest path, in bytes: `PATH_MAX` of Linux less the terminating zero.
pub const MAX_PATH_BYTES: usize = 4095;

/// Largest map field, in bytes of keys and values together (spec, "Size Limits").
pub const MAX_MAP_BYTES: usize = 4096;

/// Bytes of a serial that virtio-blk carries (`VIRTIO_BLK_ID_BYTES` of the Linux uapi header).
pub const VIRTIO_SERIAL_BYTES: usize = 20;
