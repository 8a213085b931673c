//! `cargo xtask metrics`: dashboards and alerts ask for metrics and labels that exist, and the rules are sound. Where
//! `cargo xtask alerts` looks for names, this reads PromQL with Prometheus' own parser, labels included, and plays the rules of
//! deploy/alerts/tests.

mod mutations;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::alerts::{Listed, askers, expressions};
use crate::error::Error;
use crate::files::{read, with_extension};
use crate::process::{feed, kubernetes, words};

/// Labels that Prometheus adds to whatever it scrapes.
const OF_PROMETHEUS: [&str; 3] = ["instance", "job", "pod"];

/// Prometheus' programs.
struct Tools {
    /// hack/k8s/prometheus/selectors: of each expression the metrics with the labels that are named of them.
    selectors: PathBuf,
    promtool: PathBuf,
}

impl Tools {
    fn new(root: &Path) -> Result<Self, Error> {
        let folder = kubernetes(root, &["promtool", "selectors"])?;
        Ok(Self { selectors: folder.join("selectors"), promtool: folder.join("promtool") })
    }
}

/// What is wrong.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, Error> {
    check_folder(&Tools::new(root)?, &root.join("deploy"))
}

/// Puts wrong names and labels into a copy, one at a time: each must be seen.
pub(crate) fn self_test(root: &Path) -> Result<Vec<String>, Error> {
    let tools = Tools::new(root)?;
    mutations::unseen(root, |deploy| Ok(!check_folder(&tools, deploy)?.is_empty()))
}

fn check_folder(tools: &Tools, deploy: &Path) -> Result<Vec<String>, Error> {
    let mut asked = Vec::new();
    for file in askers(deploy)? {
        asked.extend(expressions(&file, &read(&file)?)?);
    }
    let selected = feed(&mut Command::new(&tools.selectors), &(asked.join("\n") + "\n"))?;
    let listed = Listed::parse(&read(&deploy.join("metrics.txt"))?);
    let mut found: Vec<String> =
        String::from_utf8_lossy(&selected.stderr).lines().map(str::to_owned).collect();
    found.extend(unknown(&String::from_utf8_lossy(&selected.stdout), &listed));
    let rules = with_extension(&deploy.join("alerts"), "yaml")?;
    found.extend(refused(Command::new(&tools.promtool).args(["check", "rules"]).args(rules))?);
    let tests = deploy.join("alerts/tests/rules.yaml");
    found.extend(refused(Command::new(&tools.promtool).args(["test", "rules"]).arg(tests))?);
    Ok(found)
}

/// What the program says if it fails.
fn refused(command: &mut Command) -> Result<Option<String>, Error> {
    let output = feed(command, "")?;
    Ok((!output.status.success()).then(|| words(&output)))
}

/// Of lines `METRIC LABEL...`, the metrics and labels that there are not.
fn unknown(selected: &str, listed: &Listed) -> Vec<String> {
    let mut lines: Vec<&str> = selected.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    let mut found = Vec::new();
    for line in lines {
        let mut words = line.split_whitespace();
        let Some(name) = words.next() else { continue };
        let Some(known) = listed.labels(name) else {
            found.push(format!("{name} is no metric of ours"));
            continue;
        };
        let wrong = words.filter(|label| !known.contains(label) && !OF_PROMETHEUS.contains(label));
        found.extend(wrong.map(|label| format!("{name} has no label {label}")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "ecx_calls_total eck-csi-controller op\ngrpc_server_handling_seconds any method\n";

    #[test]
    fn metrics_and_labels_that_there_are_pass() {
        let selected = "ecx_calls_total op pod\ngrpc_server_handling_seconds_bucket le method\n";
        assert_eq!(unknown(selected, &Listed::parse(LISTED)), [""; 0]);
    }

    #[test]
    fn a_metric_that_there_is_not_is_found() {
        let found = unknown("ecx_callz_total op\n", &Listed::parse(LISTED));
        assert_eq!(found, ["ecx_callz_total is no metric of ours"]);
    }

    #[test]
    fn a_label_that_a_metric_does_not_have_is_found() {
        let found = unknown("ecx_calls_total opp le\n", &Listed::parse(LISTED));
        assert_eq!(found, ["ecx_calls_total has no label opp", "ecx_calls_total has no label le"]);
    }

    #[test]
    fn what_a_program_says_against_a_file_is_found() {
        let mut command = Command::new("sh");
        let said = refused(command.args(["-c", "echo wrong >&2; exit 1"])).unwrap();
        assert_eq!(said.as_deref(), Some("wrong\n"));
        assert_eq!(refused(&mut Command::new("true")).unwrap(), None);
    }
}
