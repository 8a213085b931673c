//! `eckctl` (as `kubectl-eck` it is `kubectl eck`): what a person does about volumes that went astray. Each command looks at
//! cluster and cloud, decides in a pure function, and acts only where it is told to.
//!
//! ```text
//! args ─▶ run ─▶ settings (where cloud and cluster are) ─▶ audit, adopt, explain, cloud_check, bundle   one command a file
//!           └─▶ agreement (is this cloud that cluster's)          └─▶ cluster, console
//! ```

pub mod adopt;
pub mod agreement;
pub mod args;
pub mod audit;
pub mod bundle;
pub mod cloud_check;
pub mod cluster;
pub mod console;
pub mod explain;
pub mod run;
pub mod settings;

pub use console::Ended;
pub use run::run;
