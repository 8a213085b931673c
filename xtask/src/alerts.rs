//! `cargo xtask alerts`: every metric that a dashboard (deploy/dashboards) or an alert (deploy/alerts) asks for stands in
//! deploy/metrics.txt, what stands there is what the programs register, and the documents for users tell of each.

mod asked;
mod documented;
mod registered;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::error::Error;
use crate::files::{read, with_extension};
use crate::tally::Tally;

pub(crate) use asked::{Listed, expressions};

/// An expression fewer than these in a dashboard or a file of alerts: the reader has not understood it.
const EXPRESSIONS_AT_LEAST: usize = 4;

/// Dashboards and files of alerts below this folder, in the order of the names.
pub(crate) fn askers(deploy: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = with_extension(&deploy.join("dashboards"), "json")?;
    files.extend(with_extension(&deploy.join("alerts"), "yaml")?);
    Ok(files)
}

pub(crate) fn check(root: &Path) -> Result<ExitCode, Error> {
    let mut tally = Tally::default();
    let listed = Listed::parse(&read(&root.join("deploy/metrics.txt"))?);
    let registered = registered::names(root)?;
    tally.check(
        "deploy/metrics.txt has the names that the code registers",
        Ok(registered::differences(&registered, &listed)),
    );
    for language in ["en", "zh"] {
        let name = format!("docs/{language}/troubleshoot.md");
        let wrong = documented::differences(&read(&root.join(&name))?, &listed);
        tally.check(&format!("{name} has a row about each metric"), Ok(wrong));
    }
    for file in askers(&root.join("deploy"))? {
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        let expressions = expressions(&file, &read(&file)?)?;
        let ours = expressions.iter().filter(|expression| asked::names_ours(expression)).count();
        let few = (ours < EXPRESSIONS_AT_LEAST).then(|| format!("only {ours} expressions"));
        tally.check(&format!("{name} asks for something"), Ok(few.into_iter().collect()));
        tally.check(&format!("{name} asks for what there is"), Ok(asked::unknown(&expressions, &listed)));
        tally.check(&format!("{name} names RPCs in full"), Ok(asked::short_rpcs(&expressions)));
    }
    planted(&mut tally, &listed)?;
    Ok(tally.finish())
}

/// A check that finds nothing wrong with a wrong name is none.
fn planted(tally: &mut Tally, listed: &Listed) -> Result<(), Error> {
    let file = Path::new("planted.yaml");
    let wrong = expressions(file, "expr: rate(ecx_callz_total[5m]) + eck_csi_audit_findings\n")?;
    let seen = asked::unknown(&wrong, listed) == ["ecx_callz_total"];
    tally.check("a planted wrong name is found", Ok(not_found(seen)));
    let half = expressions(file, "expr: rate(grpc_server_handled_total{method=\"NodeStageVolume\"}[5m])\n")?;
    let seen = !asked::short_rpcs(&half).is_empty();
    tally.check("a planted half name of an RPC is found", Ok(not_found(seen)));
    Ok(())
}

fn not_found(seen: bool) -> Vec<String> {
    if seen { Vec::new() } else { vec!["it is not".to_owned()] }
}
