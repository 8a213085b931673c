//! Wrong names and labels for a copy of deploy: what is not seen there would not be seen anywhere.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::files::read;
use crate::process::output;

/// File, a text of it, and what is written in its first place.
const MUTATIONS: [(&str, &str, &str); 10] = [
    ("dashboards/eck-csi.json", "eck_csi_audit_findings", "eck_csi_audit_finding"),
    ("dashboards/eck-csi.json", "grpc_server_handling_seconds_bucket", "grpc_server_handling_bucket"),
    ("dashboards/eck-csi.json", "by (op)", "by (opp)"),
    ("dashboards/ideal-gpu.json", "by (verb, reason)", "by (verb, why)"),
    ("alerts/eck-csi.yaml", "code=~", "codes=~"),
    ("alerts/eck-csi.yaml", "min(ecx_rate_factor)", "min(ecx_rates_factor)"),
    ("alerts/ideal-gpu.yaml", "max(ideal_gpu_scheduler_leader)", "max(ideal_gpu_scheduler_leader"),
    ("alerts/eck-csi.yaml", "csi.v1.Controller/ControllerPublishVolume", "ControllerPublishVolume"),
    ("alerts/tests/rules.yaml", "EckCsiAuditFindsDrift\n", "EckCsiDrifts\n"),
    ("metrics.txt", "\nideal_gpu_isolation", "\nideal_gpu_isolated"),
];

/// Those that the check does not see in a copy of deploy.
pub(super) fn unseen(root: &Path, sees: impl Fn(&Path) -> Result<bool, Error>) -> Result<Vec<String>, Error> {
    let mut missed = Vec::new();
    for (file, from, to) in MUTATIONS {
        let copy = tempfile::tempdir().map_err(Error::io(Path::new("a temporary folder")))?;
        output(Command::new("cp").arg("-r").arg(root.join("deploy")).arg(copy.path()))?;
        let deploy = copy.path().join("deploy");
        let path = deploy.join(file);
        let text = read(&path)?;
        if !text.contains(from) {
            missed.push(format!("{file} has no {from:?} any more"));
            continue;
        }
        fs::write(&path, text.replacen(from, to, 1)).map_err(Error::io(&path))?;
        if !sees(&deploy)? {
            missed.push(format!("not seen: {to:?} for {from:?} in {file}"));
        }
    }
    Ok(missed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    #[test]
    fn every_mutation_changes_a_file() {
        assert_eq!(unseen(root(), |_| Ok(true)).unwrap(), [""; 0]);
    }

    #[test]
    fn a_check_that_sees_nothing_is_found() {
        let missed = unseen(root(), |_| Ok(false)).unwrap();
        assert_eq!(missed.len(), MUTATIONS.len());
    }
}
