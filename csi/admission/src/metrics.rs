//! What the webhook counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// What became of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// No claim of it is still to be made from anything.
    NoSource,
    /// It was given a region.
    Added,
    /// It names the region itself, or has its node already.
    Said,
    /// It excludes the region.
    Contradiction,
    /// Its sources are in different regions.
    Apart,
    /// Where its sources are nobody can say yet.
    Unknown,
    /// The API server did not tell in time, or at all.
    Failed,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::NoSource => "no-source",
            Self::Added => "added",
            Self::Said => "said",
            Self::Contradiction => "contradiction",
            Self::Apart => "apart",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    outcome: &'static str,
}

/// Counts pods. Clones share the numbers.
#[derive(Debug, Clone, Default)]
pub struct Pods(Family<OfOutcome, Counter>);

impl Pods {
    /// Registers the counter.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Pods that the API server has asked about, by what became of them";
        registry.register("eck_csi_admission_pods", help, self.0.clone());
    }

    pub(crate) fn count(&self, outcome: Outcome) {
        self.0.get_or_create(&OfOutcome { outcome: outcome.as_str() }).inc();
    }
}
