//! What the node counts beside its RPCs: what staging decided about a disk's content.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::error::StageError;
use crate::host::LuksError;
use crate::stage::Staged;

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

    pub(crate) fn count(&self, staged: &Result<Staged, StageError>) {
        let decision = match staged {
            Ok(Staged::Already) => "already",
            Ok(Staged::Block) => "block",
            Ok(Staged::Mounted) => "mounted",
            Ok(Staged::Formatted) => "formatted",
            Err(
                StageError::Foreign { .. }
                | StageError::OtherFileSystem { .. }
                | StageError::Plain { .. }
                | StageError::BlankCopy { .. },
            ) => "refused_data",
            Err(StageError::AnotherVolumes { .. }) => "refused_identity",
            Err(StageError::Luks(LuksError::WrongKey { .. })) => "refused_key",
            Err(StageError::Device(_)) => "refused_device",
            Err(_) => "failed",
        };
        self.0.get_or_create(&Decision { decision }).inc();
    }
}
