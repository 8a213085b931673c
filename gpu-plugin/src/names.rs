//! Every fixed name and number, each with where it comes from.

/// Cards per container; ECK user guide 4.11. The only name of ours that is a kubelet device resource.
pub const GPU: &str = "ideal.com/gpu";

/// Percent of the compute of each card; guide 4.11.
pub const CORE: &str = "ideal.com/vcuda-core";

/// MiB of the memory of each card; guide 4.11.
pub const MEMORY: &str = "ideal.com/vcuda-memory";

/// Whole cards per container; guide 4.11.1.3.
pub const WHOLE: &str = "nvidia.com/gpu";

/// Containers that share one card; guide 4.11 ("one card can be virtualised into 5").
pub const SLOTS_PER_CARD: u32 = 5;

/// Compute of one card, in percent: the unit of [`CORE`].
pub const CORE_PER_CARD: u32 = 100;

/// Cards of one machine at most. The largest machines that NVIDIA sells today have 16; a request for more is a mistake.
pub const MAX_CARDS_PER_NODE: u32 = 16;

/// Node annotation: the node's cards, as [`crate::card::Inventory`] writes them.
pub const CARDS: &str = "ideal.com/cards";

/// Pod annotation: which container gets which cards, as [`crate::decision::Decision`] writes it. It arrives with the Binding;
/// nobody else may set it.
pub const DECISION: &str = "ideal.com/decision";

/// Pod annotation of users: `binpack` or `spread` over nodes.
pub const NODE_POLICY: &str = "ideal.com/node-policy";

/// Pod annotation of users: `binpack` or `spread` over the cards of a node.
pub const CARD_POLICY: &str = "ideal.com/card-policy";

/// Node label: the cards' model, blanks as dashes; guide 4.11.
pub const LABEL_MODEL: &str = "gpu-model";

/// Node label with the value [`NODE_TYPE_GPU`]; guide 4.11.
pub const LABEL_NODE_TYPE: &str = "node-type";

/// See [`LABEL_NODE_TYPE`].
pub const NODE_TYPE_GPU: &str = "gpu";

/// Node label, `enable` or `disable`; guide 4.11.
pub const LABEL_ENABLE: &str = "nvidia-device-enable";
