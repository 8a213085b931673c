//! Which crate depends on which: by the manifests, and by what a program links in the end.

use std::path::{Path, PathBuf};

use super::rules::Rules;
use super::violation::Violation;
use crate::error::Error;
use crate::process;
use crate::workspace::{Package, Workspace};

pub(super) fn check(workspace: &Workspace, rules: &Rules) -> Result<Vec<Violation>, Error> {
    let mut found = Vec::new();
    for package in &workspace.packages {
        let manifest = Manifest::read(workspace, package)?;
        found.extend(manifest.dependencies(package, rules));
        found.extend(manifest.links(workspace, package, rules)?);
    }
    let gone =
        rules.crates.keys().filter(|name| workspace.packages.iter().all(|package| package.name != **name));
    found.extend(gone.map(|name| missing(name)));
    Ok(found)
}

fn missing(name: &str) -> Violation {
    let text = format!("the row crates.{name} is about no crate of ours");
    Violation { file: "xtask/layers.toml".into(), line: 1, key: format!("row {name}"), text }
}

/// A `Cargo.toml` with its place.
struct Manifest {
    file: PathBuf,
    text: String,
}

impl Manifest {
    fn read(workspace: &Workspace, package: &Package) -> Result<Self, Error> {
        let path: &Path = &package.manifest_path;
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        Ok(Self { file: workspace.short(path).to_owned(), text })
    }

    /// Where the crate is named; the first line where it is not.
    fn line_of(&self, name: &str, tests: bool) -> usize {
        let names = |line: &str| {
            let rest =
                line.strip_prefix(name).or_else(|| line.split_once("dependencies.")?.1.strip_prefix(name));
            rest.is_some_and(|rest| rest.starts_with(['.', ']', ' ', '=']))
        };
        let lines: Vec<usize> =
            (1..).zip(self.text.lines()).filter(|(_, line)| names(line)).map(|(at, _)| at).collect();
        // Those of tests come last.
        if tests { lines.last() } else { lines.first() }.copied().unwrap_or(1)
    }

    fn violation(&self, line: usize, text: String) -> Violation {
        Violation { file: self.file.clone(), line, key: text.clone(), text }
    }

    /// What the manifest names: of our crates those that it may, of others those that have a row.
    fn dependencies(&self, package: &Package, rules: &Rules) -> Vec<Violation> {
        let Some(rule) = rules.crates.get(&package.name) else {
            let text = format!("the crate {} has no row in xtask/layers.toml", package.name);
            return vec![self.violation(1, text)];
        };
        let mut found = Vec::new();
        for dependency in &package.dependencies {
            let (tests, name) = (dependency.kind.as_deref() == Some("dev"), &dependency.name);
            let allowed = if tests { &rule.tests_use } else { &rule.uses };
            let text = if dependency.path.is_none() {
                let known = rules.foreign.contains_key(&name.replace('-', "_"));
                (!known).then(|| format!("the foreign crate {name} has no row in xtask/layers.toml"))
            } else if allowed.contains(name) {
                None
            } else {
                let who = if tests { "tests of " } else { "" };
                Some(format!(
                    "{who}{} must not depend on {name}; of our crates: {}",
                    package.name,
                    allowed.join(", ")
                ))
            };
            found.extend(text.map(|text| self.violation(self.line_of(name, tests), text)));
        }
        found
    }

    /// What is linked, with every feature that a build of it may have.
    fn links(
        &self,
        workspace: &Workspace,
        package: &Package,
        rules: &Rules,
    ) -> Result<Vec<Violation>, Error> {
        let Some(rule) = rules.crates.get(&package.name).filter(|rule| !rule.never.is_empty()) else {
            return Ok(Vec::new());
        };
        let tree = [
            "tree",
            "--offline",
            "--quiet",
            "-e",
            "normal",
            "--all-features",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "-p",
        ];
        let linked = process::cargo(&workspace.root, tree.into_iter().chain([package.name.as_str()]))?;
        let links = |name: &str| linked.lines().any(|line| line.split(' ').next() == Some(name));
        let broken = rule.never.iter().filter(|name| links(name));
        let text = |name: &String| format!("{} links {name}: {}", package.name, rule.why);
        Ok(broken.map(|name| self.violation(self.line_of(name, false), text(name))).collect())
    }
}
