//! Compares what the plugin reports with `nvidia-smi` and the file system.

use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use sanity_tests::fake_kubelet::FakeKubelet;
use serde_json::Value;

use crate::json::{number, read, text};
use crate::nvidia_smi::Card;
use crate::report::Report;
use crate::slice;

/// MiB by which two readings of a card's memory may differ: each rounds its own way.
const ROUNDING: u64 = 2;

/// The node object: cards, labels, resources.
pub(crate) fn node(report: &mut Report, node: &Value, cards: &[Card]) {
    let annotation: Value =
        serde_json::from_str(&text(&node["metadata"]["annotations"]["ideal.com/cards"])).unwrap_or_default();
    let reported = annotation["cards"].as_array().cloned().unwrap_or_default();
    let fields = |field: &str| reported.iter().map(|card| card[field].clone()).collect::<Vec<_>>();
    report.same(
        "UUIDs, in NVML's order",
        fields("id"),
        cards.iter().map(|card| card.uuid.clone().into()).collect(),
    );
    report.same("models", fields("model"), cards.iter().map(|card| card.name.clone().into()).collect());
    report.same("indices", fields("index"), cards.iter().map(|card| card.index.into()).collect());
    report.check(
        "every card is healthy",
        reported.iter().all(|card| card["healthy"] == true),
        format!("{reported:?}"),
    );
    for (reported, card) in reported.iter().zip(cards) {
        let (offered, free) = (number(&reported["memory_mib"]), card.total.saturating_sub(card.reserved));
        let detail = format!("plugin {offered}, nvidia-smi {} less {}", card.total, card.reserved);
        let what = format!("card {}: MiB offered are those that the driver does not keep", card.index);
        report.check(&what, offered.abs_diff(free) <= ROUNDING, detail);
    }
    let labels = &node["metadata"]["labels"];
    let model = cards.first().map(|card| card.name.replace(' ', "-")).unwrap_or_default();
    report.same("label gpu-model", text(&labels["gpu-model"]), model);
    report.same("label node-type", text(&labels["node-type"]), "gpu".to_owned());
    report.same("label nvidia-device-enable", text(&labels["nvidia-device-enable"]), "enable".to_owned());
    let allocatable = &node["status"]["allocatable"];
    let uncut = cards.iter().filter(|card| !card.mig).count() as u64;
    report.same("vcuda-core of the node", number(&allocatable["ideal.com/vcuda-core"]), uncut * 100);
    let offered =
        reported.iter().filter(|card| card["mig"] != true).map(|card| number(&card["memory_mib"])).sum();
    report.same("vcuda-memory of the node", number(&allocatable["ideal.com/vcuda-memory"]), offered);
}

/// The devices that the kubelet got.
pub(crate) fn devices(report: &mut Report, kubelet: &FakeKubelet, cards: &[Card]) {
    let uncut = cards.iter().filter(|card| !card.mig).count() as u64;
    for (resource, each) in [("ideal.com/gpu", 5), ("nvidia.com/gpu", 1)] {
        let healthy = kubelet.rules().allocatable(resource).unwrap_or(0);
        report.same(&format!("healthy devices of {resource}"), healthy, uncut * each);
    }
}

