//! What cargo knows of the workspace.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::Error;
use crate::process;

/// The workspace's packages and where it is.
#[derive(Deserialize)]
pub(crate) struct Workspace {
    #[serde(rename = "workspace_root")]
    pub root: PathBuf,
    pub target_directory: PathBuf,
    pub packages: Vec<Package>,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub name: String,
    pub manifest_path: PathBuf,
    pub dependencies: Vec<Dependency>,
    pub targets: Vec<CompiledTarget>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub name: String,
    /// `dev`, `build`, or none for one that is linked.
    pub kind: Option<String>,
    /// Of a package of ours, its folder.
    pub path: Option<PathBuf>,
}

/// A library, a program, a build script, a test.
#[derive(Deserialize)]
pub(crate) struct CompiledTarget {
    pub kind: Vec<String>,
    pub src_path: PathBuf,
}

impl CompiledTarget {
    /// Whether it is a test, a benchmark or an example: nothing that is shipped.
    pub(crate) fn is_test(&self) -> bool {
        self.kind.iter().any(|kind| matches!(kind.as_str(), "test" | "bench" | "example"))
    }
}

impl Workspace {
    /// Asks cargo in this folder.
    pub(crate) fn of(folder: &Path) -> Result<Self, Error> {
        let said = process::cargo(folder, ["metadata", "--format-version", "1", "--no-deps", "--offline"])?;
        serde_json::from_str(&said).map_err(|error| Error::Tool("cargo metadata".into(), error.to_string()))
    }

    /// The path as it is written everywhere: from the root.
    pub(crate) fn short<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    /// Every `.rs` file, in the order of the names. Hidden folders and what cargo builds are left out.
    pub(crate) fn sources(&self) -> Result<Vec<PathBuf>, Error> {
        let mut found = Vec::new();
        self.collect(&self.root, &mut found)?;
        found.sort();
        Ok(found)
    }

    fn collect(&self, folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Error> {
        for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
            let entry = entry.map_err(Error::io(folder))?;
            let path = entry.path();
            // Also what was built with another target directory than today's.
            let name = entry.file_name();
            let left_out = name.to_string_lossy().starts_with('.') || name == "target";
            let kind = entry.file_type().map_err(Error::io(&path))?;
            if kind.is_dir() && !left_out && path != self.target_directory {
                self.collect(&path, found)?;
            } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
        Ok(())
    }
}
