//! Who may import whom, and the other rules of CONTRIBUTING that no compiler checks.
//!
//! The rules are in `layers.toml`. What breaks one today and is known stands in `layers-known.txt`, which may only shrink.

mod circles;
mod crates;
mod imports;
mod known;
mod rules;
mod shapes;
mod violation;

use std::path::Path;

use crate::error::Error;
use crate::workspace::Workspace;

use rules::Rules;

/// What is wrong with the workspace in the folder: a line each, `file:line: rule`.
pub(crate) fn check(folder: &Path) -> Result<Vec<String>, Error> {
    let workspace = Workspace::of(folder)?;
    let rules = Rules::read(&workspace.root.join("xtask/layers.toml"))?;
    let mut found = crates::check(&workspace, &rules)?;
    found.extend(imports::check(&workspace, &rules)?);
    found.extend(circles::check(&workspace)?);
    found.extend(shapes::check(&workspace)?);
    known::without(&workspace.root.join("xtask/layers-known.txt"), found)
}

#[cfg(test)]
mod tests;
