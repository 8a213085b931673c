//! `eckctl audit`: what has drifted, and where it is told so, mended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use eck_csi::volume::Region;
use eck_csi_audit::report::Scope;
use eck_csi_audit::{Finding, FindingKind, Report, ReportError, report};
use eck_csi_kubernetes::Millis;
use serde_json::json;

use crate::args::{AuditArgs, Fixable, Format};
use crate::cluster::Kubernetes;
use crate::console::{Console, Ended};
use crate::settings::Cloud;

mod act;
mod fix;
mod marks;

pub use act::ActError;
pub use fix::{Fix, fix};
pub use marks::{Marks, MarksError};

/// Why an audit told nothing.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// One of both could not be read.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Something is to be changed, and not all was seen.
    #[error("nothing is changed: the cloud cannot be read in region {0}: {1}")]
    Unread(Region, String),
    /// Since when disks are unclaimed.
    #[error("no disk is marked, and none is deleted")]
    Marks(#[from] MarksError),
    /// Output.
    #[error("the answer cannot be written")]
    Write(#[from] std::io::Error),
}

/// Looks, tells, and mends what it is told to.
pub async fn audit(
    kubernetes: &Kubernetes,
    cloud: &Cloud,
    args: &AuditArgs,
    console: &mut Console<'_>,
) -> Result<Ended, AuditError> {
    let scope = Scope {
        regions: cloud.regions.clone(),
        cluster: cloud.cluster.clone(),
        grace: Duration::from_secs(args.grace_seconds),
    };
    let found = look(kubernetes, cloud, &scope, console, args.changes()).await?;
    let marks =
        if args.marks() { marks::look(kubernetes, &found, (console.now)()).await? } else { Marks::new() };
    if args.output == Format::Text {
        tell(&found, &marks, console)?;
    }
    let mut outcomes = unknown(args, &found);
    if args.output == Format::Text {
        for outcome in &outcomes {
            writeln!(console.out, "{}: {}", outcome.disk, outcome.words)?;
        }
    }
    let due = due(args, &marks, (console.now)());
    for finding in found.findings.iter().filter(|finding| wanted(args, &due, finding)) {
        let outcome = mend(kubernetes, cloud, &scope, finding, args, console).await?;
        if args.output == Format::Text {
            writeln!(console.out, "{} {}: {}", finding.kind, finding.disk, outcome.words)?;
        }
        outcomes.push(outcome);
    }
    if args.output == Format::Json {
        writeln!(console.out, "{:#}", json(cloud, &found, &marks, &outcomes))?;
    }
    let mended = outcomes.iter().filter(|one| one.done).count();
    let all = mended == outcomes.len() && mended == found.findings.len() && found.cloud.unread.is_empty();
    Ok(if all { Ended::Well } else { Ended::Found })
}

/// A report; where something is to be changed by it, an error unless it tells of all.
async fn look(
    kubernetes: &Kubernetes,
    cloud: &Cloud,
    scope: &Scope,
    console: &Console<'_>,
    changes: bool,
) -> Result<Report, AuditError> {
    let found = report(&kubernetes.client, &cloud.client, scope, console.now).await?;
    match found.cloud.unread.first_key_value() {
        Some((region, unread)) if changes => Err(AuditError::Unread(region.clone(), unread.reason.clone())),
        _ => Ok(found),
    }
}

fn json(cloud: &Cloud, found: &Report, marks: &Marks, outcomes: &[Outcome]) -> serde_json::Value {
    let looked = json!({ "volumes": found.cluster.volumes.len(), "attachments": found.cluster.attachments.len(),
        "disks": found.cloud.disks.len(), "regions": cloud.regions.iter().map(|r| r.as_str()).collect::<Vec<_>>() });
    let fix = |one: &Outcome| json!({ "disk": one.disk, "done": one.done, "message": one.words });
    let fixes: Vec<_> = outcomes.iter().map(fix).collect();
    let unread: BTreeMap<&str, &str> = unread(found).collect();
    json!({ "looked": looked, "unread": unread, "findings": found.findings, "marks": marks, "fixes": fixes })
}

/// Regions of which something could not be read, and what.
pub(crate) fn unread(found: &Report) -> impl Iterator<Item = (&str, &str)> {
    found.cloud.unread.iter().map(|(region, unread)| (region.as_str(), unread.reason.as_str()))
}

/// Disks whose mark has stood for long enough to delete them, where that is told.
fn due(args: &AuditArgs, marks: &Marks, now: Millis) -> BTreeSet<String> {
    let due = marks.iter().filter(|(_, mark)| args.delete_marked && mark.stands(args.after_days, now));
    due.map(|(disk, _)| disk.clone()).collect()
}

fn tell(found: &Report, marks: &Marks, console: &mut Console<'_>) -> std::io::Result<()> {
    for finding in &found.findings {
        writeln!(console.out, "{:<16} {}", finding.kind.as_str(), finding.message)?;
        writeln!(console.out, "{:<16} → {}", "", finding.kind.advice())?;
    }
    for (region, reason) in unread(found) {
        writeln!(console.out, "{:<16} {region}: {reason}", "not read")?;
        writeln!(console.out, "{:<16} → what is not seen there is not called missing or unclaimed", "")?;
    }
    for (disk, mark) in marks {
        writeln!(console.out, "{:<16} disk {disk} is marked as unclaimed for {} days", "", mark.days())?;
    }
    writeln!(
        console.out,
        "{} findings; looked at {} volumes, {} attachments, {} disks in {} regions",
        found.findings.len(),
        found.cluster.volumes.len(),
        found.cluster.attachments.len(),
        found.cloud.disks.len(),
        found.cloud.machines.len()
    )
}

/// Disks that are named and that are not this cluster's to delete.
fn unknown(args: &AuditArgs, found: &Report) -> Vec<Outcome> {
    let words = "not done: the audit finds no unclaimed disk of this cluster with this id";
    let named = args.delete_disk.iter().filter(|disk| {
        let is =
            |finding: &Finding| finding.kind == FindingKind::UnclaimedDisk && finding.disk == disk.as_str();
        !found.findings.iter().any(is)
    });
    named.map(|disk| Outcome { disk: disk.to_string(), done: false, words: words.to_owned() }).collect()
}

fn wanted(args: &AuditArgs, due: &BTreeSet<String>, finding: &Finding) -> bool {
    if finding.kind == FindingKind::UnclaimedDisk {
        let named = args.delete_disk.iter().any(|disk| disk.as_str() == finding.disk);
        return named || due.contains(&finding.disk);
    }
    args.fix.iter().any(|kind| match kind {
        Fixable::StuckDetach => finding.kind == FindingKind::StuckDetach,
        Fixable::UnwantedAttach => finding.kind == FindingKind::UnwantedAttach,
    })
}

/// What became of one finding.
struct Outcome {
    disk: String,
    done: bool,
    words: String,
}

/// Asks, looks once more, and acts only if the same is still to be done: minutes may lie between finding and answer.
async fn mend(
    kubernetes: &Kubernetes,
    cloud: &Cloud,
    scope: &Scope,
    finding: &Finding,
    args: &AuditArgs,
    console: &mut Console<'_>,
) -> Result<Outcome, AuditError> {
    let outcome = |done, words| Outcome { disk: finding.disk.clone(), done, words };
    let now = look(kubernetes, cloud, scope, console, true).await?;
    let planned = match plan(finding, &now, args) {
        Ok(planned) => planned,
        Err(reason) => return Ok(outcome(false, format!("not done: {reason}"))),
    };
    if !args.yes {
        if !(console.ask)(&format!("{planned}?")) {
            return Ok(outcome(false, "not done: not confirmed".to_owned()));
        }
        let now = look(kubernetes, cloud, scope, console, true).await?;
        match plan(finding, &now, args) {
            Ok(again) if again == planned => {}
            Ok(other) => return Ok(outcome(false, format!("not done: meanwhile it would be: {other}"))),
            Err(reason) => return Ok(outcome(false, format!("not done: {reason}"))),
        }
    }
    Ok(match act::act(kubernetes, cloud, &planned).await {
        Ok(()) => outcome(true, format!("done: {planned}")),
        Err(error) => outcome(false, format!("not done: {planned}: {}", serve::chain::chain(&error))),
    })
}

fn plan(finding: &Finding, now: &Report, args: &AuditArgs) -> Result<Fix, String> {
    let still = now.findings.iter().find(|other| other.is(finding));
    fix(still.ok_or("meanwhile it is so no more")?, now, args.with_data)
}
