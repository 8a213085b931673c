//! The node half of ideal-gpu: offers the machine's cards to the kubelet, steers it to the cards that were decided, and hands
//! each container exactly its slices.
//!
//! | module | what |
//! |---|---|
//! | `args`, `run` | flags; puts everything together |
//! | `driver` | the cards, seen from a thread of their own |
//! | `resource`, `devices` | the two kubelet resources and their lists |
//! | `kubelet`, `registration_state` | sockets and registration; how each resource stands with the kubelet |
//! | `context`, `service` | what every call needs; the device plugin service: parse, operate, reply |
//! | `lister` | the kubelet's pod-resources API: who holds what |
//! | `pod_cache`, `checkpoint` | the node's pods and their decisions, in memory and on disk |
//! | `identity` | pure: which container is asked for |
//! | `device_list` | ListAndWatch: the stream of lists |
//! | `allocate` | Allocate: CDI names, or device files where there is no CDI |
//! | `prefer` | GetPreferredAllocation: which ids |
//! | `prestart` | PreStartContainer: who it is, what it gets |
//! | `local_decision` | pure: decisions of the node itself, where no scheduler has decided |
//! | `cdi`, `libraries`, `isolation`, `limits`, `state_layout`, `file` | what a container is created with |
//! | `api`, `pod_watch`, `node`, `events` | the API server: watches, own pods, own node, events about its cards |
//! | `pod`, `object_meta` | what of Kubernetes' objects is read |
//! | `metrics`, `error` | numbers; reasons and their codes |

pub mod args;
pub mod run;

// For tests that put the service together with a kubelet, an API server and cards of their own, in one process.
pub mod card_time;
pub mod cdi;
pub mod context;
pub mod driver;
pub mod isolation;
pub mod lister;
pub mod pod;
pub mod pod_cache;
pub mod pod_watch;
pub mod resource;
pub mod service;

// For fuzz/, which reads records as the plugin finds them on its disk.
pub mod checkpoint;

mod allocate;
mod api;
mod device_list;
mod devices;
mod error;
mod events;
mod file;
mod identity;
mod kubelet;
mod libraries;
mod limits;
mod local_decision;
mod metrics;
mod node;
mod object_meta;
mod prefer;
mod prestart;
mod registration_state;
mod state_layout;
