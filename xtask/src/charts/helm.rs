//! helm and kubectl, without a cluster.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::error::Error;
use crate::process::{feed, kubernetes, words};

pub(super) struct Helm {
    root: PathBuf,
    helm: PathBuf,
    kubectl: PathBuf,
}

impl Helm {
    /// helm and kubectl of .cache/k8s/bin; if they are not there they are built.
    pub(super) fn new(root: &Path) -> Result<Self, Error> {
        let folder = kubernetes(root, &["helm", "kubectl"])?;
        Ok(Self { root: root.to_owned(), helm: folder.join("helm"), kubectl: folder.join("kubectl") })
    }

    fn chart(&self, name: &str) -> PathBuf {
        self.root.join("deploy/charts").join(name)
    }

    /// What the chart renders with the values of these texts, of which a later one goes first; or why it does not.
    pub(super) fn template(&self, chart: &str, values: &[&str]) -> Result<Output, Error> {
        let mut command = Command::new(&self.helm);
        command.args(["template", chart]).arg(self.chart(chart)).args(["--namespace", "kube-system"]);
        with_values(command, values)
    }

    /// What is wrong with the chart and these values.
    pub(super) fn lint(&self, chart: &str, values: &str) -> Result<Output, Error> {
        let mut command = Command::new(&self.helm);
        command.args(["lint", "--strict", "--quiet"]).arg(self.chart(chart));
        with_values(command, &[values])
    }

    /// What an installation with these values tells its user.
    pub(super) fn notes(&self, chart: &str, values: &str) -> Result<String, Error> {
        let mut command = Command::new(&self.helm);
        command.args(["install", "--dry-run=client", "gpu"]).arg(self.chart(chart)).args(["-n", "gpu"]);
        Ok(words(&with_values(command, &[values])?))
    }

    /// The objects of a text in YAML. Only `--local` reads it without asking an API server what its kinds are.
    pub(super) fn objects(&self, yaml: &str) -> Result<Vec<Value>, Error> {
        let output = feed(self.label().args(["-o", "json", "-f", "-"]), yaml)?;
        if !output.status.success() {
            return Err(Error::Tool("kubectl".into(), words(&output)));
        }
        let objects = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
        let objects: Result<Vec<Value>, _> = objects.collect();
        objects.map_err(|error| Error::Tool("kubectl".into(), error.to_string()))
    }

    /// What kubectl calls the objects: each `KIND/NAME`.
    pub(super) fn names(&self, yaml: &str) -> Result<String, Error> {
        Ok(words(&feed(self.label().args(["-o", "name", "-f", "-"]), yaml)?))
    }

    fn label(&self) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.args(["label", "--local", "--overwrite", "--dry-run=client", "checked=yes"]);
        command
    }
}

/// Runs helm with these values: files, since it reads one text only from its standard input.
fn with_values(mut command: Command, values: &[&str]) -> Result<Output, Error> {
    let folder = tempfile::tempdir().map_err(Error::io(Path::new("a temporary folder")))?;
    for (number, text) in values.iter().enumerate() {
        let file = folder.path().join(format!("values-{number}.yaml"));
        std::fs::write(&file, text).map_err(Error::io(&file))?;
        command.arg("--values").arg(file);
    }
    feed(&mut command, "")
}