/// CDI specs: every file in them exists and is the driver's.
pub(crate) fn specs(report: &mut Report, folder: &Path, cards: &[Card]) {
    let slots = read(&folder.join("ideal.com-gpu.json"));
    let whole = read(&folder.join("ideal.com-card.json"));
    for (spec, each, what) in [(&slots, 5, "slots"), (&whole, 1, "whole cards")] {
        let devices = spec["devices"].as_array().cloned().unwrap_or_default();
        report.same(&format!("CDI devices of {what}"), devices.len(), cards.len() * each);
        let bad = devices.iter().filter(|device| !complete(device)).count();
        let detail = format!("{bad} devices without a card's character device or nvidiactl: {devices:?}");
        report.check(&format!("CDI device files of {what}"), bad == 0, detail);
        let mounts = spec["containerEdits"]["mounts"].as_array().cloned().unwrap_or_default();
        let paths: Vec<String> = mounts.iter().map(|mount| text(&mount["hostPath"])).collect();
        let missing: Vec<&String> = paths.iter().filter(|path| !Path::new(path).exists()).collect();
        report.check(&format!("libraries of {what} are there"), missing.is_empty(), format!("{missing:?}"));
        let names = ["libcuda.so.1", "libnvidia-ml.so.1", "libnvidia-ptxjitcompiler.so.1", "nvidia-smi"];
        let absent = names.iter().filter(|name| !paths.iter().any(|path| path.ends_with(*name)));
        let absent: Vec<_> = absent.collect();
        report.check(
            &format!("{what} get what CUDA programs load"),
            absent.is_empty(),
            format!("{absent:?}"),
        );
    }
    let cuda = slots["containerEdits"]["mounts"].as_array().into_iter().flatten();
    let cuda = cuda.map(|mount| text(&mount["hostPath"])).find(|path| path.ends_with("libcuda.so.1"));
    let file = cuda.and_then(|path| std::fs::canonicalize(path).ok()).unwrap_or_default();
    let driver = cards.first().map(|card| card.driver.clone()).unwrap_or_default();
    let detail = format!("{} and driver {driver}", file.display());
    report.check("libcuda is the running driver's", file.to_string_lossy().ends_with(&driver), detail);
}

/// Whether a device has its card's character device and the driver's.
fn complete(device: &Value) -> bool {
    let nodes = device["containerEdits"]["deviceNodes"].as_array().cloned().unwrap_or_default();
    let paths: Vec<String> = nodes.iter().map(|node| text(&node["hostPath"])).collect();
    let own = |path: &&String| {
        path.rsplit_once("nvidia")
            .is_some_and(|(_, rest)| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    let is_device =
        |path: &String| std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_char_device());
    paths.iter().filter(own).count() == 1
        && paths.iter().any(|path| path.ends_with("nvidiactl"))
        && paths.iter().all(is_device)
}

/// The limits of a container that was started with a slice.
pub(crate) fn limits(report: &mut Report, granted: &Value, state: &Path, cards: &[Card]) {
    let slot = slice::slot(granted);
    report.check("a pod's slice is granted", !slot.is_empty(), granted.to_string());
    let limits = read(&state.join("slots").join(&slot).join("limits.json"));
    let card = &limits["cards"][0];
    let known = cards.iter().any(|known| slot.ends_with(&known.uuid) && card["uuid"] == known.uuid.as_str());
    report.check("its limits name the card of its device", known, limits.to_string());
    let amounts = (number(&card["core_percent"]), number(&card["memory_mib"]));
    report.same("its limits are those that it asked for", amounts, (30, slice::MIB));
}

/// The cards' health and metrics after an idle time.
pub(crate) fn health(report: &mut Report, metrics: &str, cards: &[Card]) {
    let value = |name: &str, uuid: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name) && line.contains(uuid))?;
        line.rsplit(' ').next()?.parse::<f64>().ok()
    };
    let unhealthy: Vec<&str> =
        metrics.lines().filter(|line| line.starts_with("ideal_gpu_card_unhealthy{")).collect();
    report.check("no card falls ill by itself", unhealthy.is_empty(), unhealthy.join("\n"));
    for card in cards {
        let total = value("ideal_gpu_card_memory_total_bytes{", &card.uuid).unwrap_or(0.0) / 1_048_576.0;
        let off = (total - card.total as f64).abs();
        let detail = format!("plugin {total} MiB, nvidia-smi {} MiB, {}", card.total, card.pci);
        report.check(&format!("card {}: memory in the metrics", card.index), off <= ROUNDING as f64, detail);
        let celsius = value("ideal_gpu_card_temperature_celsius{", &card.uuid);
        let plausible = celsius.is_none_or(|celsius| (1.0..120.0).contains(&celsius));
        report.check(
            &format!("card {}: temperature in the metrics", card.index),
            plausible,
            format!("{celsius:?}"),
        );
    }
}
