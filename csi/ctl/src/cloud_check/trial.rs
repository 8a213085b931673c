//! `--with-a-disk`: what only a write shows. One disk is ordered, looked at from every side, a snapshot of it taken and deleted, grown,
//! attached and detached where a machine is named, and refunded whatever came before; what could not be refunded is named.

use std::path::Path;

use super::ask::Ask;
use super::line::Line;

mod attach;
mod guest;
mod order;
mod refund;
mod refusal;
mod resize;
mod snapshot;
mod terms;

pub(super) use terms::{LARGER, SIZE};

/// What came of it.
pub(super) struct Tried {
    /// The assumptions.
    pub(super) lines: Vec<Line>,
    /// What a person must see to.
    pub(super) left: Vec<String>,
    /// Comments for the profile: what a person must choose in it.
    pub(super) settings: Vec<String>,
}

/// A machine to which the disk is attached.
pub(super) struct On<'a> {
    pub(super) instance: &'a str,
    /// Its `/sys/block`, where this program runs on it.
    pub(super) sys_block: Option<&'a Path>,
}

/// The name of the trial's disk: nothing else has it.
pub(super) fn name(now: u64) -> String {
    format!("eck-cloud-check-{:08x}", now & 0xffff_ffff)
}

/// Orders a disk, tries it, and refunds all that came of the order.
pub(super) async fn run(ask: &Ask<'_>, name: &str, on: Option<On<'_>>) -> Tried {
    let ordered = order::order(ask, name).await;
    let lag = ordered.lag.map(|lag| format!("# choose: reads_lag_ms = {}, or more", lag.as_millis()));
    let mut tried = Tried { lines: ordered.lines, left: Vec::new(), settings: Vec::from_iter(lag) };
    if let Some(disk) = ordered.disks.first() {
        let (lines, left) = snapshot::there_and_back(ask, name, disk).await;
        tried.lines.extend(lines);
        tried.left.extend(left);
        tried.lines.push(resize::grow(ask, disk).await);
    }
    if let (Some(on), Some(disk)) = (on, ordered.disks.first()) {
        let guest = on.sys_block.map(guest::Guest::before);
        let attached = attach::there_and_back(ask, disk, on.instance, guest.as_ref()).await;
        tried.lines.extend(attached.lines);
        tried.settings.extend(attached.settings);
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
