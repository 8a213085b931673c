//! What each container may use of its cards, and what it uses.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use ideal_gpu::accounting::layout::FILE_BYTES;
use ideal_gpu::accounting::{self, CardAccount};
use ideal_gpu::ask::Share;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Unit;

use super::{MIB, Scrape, gauge};
use crate::state_layout;

#[derive(Debug, Clone, PartialEq, Eq, EncodeLabelSet)]
struct OfContainer {
    namespace: String,
    pod: String,
    container: String,
    card: String,
}

#[derive(Debug, Clone, EncodeLabelSet)]
struct OfLibrary {
    library: String,
}

/// A container on one of its cards.
struct Row {
    labels: OfContainer,
    share: Share,
    /// None without isolation, and for whole cards.
    usage: Option<CardAccount>,
}

/// Device time and waiting are kept in ns.
const NS_PER_S: f64 = 1e9;

/// Reads a container's accounting. The container can write to the file: no more is read than belongs there.
fn usage(path: &Path, cards: usize) -> Option<Vec<CardAccount>> {
    let mut content = Vec::new();
    File::open(path).ok()?.take(FILE_BYTES as u64 + 1).read_to_end(&mut content).ok()?;
    accounting::read(&content, cards)
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    values: Vec<(OfContainer, f64)>,
) -> fmt::Result {
    if values.is_empty() {
        return Ok(());
    }
    let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
    for (labels, value) in values {
        ConstCounter::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

impl Scrape {
    pub(super) fn isolation(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let name = self.library.as_ref().and_then(|path| path.file_name()).unwrap_or_default();
        let labels = OfLibrary { library: name.to_string_lossy().into_owned() };
        let value = u64::from(self.library.is_some());
        gauge(encoder, "ideal_gpu_isolation", "1 if programs are held to their slices", vec![(labels, value)])
    }

    fn rows(&self) -> Vec<Row> {
        let started = self.pod_cache.read(|pods| {
            let running =
                pods.values().filter(|entry| !entry.pod.finished).filter_map(|entry| entry.record.as_ref());
            running.cloned().collect::<Vec<_>>()
        });
        let each = started.iter().flat_map(|record| record.started.iter().map(move |one| (record, one)));
        let rows = each.flat_map(|(record, (container, cards))| {
            let share = record.decision.part(container).map(|(_, share, _)| share);
            // Read once, for all of its cards.
            let region = state_layout::region(&self.state, &record.uid, container);
            let usage =
                share.filter(|share| *share != Share::Whole).and_then(|_| usage(&region, cards.len()));
            let row = move |(place, card): (usize, &ideal_gpu::card::CardId)| {
                let labels = OfContainer {
                    namespace: record.namespace.clone(),
                    pod: record.name.clone(),
                    container: container.clone(),
                    card: card.to_string(),
                };
                let usage = usage.as_ref().and_then(|all| all.get(place).copied());
                Some(Row { labels, share: share?, usage })
            };
            cards.iter().enumerate().filter_map(row)
        });
        rows.collect()
    }

    pub(super) fn containers(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let rows = self.rows();
        shares(encoder, &rows)?;
        let of = |value: fn(&CardAccount) -> u64| {
            let used = rows.iter().filter_map(|row| Some((row.labels.clone(), value(row.usage.as_ref()?))));
            used.collect::<Vec<_>>()
        };
        let help = "Memory of a card that a container holds, what lies in host memory included";
        gauge(encoder, "ideal_gpu_container_memory_used_bytes", help, of(|usage| usage.used))?;
        let help = "Of a container's memory, what lies in host memory";
        gauge(encoder, "ideal_gpu_container_memory_spilled_bytes", help, of(|usage| usage.spilled))?;
        let seconds = |value| {
            let values = of(value).into_iter();
            values.map(|(labels, ns)| (labels, ns as f64 / NS_PER_S)).collect()
        };
        let help = "Device time that a container was charged with";
        let unit = Some(&Unit::Seconds);
        let busy = seconds(|usage| usage.busy_ns);
        counter(encoder, "ideal_gpu_container_busy", help, unit, busy)?;
        let help = "Time for which a container's programs were made to wait for their share";
        let throttled = seconds(|usage| usage.throttled_ns);
        counter(encoder, "ideal_gpu_container_throttled", help, unit, throttled)?;
        let help = "Allocations that were refused because of a container's limit";
        let refused = of(|usage| usage.refused).into_iter();
        let refused = refused.map(|(labels, count)| (labels, count as f64)).collect();
        counter(encoder, "ideal_gpu_container_refused_allocations", help, None, refused)
    }
}

/// What the containers may use.
fn shares(encoder: &mut DescriptorEncoder<'_>, rows: &[Row]) -> fmt::Result {
    let of = |value: fn(Share) -> Option<u64>| {
        let values = rows.iter().filter_map(|row| Some((row.labels.clone(), value(row.share)?)));
        values.collect::<Vec<_>>()
    };
    let memory = of(|share| match share {
        Share::Slice { memory_mib, .. } => Some(memory_mib * MIB),
        Share::Whole => None,
    });
    let help = "Memory that a container may have of a card";
    gauge(encoder, "ideal_gpu_container_memory_limit_bytes", help, memory)?;
    let core = of(|share| match share {
        Share::Slice { core, .. } => Some(u64::from(core)),
        Share::Whole => Some(100),
    });
    let help = "Compute that a container may have of a card";
    gauge(encoder, "ideal_gpu_container_core_limit_percent", help, core)
}

#[cfg(test)]
mod tests {
    use ideal_gpu::accounting::layout::{CARD_BUSY, CARDS_AT, MAGIC};

    use super::*;

    #[test]
    fn a_region_is_read_and_one_that_a_container_spoilt_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        assert_eq!(usage(&path, 1), None);
        let mut content = vec![0; FILE_BYTES];
        content[..8].copy_from_slice(&MAGIC.to_ne_bytes());
        content[CARDS_AT + CARD_BUSY..][..8].copy_from_slice(&7u64.to_ne_bytes());
        std::fs::write(&path, &content).unwrap();
        assert_eq!(usage(&path, 1).unwrap()[0].busy_ns, 7);
        // A file without end, that takes no room on the disk.
        File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(usage(&path, 1), None);
    }
}
