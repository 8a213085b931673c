//! What the scheduler counts and measures.

use std::sync::Arc;

use ideal_gpu::names::{CORE_PER_CARD, SLOTS_PER_CARD};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use crate::cluster::{CardUse, Cluster};

/// Upper bounds in seconds: a filter over ten nodes takes 50 µs, a Binding to a slow API server seconds.
const SECONDS: [f64; 12] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0, 10.0];

/// Labels of a verb.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Verb {
    verb: &'static str,
}

/// Labels of a rejection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rejection {
    verb: &'static str,
    reason: &'static str,
}

/// Counters and histograms. Clones share them.
#[derive(Clone)]
pub struct Measures {
    decisions: Counter,
    rejections: Family<Rejection, Counter>,
    seconds: Family<Verb, Histogram, fn() -> Histogram>,
    leader: Gauge,
}

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

impl Measures {
    /// Registers everything, the cards of `cluster` included.
    pub fn register(registry: &mut Registry, cluster: Arc<Cluster>) -> Self {
        let seconds: Family<Verb, Histogram, fn() -> Histogram> = Family::new_with_constructor(histogram);
        let measures = Self {
            decisions: Counter::default(),
            rejections: Family::default(),
            seconds,
            leader: Gauge::default(),
        };
        let of = |name: &str, help: &str| (format!("ideal_gpu_scheduler_{name}"), help.to_owned());
        let (name, help) = of("decisions", "Pods bound with a decision");
        registry.register(name, help, measures.decisions.clone());
        let (name, help) = of("rejections", "Nodes, bindings and objects refused, by verb and reason");
        registry.register(name, help, measures.rejections.clone());
        let (name, help) =
            of("request_seconds", "Duration of filter, prioritize, bind and admission in seconds");
        registry.register(name, help, measures.seconds.clone());
        let (name, help) = of("leader", "1 while this replica binds");
        registry.register(name, help, measures.leader.clone());
        registry.register_collector(Box::new(Cards(cluster)));
        measures
    }

    pub(crate) fn decided(&self) {
        self.decisions.inc();
    }

    pub(crate) fn rejected(&self, verb: &'static str, reason: &'static str, count: u64) {
        self.rejections.get_or_create(&Rejection { verb, reason }).inc_by(count);
    }

    pub(crate) fn took(&self, verb: &'static str, since: Instant) {
        self.seconds.get_or_create(&Verb { verb }).observe(since.elapsed().as_secs_f64());
    }

    pub(crate) fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }
}

/// What is used of every card, read when somebody asks.
struct Cards(Arc<Cluster>);

impl std::fmt::Debug for Cards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cards")
    }
}

type Amount = fn(&CardUse<'_>) -> i64;

const GAUGES: [(&str, &str, Amount); 4] = [
    ("ideal_gpu_card_core_used_percent", "Compute promised of the card, in percent", |card| {
        i64::from(if card.used.whole { CORE_PER_CARD } else { card.used.core })
    }),
    ("ideal_gpu_card_memory_used_bytes", "Memory promised of the card", |card| {
        bytes(if card.used.whole { card.memory_mib } else { card.used.memory_mib })
    }),
    ("ideal_gpu_card_memory_bytes", "Memory that may be promised of the card", |card| bytes(card.memory_mib)),
    ("ideal_gpu_card_slots_used", "Slots promised of the card; all of them if it is taken whole", |card| {
        i64::from(if card.used.whole { SLOTS_PER_CARD } else { card.used.slots })
    }),
];

fn bytes(mib: u64) -> i64 {
    i64::try_from(mib.saturating_mul(1 << 20)).unwrap_or(i64::MAX)
}

impl Collector for Cards {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, help, amount) in GAUGES {
            let mut rows = Vec::new();
            self.0.each_card(|card| {
                let labels = [("node", card.node.to_owned()), ("card", card.card.to_string())];
                rows.push((labels, amount(&card)));
            });
            let kind = ConstGauge::new(0_i64).metric_type();
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for (labels, value) in rows {
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        let (placed, undecided) = self.0.counts();
        let both = [
            ("ideal_gpu_pods_placed", "Pods that hold cards or are promised some", placed),
            ("ideal_gpu_pods_undecided", "Bound pods whose cards nobody knows", undecided),
        ];
        for (name, help, count) in both {
            let gauge = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
