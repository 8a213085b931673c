//! `--with-a-disk`: what only a write shows. One disk is ordered, looked at from every side, attached and detached where a machine is
//! named, and refunded whatever came before; what could not be refunded is named.

use super::ask::Ask;
use super::line::Line;

mod attach;
mod order;
mod refund;
mod terms;

pub(super) use terms::SIZE;

/// What came of it.
pub(super) struct Tried {
    /// The assumptions.
    pub(super) lines: Vec<Line>,
    /// What a person must see to.
    pub(super) left: Vec<String>,
}

/// The name of the trial's disk: nothing else has it.
pub(super) fn name(now: u64) -> String {
    format!("eck-cloud-check-{:08x}", now & 0xffff_ffff)
}

/// Orders a disk, tries it, and refunds all that came of the order.
pub(super) async fn run(ask: &Ask<'_>, name: &str, instance: Option<&str>) -> Tried {
    let ordered = order::order(ask, name).await;
    let mut tried = Tried { lines: ordered.lines, left: Vec::new() };
    if let (Some(instance), Some(disk)) = (instance, ordered.disks.first()) {
        tried.lines.extend(attach::there_and_back(ask, disk, instance).await);
    }
    let strange = ordered.strange.iter().map(|disk| {
        format!("{disk} in {} was told of the order of {name} and is not shown to be of it: look", ask.region)
    });
    tried.left.extend(strange);
    if ordered.open {
        let region = &ask.region;
        tried.left.push(format!(
            "the order of {name} in {region} may still make a disk: look for it, and refund it by hand"
        ));
    }
    let (line, left) = refund::all(ask, &ordered.disks).await;
    tried.lines.push(line);
    tried.left.extend(left);
    tried
}
