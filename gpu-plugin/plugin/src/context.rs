//! What every call of the device plugin service needs.

use std::sync::Arc;

use ideal_gpu::place::Policy;

use crate::card_time::CardTime;
use crate::cdi::Places;
use crate::driver::GpuWatch;
use crate::isolation::Isolation;
use crate::lister::PodResources;
use crate::metrics::Counts;
use crate::pod_cache::PodCache;

/// How the node works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where things are.
    pub places: Places,
    /// The runtime knows no CDI.
    pub no_cdi: bool,
    /// What holds containers to their limits.
    pub isolation: Isolation,
    /// Over cards, where the node decides.
    pub policy: Policy,
}

/// What every call needs.
#[derive(Clone)]
pub struct PluginContext {
    /// How the node works.
    pub settings: Arc<Settings>,
    /// The cards.
    pub gpu_watch: GpuWatch,
    /// The pods.
    pub pod_cache: PodCache,
    /// What the kubelet has recorded.
    pub lister: Arc<dyn PodResources>,
    /// Metrics.
    pub counts: Counts,
    /// The time of the cards; `None` where nothing holds containers to their limits.
    pub card_time: Option<CardTime>,
}
