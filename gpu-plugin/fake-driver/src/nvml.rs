//! A simulated `libnvidia-ml.so.1`, as far as `nvml-wrapper` and the plugin use it.

mod abi;
mod devices;
mod events;
mod ffi;
mod state;
mod system;
mod usage;
