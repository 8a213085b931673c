//! What the node tells about cards and containers, beside its RPCs.

use std::fmt;
use std::path::PathBuf;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::driver::GpuWatch;
use crate::pod_cache::{self, PodCache};
use crate::resource::Resource;

mod containers;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySource {
    source: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResource {
    resource: &'static str,
}

/// Where an answer to GetPreferredAllocation came from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    /// The scheduler's decision.
    Decision,
    /// The node's own.
    Own,
    /// None: no pod was found.
    None,
}

/// Counters. Clones share them.
#[derive(Clone, Default)]
pub struct Counts {
    preferred: Family<BySource, Counter>,
    refused: Family<ByReason, Counter>,
    registrations: Family<ByResource, Counter>,
    lists: Family<ByResource, Counter>,
}

impl Counts {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Answers to GetPreferredAllocation, by whose decision they followed";
        registry.register("ideal_gpu_preferred_answers", help, self.preferred.clone());
        let help = "Container starts that were refused, by reason";
        registry.register("ideal_gpu_start_refusals", help, self.refused.clone());
        registry.register(
            "ideal_gpu_registrations",
            "Registrations with the kubelet",
            self.registrations.clone(),
        );
        registry.register("ideal_gpu_lists_sent", "Device lists sent to the kubelet", self.lists.clone());
    }

    pub(crate) fn preferred(&self, source: Source) {
        let source = match source {
            Source::Decision => "decision",
            Source::Own => "own",
            Source::None => "none",
        };
        self.preferred.get_or_create(&BySource { source }).inc();
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ByReason { reason }).inc();
    }

    pub(crate) fn registered(&self, resource: Resource) {
        self.registrations.get_or_create(&ByResource { resource: resource.name() }).inc();
    }

    pub(crate) fn listed(&self, resource: Resource) {
        self.lists.get_or_create(&ByResource { resource: resource.name() }).inc();
    }
}

#[derive(Debug, Clone, EncodeLabelSet)]
struct OfCard {
    card: String,
    index: u32,
    model: String,
}

/// A card's labels and what ails it.
#[derive(Debug, Clone, EncodeLabelSet)]
struct OfAilment {
    card: String,
    index: u32,
    model: String,
    state: &'static str,
    reason: String,
}

/// Cards and containers, read when somebody scrapes.
pub(crate) struct Scrape {
    pub(crate) gpu_watch: GpuWatch,
    pub(crate) pod_cache: PodCache,
    /// The state folder.
    pub(crate) state: PathBuf,
    /// The isolation library, if there is one.
    pub(crate) library: Option<PathBuf>,
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrape")
    }
}

/// One gauge's values.
type Values<L> = Vec<(L, u64)>;

fn gauge<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: Values<L>,
) -> fmt::Result {
    if values.is_empty() {
        return Ok(());
    }
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

const MIB: u64 = 1 << 20;

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.cards(&mut encoder)?;
        self.usage(&mut encoder)?;
        self.isolation(&mut encoder)?;
        self.containers(&mut encoder)
    }
}

impl Scrape {
    fn labels(&self, id: &str) -> OfCard {
        let snapshot = self.gpu_watch.snapshot.borrow();
        let card = snapshot.cards.iter().find(|card| card.id.as_str() == id);
        let (index, model) = card.map(|card| (card.index, card.model.clone())).unwrap_or_default();
        OfCard { card: id.to_owned(), index, model }
    }

    fn cards(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let snapshot = self.gpu_watch.snapshot.borrow().clone();
        let node = self.pod_cache.read(|pods| pod_cache::usage(pods, snapshot.inventory(), ""));
        let all = || {
            node.cards()
                .iter()
                .zip(node.used())
                .map(|(card, used)| (self.labels(card.id.as_str()), card, used))
        };
        let offered = all().map(|(labels, card, _)| (labels, card.memory_mib * MIB)).collect();
        gauge(
            encoder,
            "ideal_gpu_card_memory_offered_bytes",
            "Memory that slices may have together",
            offered,
        )?;
        let decided = all().map(|(labels, _, used)| (labels, used.memory_mib * MIB)).collect();
        gauge(encoder, "ideal_gpu_card_memory_decided_bytes", "Memory that was given to slices", decided)?;
        let core = all().map(|(labels, _, used)| (labels, u64::from(used.core))).collect();
        gauge(encoder, "ideal_gpu_card_core_decided_percent", "Compute that was given to slices", core)?;
        let slots = all().map(|(labels, _, used)| (labels, u64::from(used.slots))).collect();
        gauge(encoder, "ideal_gpu_card_slots_decided", "Slots that were given out", slots)?;
        let whole = all().map(|(labels, _, used)| (labels, u64::from(used.whole))).collect();
        gauge(encoder, "ideal_gpu_card_whole", "1 if the card was given out whole", whole)?;
        let healthy = all().map(|(labels, card, _)| (labels, u64::from(card.usable()))).collect();
        gauge(encoder, "ideal_gpu_card_healthy", "1 if new work may go there", healthy)?;
        let unhealthy = snapshot.unhealthy.iter().map(|(id, ailment)| {
            let OfCard { card, index, model } = self.labels(id.as_str());
            let (state, reason) = (ailment.health.name(), ailment.reason.clone());
            (OfAilment { card, index, model, state, reason }, 1)
        });
        gauge(encoder, "ideal_gpu_card_unhealthy", "1 for a card that takes no new work", unhealthy.collect())
    }

    fn usage(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let usage = self.gpu_watch.usage.borrow().clone();
        let all = || usage.iter().map(|usage| (self.labels(usage.card.as_str()), usage));
        let total = all().map(|(labels, usage)| (labels, usage.total_bytes)).collect();
        gauge(encoder, "ideal_gpu_card_memory_total_bytes", "Memory of the card", total)?;
        let used = all().map(|(labels, usage)| (labels, usage.used_bytes)).collect();
        gauge(encoder, "ideal_gpu_card_memory_used_bytes", "Memory that programs hold", used)?;
        let busy =
            all().filter_map(|(labels, usage)| Some((labels, u64::from(usage.busy_percent?)))).collect();
        gauge(encoder, "ideal_gpu_card_busy_percent", "Time in which something ran", busy)?;
        let heat =
            all().filter_map(|(labels, usage)| Some((labels, u64::from(usage.temperature?)))).collect();
        gauge(encoder, "ideal_gpu_card_temperature_celsius", "Temperature", heat)
    }
}
