//! What the controller counts: calls to the cloud, throttling, and what the audit found.

use std::sync::Arc;

use eck_csi_audit::FindingKind;
use ecx::Client;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

/// Reads the client's own counters at each scrape.
struct Calls(Arc<Client>);

impl std::fmt::Debug for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Calls")
    }
}

impl Collector for Calls {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let counter = ConstCounter::new(0u64);
        let help = "Requests sent to the ECX API, retries included, by operation";
        let mut family = encoder.encode_descriptor("ecx_calls", help, None, counter.metric_type())?;
        for (op, count) in self.0.calls() {
            let label = [("op", format!("{op:?}"))];
            ConstCounter::new(count).encode(family.encode_family(&label)?)?;
        }
        let (throttled, factor) = self.0.throttling();
        let counter = ConstCounter::new(throttled);
        let help = "Throttle replies of the ECX API";
        counter.encode(encoder.encode_descriptor("ecx_throttled", help, None, counter.metric_type())?)?;
        let gauge = ConstGauge::new(factor);
        let help = "Share of the configured request rate that is used now";
        gauge.encode(encoder.encode_descriptor("ecx_rate_factor", help, None, gauge.metric_type())?)
    }
}

pub(crate) fn register(registry: &mut Registry, client: Arc<Client>) {
    registry.register_collector(Box::new(Calls(client)));
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

/// What the audit found. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Audits {
    findings: Family<OfKind, Gauge>,
    failures: Counter,
    success: Gauge,
}

impl Audits {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "What has drifted between the cloud and the cluster, by kind, as the last audit found it";
        registry.register("eck_csi_audit_findings", help, self.findings.clone());
        let help = "Audits that could not look at all of both";
        registry.register("eck_csi_audit_failures", help, self.failures.clone());
        let help = "When an audit last looked at all of both, in seconds since 1970; 0 if none has";
        registry.register("eck_csi_audit_last_success_timestamp_seconds", help, self.success.clone());
    }

    /// A look at all of both ended at `at`, in seconds since 1970. Kinds of which nothing was found are shown as 0.
    pub(crate) fn found(&self, kinds: impl Iterator<Item = FindingKind>, at: u64) {
        let kinds: Vec<FindingKind> = kinds.collect();
        for kind in FindingKind::ALL {
            let count = kinds.iter().filter(|found| **found == kind).count();
            let gauge = self.findings.get_or_create(&OfKind { kind: kind.as_str() });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.success.set(i64::try_from(at).unwrap_or(i64::MAX));
    }

    pub(crate) fn failed(&self) {
        self.failures.inc();
    }
}
