//! What the controller counts: calls to the cloud, throttling, and what the audit found.

use std::sync::Arc;

use eck_csi_audit::FindingKind;
use ecx::Client;
use ecx::call_record::SECONDS;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
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
        self.encode_ended(&mut encoder)?;
        let (throttled, rate) = self.0.throttling();
        let counter = ConstCounter::new(throttled);
        let help = "Throttle replies of the ECX API";
        counter.encode(encoder.encode_descriptor("ecx_throttled", help, None, counter.metric_type())?)?;
        let gauge = ConstGauge::new(rate);
        let help = "Requests per second that are allowed now, as learnt from the cloud's throttling";
        gauge.encode(encoder.encode_descriptor("ecx_rate_limit", help, None, gauge.metric_type())?)?;
        let gauge = ConstGauge::new(rate / self.0.profile().rate_per_second);
        let help = "The same as a share of the profile's rate_per_second";
        gauge.encode(encoder.encode_descriptor("ecx_rate_factor", help, None, gauge.metric_type())?)
    }
}

impl Calls {
    /// What the requests came to, and how long they took.
    fn encode_ended(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let all = self.0.call_figures();
        let counter = ConstCounter::new(0u64);
        let help =
            "Requests to the ECX API that ended, retries included, by operation and by what they came to";
        let kind = counter.metric_type();
        let mut family = encoder.encode_descriptor("ecx_call_results", help, None, kind)?;
        for (op, figures) in &all {
            for (code, count) in &figures.codes {
                let labels = [("op", format!("{op:?}")), ("code", (*code).to_owned())];
                ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
            }
        }
        let help =
            "Duration of requests to the ECX API in seconds, without the wait for their turn, by operation";
        let kind = MetricType::Histogram;
        let mut family = encoder.encode_descriptor("ecx_call_duration_seconds", help, None, kind)?;
        for (op, figures) in &all {
            let bounds = SECONDS.into_iter().chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(figures.buckets).collect();
            let (label, count) = ([("op", format!("{op:?}"))], figures.buckets.iter().sum());
            let mut metric = family.encode_family(&label)?;
            metric.encode_histogram::<NoLabelSet>(figures.seconds, count, &buckets, None)?;
        }
        Ok(())
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

    /// A look ended: at all of both at `at`, in seconds since 1970, or at less. Kinds of which nothing was found are shown as 0; what a look at
    /// less did not find again may still be there, and is shown on.
    pub(crate) fn found(&self, kinds: impl Iterator<Item = FindingKind>, at: Option<u64>) {
        let kinds: Vec<FindingKind> = kinds.collect();
        for kind in FindingKind::ALL {
            let count = kinds.iter().filter(|found| **found == kind).count();
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            let gauge = self.findings.get_or_create(&OfKind { kind: kind.as_str() });
            gauge.set(if at.is_some() { count } else { count.max(gauge.get()) });
        }
        match at {
            Some(at) => {
                self.success.set(i64::try_from(at).unwrap_or(i64::MAX));
            }
            None => self.failed(),
        }
    }

    pub(crate) fn failed(&self) {
        self.failures.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk_reader::Query;
    use crate::local_cloud::{LocalCloud, REGION, region};

    #[test]
    fn what_a_look_at_less_than_all_does_not_find_again_is_shown_on() {
        let audits = Audits::default();
        let shown = |kind: FindingKind| audits.findings.get_or_create(&OfKind { kind: kind.as_str() }).get();
        audits.found([FindingKind::MissingDisk, FindingKind::MissingDisk].into_iter(), Some(1));
        audits.found([FindingKind::SickDisk].into_iter(), None);
        assert_eq!((shown(FindingKind::MissingDisk), shown(FindingKind::SickDisk)), (2, 1));
        assert_eq!((audits.failures.get(), audits.success.get()), (1, 1));
        audits.found([].into_iter(), Some(2));
        assert_eq!((shown(FindingKind::MissingDisk), audits.success.get()), (0, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_shown_by_its_end_and_by_its_duration() {
        let driver = LocalCloud::new().driver();
        driver.reader.ask(&region(REGION), Query::Name("pvc-1".into())).await.unwrap();
        let mut registry = Registry::default();
        register(&mut registry, Arc::clone(&driver.client));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "ecx_calls_total{op=\"FindDiskByName\"} 1",
            "ecx_call_results_total{op=\"FindDiskByName\",code=\"ok\"} 1",
            "ecx_call_duration_seconds_bucket{le=\"60.0\",op=\"FindDiskByName\"} 1",
            "ecx_call_duration_seconds_bucket{le=\"+Inf\",op=\"FindDiskByName\"} 1",
            "ecx_call_duration_seconds_count{op=\"FindDiskByName\"} 1",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
