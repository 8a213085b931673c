//! No parser without a target: every file of the product that shows a sign of parsing has a row in `parsers.txt`, with the targets that
//! run it or the reason why none does.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a parser is written with.
const SIGNS: [&str; 13] = [
    "Deserialize",
    "serde_json::from_",
    "toml::from_",
    "FromStr for",
    "TryFrom<",
    ".parse()",
    ".parse::<",
    "from_le_bytes",
    "from_be_bytes",
    "from_ne_bytes",
    "from_utf8",
    "split_once",
    "fn parse",
];

/// Where the product's sources are.
const SOURCES: [&str; 16] = [
    "csi/src",
    "csi/node/src",
    "csi/controller/src",
    "csi/ecx/src",
    "gpu-plugin/src",
    "gpu-plugin/cards/src",
    "gpu-plugin/plugin/src",
    "gpu-plugin/scheduler/src",
    "gpu-plugin/vcuda/src",
    "proto/src",
    "proto/serve/src",
    "proto/admission/src",
    "csi/audit/src",
    "csi/admission/src",
    "csi/fencing/src",
    "csi/ctl/src",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "tests" {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

/// The first sign of parsing outside of comments and of the tests at the file's end.
fn sign(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let product = text.split("\n#[cfg(test)]\nmod ").next().unwrap();
    let code = product.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    code.filter(|line| SIGNS.iter().any(|sign| line.contains(sign))).map(str::to_owned).next()
}

/// The rows: a file, then targets joined by commas, or `-` and a reason.
fn rows() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join("fuzz/parsers.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let row = |line: &str| {
        let (file, rest) =
            line.split_once(' ').unwrap_or_else(|| panic!("{line}: a file and what covers it"));
        (file.to_owned(), rest.trim_start().to_owned())
    };
    lines.map(row).collect()
}

#[test]
fn every_file_that_parses_is_covered_by_a_target_or_has_a_reason() {
    let (root, rows) = (root(), rows());
    let mut found = Vec::new();
    SOURCES.iter().for_each(|folder| sources(&root.join(folder), &mut found));
    assert!(found.len() > 100, "{} files: have the folders moved?", found.len());
    let mut missing = Vec::new();
    for path in found {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        if let Some(line) = sign(&path).filter(|_| !rows.contains_key(&name)) {
            missing.push(format!("{name}: {line}"));
        }
    }
    let missing = missing.join("\n");
    assert!(missing.is_empty(), "no row in fuzz/parsers.txt: which target runs it, or why none?\n{missing}");
}

#[test]
fn every_row_names_a_file_that_parses_and_targets_that_exist() {
    for (file, covered) in rows() {
        let path = root().join(&file);
        assert!(path.exists() && sign(&path).is_some(), "{file} parses nothing (any more): drop its row");
        match covered.strip_prefix('-') {
            Some(reason) => assert!(reason.trim().len() > 10, "{file}: a reason is a sentence"),
            None => {
                let unknown = covered.split(',').find(|name| fuzz::target(name.trim()).is_none());
                assert!(unknown.is_none(), "{file}: {unknown:?} is no target");
            }
        }
    }
}
