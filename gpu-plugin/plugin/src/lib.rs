//! The node half of ideal-gpu: offers the machine's cards to the kubelet, steers it to the cards that were decided, and hands
//! each container exactly its slices.
//!
//! | module | what |
//! |---|---|
//! | `args`, `run` | flags; puts everything together |
//! | `driver` | the cards, seen from a thread of their own |
//! | `resource`, `devices` | the two kubelet resources and their lists |
//! | `kubelet` | sockets and registration |
//! | `service` | the device plugin service: parse, operate, reply |
//! | `lister` | the kubelet's pod-resources API: who holds what |
//! | `book`, `store` | the node's pods and their decisions, in memory and on disk |
//! | `identity` | pure: which container is asked for |
//! | `prefer` | GetPreferredAllocation: which ids |
//! | `prestart` | PreStartContainer: who it is, what it gets |
//! | `own` | pure: decisions of the node itself, where no scheduler has decided |
//! | `cdi`, `limits`, `file` | what a container is created with |
//! | `api`, `pods`, `node` | the API server: watches, own pods, own node |
//! | `pod` | what of Kubernetes' objects is read |
//! | `metrics`, `error` | numbers; reasons and their codes |

pub mod args;
pub mod run;

mod api;
mod book;
mod cdi;
mod devices;
mod driver;
mod error;
mod file;
mod identity;
mod kubelet;
mod limits;
mod lister;
mod metrics;
mod node;
mod own;
mod pod;
mod pods;
mod prefer;
mod prestart;
mod resource;
mod service;
mod store;
