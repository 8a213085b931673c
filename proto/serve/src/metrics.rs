//! The metrics every program has, and the registry where others put theirs.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the RPC duration histogram, in seconds: from a no-op on a socket to a cloud disk's slowest attach.
const SECONDS: [f64; 12] = [0.0005, 0.002, 0.01, 0.05, 0.2, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

/// Labels of an RPC.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Rpc {
    /// Full method name, e.g. `csi.v1.Node/NodeStageVolume`.
    pub method: String,
    /// gRPC code by name, e.g. `OK`.
    pub code: String,
}

/// Labels of an RPC's duration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Method {
    /// Full method name.
    pub method: String,
}

/// The registry and the RPC metrics. Clones share one registry.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    finished: Family<Rpc, Counter>,
    seconds: Family<Method, Histogram, fn() -> Histogram>,
    running: Gauge,
}

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let finished = Family::<Rpc, Counter>::default();
        let seconds: Family<Method, Histogram, fn() -> Histogram> = Family::new_with_constructor(histogram);
        let running = Gauge::default();
        registry.register("grpc_server_handled", "RPCs that ended, by method and code", finished.clone());
        registry.register("grpc_server_handling_seconds", "Duration of RPCs in seconds", seconds.clone());
        registry.register("grpc_server_running", "RPCs that run now", running.clone());
        registry.register_collector(Box::new(Process));
        Self { registry: Arc::new(Mutex::new(registry)), finished, seconds, running }
    }
}

impl Metrics {
    /// Lets a program register its own metrics.
    pub fn register(&self, with: impl FnOnce(&mut Registry)) {
        with(&mut self.registry.lock());
    }

    /// All metrics in the OpenMetrics text format.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let registry = self.registry.lock();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }

    pub(crate) fn started(&self) {
        self.running.inc();
    }

    pub(crate) fn ended(&self, method: &str, code: tonic::Code, duration: Duration) {
        self.running.dec();
        let method = method.to_owned();
        self.seconds.get_or_create(&Method { method: method.clone() }).observe(duration.as_secs_f64());
        self.finished.get_or_create(&Rpc { method, code: format!("{code:?}") }).inc();
    }
}

/// What the kernel knows of this process.
#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(bytes) = resident_bytes() else { return Ok(()) };
        let gauge = ConstGauge::new(bytes);
        let metric = encoder.encode_descriptor(
            "process_resident_memory_bytes",
            "Resident memory in bytes",
            None,
            gauge.metric_type(),
        )?;
        gauge.encode(metric)
    }
}

/// `VmRSS` of `/proc/self/status`, in bytes.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rpc_is_counted_by_method_and_code() {
        let metrics = Metrics::default();
        metrics.started();
        metrics.ended("csi.v1.Identity/Probe", tonic::Code::Ok, Duration::from_millis(3));
        let text = metrics.encode().unwrap();
        assert!(
            text.contains("grpc_server_handled_total{method=\"csi.v1.Identity/Probe\",code=\"Ok\"} 1"),
            "{text}"
        );
        assert!(text.contains("grpc_server_running 0"), "{text}");
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
    }
}
