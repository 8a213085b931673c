//! `eckctl audit`: what has drifted, and where it is told so, mended.

use std::time::Duration;

use eck_csi_audit::report::Scope;
use eck_csi_audit::{Finding, Report, ReportError, report};
use serde_json::json;

use crate::args::{AuditArgs, Fixable, Format};
use crate::cluster::Kubernetes;
use crate::console::{Console, Ended};
use crate::settings::Cloud;

mod act;
mod fix;

pub use act::ActError;
pub use fix::{Fix, fix};

/// Why an audit told nothing.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// One of both could not be read.
    #[error(transparent)]
    Report(#[from] ReportError),
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
    let found = report(&kubernetes.client, &cloud.client, &scope, console.now).await?;
    if args.output == Format::Text {
        tell(&found, console)?;
    }
    let mut outcomes = Vec::new();
    for finding in found.findings.iter().filter(|finding| wanted(args, finding)) {
        let outcome = mend(kubernetes, cloud, &scope, finding, args, console).await?;
        if args.output == Format::Text {
            writeln!(console.out, "{} {}: {}", finding.kind, finding.disk, outcome.words)?;
        }
        outcomes.push(outcome);
    }
    if args.output == Format::Json {
        let looked = json!({ "volumes": found.cluster.volumes.len(), "attachments": found.cluster.attachments.len(),
            "disks": found.cloud.disks.len(), "regions": cloud.regions.iter().map(|r| r.as_str()).collect::<Vec<_>>() });
        let fix = |one: &Outcome| json!({ "disk": one.disk, "done": one.done, "message": one.words });
        let fixes: Vec<_> = outcomes.iter().map(fix).collect();
        writeln!(
            console.out,
            "{:#}",
            json!({ "looked": looked, "findings": found.findings, "fixes": fixes })
        )?;
    }
    let mended = outcomes.iter().filter(|one| one.done).count();
    Ok(if mended == found.findings.len() { Ended::Well } else { Ended::Found })
}

fn tell(found: &Report, console: &mut Console<'_>) -> std::io::Result<()> {
    for finding in &found.findings {
        writeln!(console.out, "{:<16} {}", finding.kind.as_str(), finding.message)?;
        writeln!(console.out, "{:<16} → {}", "", finding.kind.advice())?;
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

fn wanted(args: &AuditArgs, finding: &Finding) -> bool {
    use eck_csi_audit::FindingKind;
    args.fix.iter().any(|kind| match kind {
        Fixable::LeakedDisk => finding.kind == FindingKind::LeakedDisk,
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
    let now = report(&kubernetes.client, &cloud.client, scope, console.now).await?;
    let planned = match plan(finding, &now) {
        Ok(planned) => planned,
        Err(reason) => return Ok(outcome(false, format!("not done: {reason}"))),
    };
    if !args.yes {
        if !(console.ask)(&format!("{planned}?")) {
            return Ok(outcome(false, "not done: not confirmed".to_owned()));
        }
        let now = report(&kubernetes.client, &cloud.client, scope, console.now).await?;
        match plan(finding, &now) {
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

fn plan(finding: &Finding, now: &Report) -> Result<Fix, String> {
    let still = now.findings.iter().find(|other| other.is(finding));
    fix(still.ok_or("meanwhile it is so no more")?, now)
}
