//! NVML's own types and numbers, as nvml.h (CUDA 13) has them.

use std::ffi::{c_char, c_uint, c_ulonglong};

/// What every call returns (`nvmlReturn_t`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NvmlError(pub(crate) c_uint);

impl NvmlError {
    pub(crate) const UNINITIALIZED: Self = Self(1);
    pub(crate) const INVALID_ARGUMENT: Self = Self(2);
    pub(crate) const NOT_SUPPORTED: Self = Self(3);
    pub(crate) const NOT_FOUND: Self = Self(6);
    pub(crate) const INSUFFICIENT_SIZE: Self = Self(7);
    pub(crate) const DRIVER_NOT_LOADED: Self = Self(9);
    pub(crate) const TIMEOUT: Self = Self(10);
    pub(crate) const GPU_IS_LOST: Self = Self(15);
    pub(crate) const ARGUMENT_VERSION_MISMATCH: Self = Self(25);
    pub(crate) const UNKNOWN: Self = Self(999);
}

/// What `nvmlErrorString` says. Ends with the NUL that C wants.
pub(crate) fn error_string(code: c_uint) -> &'static std::ffi::CStr {
    match code {
        0 => c"Success",
        1 => c"Uninitialized",
        2 => c"Invalid Argument",
        3 => c"Not Supported",
        4 => c"Insufficient Permissions",
        6 => c"Not Found",
        7 => c"Insufficient Size",
        9 => c"Driver Not Loaded",
        10 => c"Timeout",
        15 => c"GPU is lost",
        16 => c"GPU requires reset",
        18 => c"Driver/library version mismatch",
        19 => c"In use by another client",
        25 => c"Argument version mismatch",
        _ => c"Unknown Error",
    }
}

pub(crate) const EVENT_XID: c_ulonglong = 8;
pub(crate) const EVENT_MIG: c_ulonglong = 256;

/// `NVML_VALUE_NOT_AVAILABLE` in an unsigned number, and "no instance" in a process.
pub(crate) const NO_INSTANCE: c_uint = c_uint::MAX;

/// `NVML_FI_DEV_GET_GPU_RECOVERY_ACTION`
pub(crate) const FIELD_RECOVERY_ACTION: c_uint = 230;
/// `NVML_VALUE_TYPE_UNSIGNED_INT`
pub(crate) const VALUE_UNSIGNED_INT: c_uint = 1;

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct PciInfo {
    pub(crate) bus_id_legacy: [c_char; 16],
    pub(crate) domain: c_uint,
    pub(crate) bus: c_uint,
    pub(crate) device: c_uint,
    pub(crate) device_id: c_uint,
    pub(crate) subsystem_id: c_uint,
    pub(crate) bus_id: [c_char; 32],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) total: c_ulonglong,
    pub(crate) free: c_ulonglong,
    pub(crate) used: c_ulonglong,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct MemoryV2 {
    pub(crate) version: c_uint,
    pub(crate) total: c_ulonglong,
    pub(crate) reserved: c_ulonglong,
    pub(crate) free: c_ulonglong,
    pub(crate) used: c_ulonglong,
}

impl MemoryV2 {
    /// `NVML_STRUCT_VERSION(Memory, 2)`: the size, and the version in the highest byte.
    pub(crate) const VERSION: c_uint = size_of::<Self>() as c_uint | 2 << 24;
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Utilization {
    pub(crate) gpu: c_uint,
    pub(crate) memory: c_uint,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Process {
    pub(crate) pid: c_uint,
    pub(crate) used: c_ulonglong,
    pub(crate) gpu_instance: c_uint,
    pub(crate) compute_instance: c_uint,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct EventData {
    pub(crate) device: Handle,
    pub(crate) kind: c_ulonglong,
    pub(crate) data: c_ulonglong,
    pub(crate) gpu_instance: c_uint,
    pub(crate) compute_instance: c_uint,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct FieldValue {
    pub(crate) field: c_uint,
    pub(crate) scope: c_uint,
    pub(crate) timestamp: i64,
    pub(crate) latency: i64,
    pub(crate) kind: c_uint,
    pub(crate) code: c_uint,
    /// A union in C, of which the whole is eight bytes: an unsigned int is its first four.
    pub(crate) value: [c_uint; 2],
}

/// `nvmlDevice_t` and `nvmlEventSet_t`: pointers for C, here a number that is never followed. Null is none.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handle(pub(crate) usize);
