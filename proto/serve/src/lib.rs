//! Everything a server of our protocols needs, whatever it serves: sockets, shutdown, logs, metrics, traces, the layer around
//! each RPC, the admin port, and a text from a service of this machine. Nothing of CSI, GPUs or clouds is known here.

pub mod admin;
pub mod authority;
pub mod code;
pub mod fetch;
pub mod grpc;
pub mod layer;
pub mod metrics;
pub mod program;
pub mod shutdown;
pub mod telemetry;
pub mod traces;
pub mod uds;

pub use error_report as chain;
