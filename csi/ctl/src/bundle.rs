//! `eckctl support-bundle`: what support needs to see, in one file, without secrets. Secrets are never read from the API
//! server for it, and all that is written goes through [`scrub`].

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use eck_csi::cluster::{ClusterIdentity, Whose};
use eck_csi_audit::cloud::Placed;
use eck_csi_audit::report::{Report, Scope};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::args::BundleArgs;
use crate::cluster::Kubernetes;
use crate::console::{Console, Ended};
use crate::settings::Cloud;

mod collect;
mod content;
pub mod scrub;

use content::Content;
use scrub::Scrub;

/// What is younger is still under way: as `audit` has it.
const GRACE: Duration = Duration::from_secs(600);

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file.
    #[error("cannot write {0}")]
    File(PathBuf, #[source] std::io::Error),
    /// Output.
    #[error("the answer cannot be written")]
    Write(#[from] std::io::Error),
}

/// Collects and writes.
pub async fn bundle(
    kubernetes: &Kubernetes,
    cloud: Result<&Cloud, String>,
    args: &BundleArgs,
    console: &mut Console<'_>,
) -> Result<Ended, BundleError> {
    // Before minutes are spent on what cannot be written. It shows how the cluster is built: not for everybody.
    let file = File::options().write(true).create_new(true).open(&args.file);
    let file = file.map_err(|error| BundleError::File(args.file.clone(), error))?;
    let scrub = Scrub::new(cloud.as_ref().map(|cloud| cloud.keys.as_slice()).unwrap_or_default());
    let mut content = Content::default();
    collect::objects(kubernetes, &mut content).await;
    collect::programs(kubernetes, args.log_lines, &mut content).await;
    match &cloud {
        Ok(cloud) => audit(kubernetes, cloud, &mut content, console.now).await,
        Err(reason) => content.missing.push(format!("audit: {reason}")),
    }
    versions(kubernetes, &mut content).await;
    let missing = content.missing.join("\n");
    content
        .add("missing.txt", if missing.is_empty() { "nothing\n".to_owned() } else { format!("{missing}\n") });
    write(file, &content, &scrub, (console.now)() / 1000)
        .and_then(|file| file.sync_all())
        .map_err(|error| BundleError::File(args.file.clone(), error))?;
    let (count, missing) = (content.files.len(), content.missing.len());
    writeln!(
        console.out,
        "{}: {count} files; {missing} things could not be had (missing.txt)",
        args.file.display()
    )?;
    Ok(if missing == 0 { Ended::Well } else { Ended::Found })
}

async fn audit(kubernetes: &Kubernetes, cloud: &Cloud, content: &mut Content, now: &dyn Fn() -> u64) {
    let scope = Scope { regions: cloud.regions.clone(), cluster: cloud.cluster.clone(), grace: GRACE };
    match eck_csi_audit::report(&kubernetes.client, &cloud.client, &scope, now).await {
        Ok(report) => {
            let unread: BTreeMap<&str, &str> = crate::audit::unread(&report).collect();
            let disk = |placed: &Placed| json!({ "region": placed.region.as_str(), "disk": placed.disk });
            let ours = report.cloud.disks.iter().filter(|placed| concerns(&report, &cloud.cluster, placed));
            let disks: Vec<Value> = ours.map(disk).collect();
            content.add_json("audit.json", json!({ "findings": report.findings, "unread": unread }));
            content.add_json("cloud/disks.json", json!(disks));
        }
        Err(error) => content.lacks("audit", &error),
    }
}

/// Whether a disk is the cluster's, or something was found about it: the account's others are nobody's business.
fn concerns(report: &Report, cluster: &ClusterIdentity, placed: &Placed) -> bool {
    let id = &placed.disk.disk_id;
    matches!(placed.whose(cluster), Whose::Ours(_))
        || report.cluster.volumes.iter().any(|volume| volume.disk == *id)
        || report.findings.iter().any(|finding| finding.disk == *id)
}

async fn versions(kubernetes: &Kubernetes, content: &mut Content) {
    let server = match kubernetes.client.apiserver_version().await {
        Ok(version) => version.git_version,
        Err(error) => {
            content.lacks("the API server's version", &error);
            String::new()
        }
    };
    content.add_json("versions.json", json!({ "eckctl": env!("CARGO_PKG_VERSION"), "kubernetes": server }));
}

/// The one place where anything leaves: every file's text is scrubbed here, whatever it is.
fn write<W: Write>(to: W, content: &Content, scrub: &Scrub, seconds: u64) -> std::io::Result<W> {
    let mut archive = tar::Builder::new(GzEncoder::new(to, Compression::default()));
    for (path, body) in &content.files {
        let text = body.scrubbed(scrub);
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(seconds);
        archive.append_data(&mut header, format!("eck-csi-support/{path}"), text.as_bytes())?;
    }
    archive.into_inner()?.finish()
}

#[cfg(test)]
mod tests;
