//! What the node counts beside its RPCs: what staging decided about a disk's content.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decision {
    decision: &'static str,
}

/// The counter. Clones share it.
#[derive(Clone, Default)]
pub struct Decisions(Family<Decision, Counter>);

impl Decisions {
    /// Shows the counter in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let help =
            "What NodeStageVolume did with a disk: formatted, mounted, found staged, or why it left it alone";
        registry.register("eck_csi_stage_decisions", help, self.0.clone());
    }

    /// Counts one decision.
    pub(crate) fn count(&self, decision: &'static str) {
        self.0.get_or_create(&Decision { decision }).inc();
    }
}
