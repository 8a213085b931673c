//! What the controller counts: calls to the cloud, throttling, operations that run.

use std::sync::Arc;

use ecx::Client;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
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
