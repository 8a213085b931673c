//! Ids, names, amounts and dates: what is taken is written back as it came, and keeps its bounds.

use cards::{Overcommit, label_value};
use eck_csi::cluster::ClusterUid;
use eck_csi::context::PublishContext;
use eck_csi::driver::{GIB, MAX_DISK_GIB, MIN_DISK_GIB};
use eck_csi::volume::{DiskId, NodeId, Region, SizeRange, VolumeId};
use ecx::api::DiskState;
use ecx::sign;
use ideal_gpu::card::CardId;
use ideal_gpu::quantity;
use ideal_gpu::slot::SlotId;
use ideal_gpu_plugin::resource::Resource;
use serve::uds;

use crate::input::Input;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let which = input.byte();
    if which.is_ascii_digit() {
        return size(input.eight() as i64, input.eight() as i64);
    }
    let Ok(text) = std::str::from_utf8(input.rest()) else { return };
    match which {
        b'd' => disk(text),
        b'n' => node(text),
        b'q' => amount(text),
        b'o' => overcommit(text),
        b'k' => uid(text),
        b'l' => label(text),
        b't' => date(text),
        b's' => state(text),
        b'u' => socket(text),
        _ => card(text),
    }
}

fn disk(text: &str) {
    let volume = VolumeId::parse(text.to_owned());
    let Some(id) = DiskId::parse(text) else { return };
    assert_eq!(id.as_str(), text);
    assert_eq!(volume.ok().and_then(|volume| volume.disk()), Some(id.clone()), "every disk can be a volume");
    let serials = id.serials();
    assert!(serials.iter().all(|serial| (1..=64).contains(&serial.len())), "{serials:?}");
    assert!(serials.contains(&text.to_owned()), "{serials:?}");
    let context = PublishContext::new(id, 20 * GIB);
    assert_eq!(
        PublishContext::parse(&context.to_map()),
        Ok(context),
        "what the controller says the node reads"
    );
}

fn uid(text: &str) {
    let Some(uid) = ClusterUid::parse(text) else { return };
    let value = uid.label_value();
    assert!(value.len() == 32 && value.eq_ignore_ascii_case(&text.replace('-', "")), "{value} for {text:?}");
    assert_eq!(ClusterUid::parse(&value), Some(uid));
    assert_eq!(ClusterUid::parse(&uid.to_string()), Some(uid), "as Kubernetes writes it");
}

fn node(text: &str) {
    if let Ok(region) = Region::parse("region", text) {
        assert_eq!(region.as_str(), text);
        assert!(
            text.len() <= 63
                && text.bytes().all(|b| b == b'-' || b.is_ascii_lowercase() || b.is_ascii_digit())
        );
    }
    let Ok(node) = NodeId::parse(text.to_owned()) else { return };
    assert_eq!(node.to_string(), text, "a node's id is said as it was heard");
    assert_eq!(NodeId::parse(node.to_string()), Ok(node));
}

fn size(required: i64, limit: i64) {
    let Ok(size) = SizeRange::parse(required, limit) else { return };
    assert!(required >= 0 && limit >= 0, "{required} {limit}");
    assert!(
        MIN_DISK_GIB <= size.min_gib && size.min_gib <= size.max_gib && size.max_gib <= MAX_DISK_GIB,
        "{size:?}"
    );
    assert!(size.min_gib * GIB >= required.unsigned_abs(), "{size:?} for {required}");
    assert!(limit == 0 || size.max_gib * GIB <= limit.unsigned_abs(), "{size:?} for at most {limit}");
}

/// A whole number, compared with one that is worked out another way, in floating point.
fn amount(text: &str) {
    let Some(whole) = quantity::whole(text) else { return };
    assert_eq!(quantity::whole(&whole.to_string()), Some(whole), "{text:?}");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '+').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let Ok(number) = number.trim_start_matches('+').parse::<f64>() else {
        panic!("{text:?} is no number and read as {whole}");
    };
    let binary = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].iter().position(|known| *known == suffix);
    let decimal = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"].iter().position(|known| *known == suffix);
    let scale = match (binary, decimal) {
        (Some(at), _) => 1024_f64.powi(at as i32 + 1),
        (_, Some(at)) => 1000_f64.powi(at as i32 - 3),
        _ => 10_f64.powi(suffix[1..].parse().unwrap_or(i32::MAX)),
    };
    let (about, exact) = (number * scale, whole as f64);
    assert!((about - exact).abs() <= exact * 1e-9, "{text:?} is about {about} and read as {whole}");
}

fn overcommit(text: &str) {
    let Ok(factor) = text.parse::<Overcommit>() else { return };
    assert_eq!(factor.to_string().parse(), Ok(factor), "{text:?}");
    assert!((1000..=10_000).contains(&factor.of(1000)), "1 to 10 times: {factor}");
}

/// Kubernetes' own rule of a label's value.
fn label(model: &str) {
    let label = label_value(model);
    let ends = |c: char| c.is_ascii_alphanumeric();
    assert!(label.len() <= 63 && label.chars().all(|c| ends(c) || matches!(c, '-' | '_' | '.')), "{label:?}");
    assert!(label.is_empty() || label.starts_with(ends) && label.ends_with(ends), "{label:?}");
}

fn date(text: &str) {
    let Some(time) = sign::parse_date(text) else { return };
    assert_eq!(sign::eop_date(time), text);
}

fn state(text: &str) {
    let state = DiskState::parse(text);
    assert!(state.as_str().eq_ignore_ascii_case(text), "{state:?} for {text:?}");
    assert_eq!(DiskState::parse(state.as_str()), state);
}

fn socket(text: &str) {
    let Ok(path) = uds::path_of(text) else { return };
    assert!(path.is_absolute() && text.ends_with(&*path.to_string_lossy()), "{text:?} is {path:?}");
}

fn card(text: &str) {
    if let Ok(id) = CardId::parse(text) {
        assert_eq!(id.as_str(), text);
        assert!(text.len() <= 64 && !text.contains(['/', '.']), "it names files");
        assert_eq!(Resource::Whole.card(text), Some(id.clone()));
        assert!(SlotId::all(&id).all(|slot| SlotId::parse(&slot.to_string()) == Some(slot)), "{text:?}");
    }
    for resource in Resource::ALL {
        if let Some(card) = resource.card(text) {
            assert!(resource.ids(&card).iter().any(|id| id == text), "{text:?} is one of its card's ids");
        }
    }
}
