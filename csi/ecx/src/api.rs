//! Wire types of the nineteen operations of ecx/API.md B.3. Shapes are EBS v4's; unknown reply fields are ignored, optional
//! ones may be absent or null. Sizes are in GiB, times in epoch milliseconds unless said otherwise.

mod disk;
mod disk_list;
mod envelope;
mod instance;
mod lenient;
mod op;
mod order;
mod snapshot;

pub use disk::*;
pub use disk_list::DiskList;
pub use envelope::Envelope;
pub use instance::*;
pub use op::Op;
pub use order::*;
pub use snapshot::*;
