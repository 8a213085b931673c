//! `layers.toml`: the tables, and the patterns of paths in them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::error::Error;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    /// Our crates that are no product: they test it or build it.
    pub rigs: Vec<String>,
    /// Every crate of ours.
    pub crates: BTreeMap<String, CrateRule>,
    /// Every foreign crate, under the name that it has in code.
    pub foreign: BTreeMap<String, PlaceRule>,
    /// Paths into the standard library, and single words, that have a place of their own.
    pub banned: BTreeMap<String, PlaceRule>,
}

/// What a crate of ours may depend on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CrateRule {
    /// Of our own crates, those that it may depend on, and no others.
    #[serde(default)]
    pub uses: Vec<String>,
    /// The same for its tests.
    #[serde(default)]
    pub tests_use: Vec<String>,
    /// Crates that nothing it links may be, however deep.
    #[serde(default)]
    pub never: Vec<String>,
    #[serde(default)]
    pub why: String,
}

/// Where product code may name something.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceRule {
    /// Files and, with a slash at the end, folders; `**` is any folders, `*` a part of a name.
    #[serde(default)]
    pub only_in: Vec<String>,
    #[serde(default)]
    pub never_in: Vec<String>,
    pub why: String,
}

impl Rules {
    pub(super) fn read(file: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(file).map_err(Error::io(file))?;
        toml::from_str(&text).map_err(|error| Error::Unreadable(file.to_owned(), error.to_string()))
    }
}

impl PlaceRule {
    /// Whether what the rule is about may be named in the file.
    pub(super) fn allows(&self, file: &Path) -> bool {
        let file = file.to_string_lossy();
        let here = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, &file));
        here(&self.only_in) && !here(&self.never_in)
    }
}

/// Whether the pattern is about the file.
pub(super) fn matches(pattern: &str, file: &str) -> bool {
    let mut pattern: Vec<&str> = pattern.split('/').collect();
    if pattern.last() == Some(&"") {
        pattern.pop();
        pattern.push("**");
    }
    match_parts(&pattern, &file.split('/').collect::<Vec<_>>())
}

fn match_parts(pattern: &[&str], parts: &[&str]) -> bool {
    match (pattern.split_first(), parts.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => (0..=parts.len()).any(|skipped| match_parts(rest, &parts[skipped..])),
        (Some((name, rest)), Some((part, others))) => match_name(name, part) && match_parts(rest, others),
        _ => false,
    }
}

fn match_name(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => {
            let fits = name.len() >= before.len() + after.len();
            fits && name.starts_with(before) && name.ends_with(after)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_file_a_folder_or_a_name_anywhere() {
        for (pattern, file, wanted) in [
            ("csi/node/src/host.rs", "csi/node/src/host.rs", true),
            ("csi/node/src/host.rs", "csi/node/src/host/mount.rs", false),
            ("csi/node/src/host/", "csi/node/src/host/content/ext.rs", true),
            ("csi/node/src/host/", "csi/node/src/host.rs", false),
            ("**/args.rs", "args.rs", true),
            ("**/args.rs", "csi/node/src/args.rs", true),
            ("csi/**/error.rs", "csi/error.rs", true),
            ("csi/*/src/error.rs", "csi/node/src/error.rs", true),
            ("csi/*/src/error.rs", "csi/node/other/src/error.rs", false),
            ("**/error*", "csi/src/errors.rs", true),
            ("**", "any/thing.rs", true),
        ] {
            assert_eq!(matches(pattern, file), wanted, "{pattern} {file}");
        }
    }
}
