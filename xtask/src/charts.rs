//! `cargo xtask charts`: what the charts, the manifests and the examples promise, without a cluster: that values are taken or refused
//! with words, that what is rendered is locked down, that the examples are the guide's.

mod accepted;
mod examples;
mod helm;
mod lockdown;
mod order;
mod placeholders;
mod refused;
mod schema;
mod sections;
mod text;

use std::path::Path;
use std::process::{Command, ExitCode};

use serde_json::Value;

use crate::error::Error;
use crate::process::{feed, words};
use crate::tally::Tally;

use helm::Helm;
use schema::Schema;

/// The charts below deploy/charts.
const CHARTS: [&str; 2] = ["eck-csi", "ideal-gpu"];

pub(crate) fn check(root: &Path) -> Result<ExitCode, Error> {
    let mut tally = Tally::default();
    let helm = Helm::new(root)?;
    let mut rendered = Vec::new();
    let mut refusals = Vec::new();
    for chart in CHARTS {
        let schema = Schema::read(&root.join("deploy/charts").join(chart))?;
        rendered.push((chart, accepted::check(&mut tally, &helm, chart, &schema)?));
        refusals.push((chart, schema));
    }
    for (chart, schema) in &refusals {
        let said = refused::check(&mut tally, &helm, chart, schema)?;
        let all = refused::unseen(&root.join("deploy/charts"), chart, schema, &said);
        tally.check(&format!("{chart}: no refusal is without a case"), all);
    }
    for (chart, objects) in &rendered {
        for rule in &lockdown::RULES {
            let broken = |(values, objects): &(&str, Vec<Value>)| {
                let broken = (rule.broken_by)(objects).into_iter();
                broken.map(|at| format!("{at}, {values} values")).collect::<Vec<_>>()
            };
            tally.check(&format!("{chart}: {}", rule.says), Ok(objects.iter().flat_map(broken).collect()));
        }
    }
    tally.check("ideal-gpu: the notes tell how another kube-scheduler calls the extender", notes(&helm));
    examples::check(&mut tally, &helm, root)?;
    tally.check("manifests: placeholders are where the program refuses them", placeholders::check(root));
    tally.check("manifests: they are what the charts render", manifests(root));
    Ok(tally.finish())
}

/// The notes of an installation whose extender another kube-scheduler calls.
fn notes(helm: &Helm) -> Result<Vec<String>, Error> {
    const WORDS: [&str; 5] = [
        "extenders:",
        "serverName: ideal-gpu-scheduler.gpu.svc",
        "certFile: a client certificate",
        "{name: ideal.com/vcuda-core}",
        "get secret ideal-gpu-scheduler-tls",
    ];
    Ok(text::missing(&helm.notes("ideal-gpu", accepted::values("ideal-gpu", "other"))?, &WORDS))
}

fn manifests(root: &Path) -> Result<Vec<String>, Error> {
    let output = feed(Command::new(root.join("hack/render")).arg("--check"), "")?;
    Ok(text::if_any(output.status.success(), &words(&output)))
}
