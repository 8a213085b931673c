//! docs/*/install.md lists the calls of the cloud, so that a key can be given no more rights than it needs: the list is that of the code.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ecx::Profile;
use ecx::api::Op;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What a row tells of a call.
#[derive(Debug, PartialEq)]
struct Row {
    path: String,
    reads: bool,
    /// Whether the controller, the audit and eckctl's other commands make it.
    made_by: [bool; 3],
}

/// The rows of the table in a document, by the call's name.
fn rows(document: &str) -> BTreeMap<String, Row> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?.to_owned();
        let (path, reads) = (cells.get(2)?.trim_matches('`').to_owned(), cells.get(3)?);
        let reads = matches!(*reads, "read" | "读");
        let made_by = [4, 5, 6].map(|column| cells.get(column).is_some_and(|cell| *cell != "–"));
        (cells.len() == 8).then_some((name, Row { path, reads, made_by }))
    };
    document.lines().filter_map(row).collect()
}

/// All text of the sources below a folder, but for tests.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.file_name().is_some_and(|name| name != "tests.rs") {
            text += &fs::read_to_string(&path).unwrap();
        }
    }
    text
}

/// Whether a source makes the call, by the client's method or by the call's name.
fn makes(source: &str, op: Op) -> bool {
    let name = format!("{op:?}");
    // The client makes it of the other by itself, where the order names a snapshot.
    let method = if op == Op::CreateDiskFromSnapshot { "CreateDisk" } else { &name };
    let mut snake = String::new();
    for letter in method.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    // `list_all_…` makes the call for every page.
    let every_page = snake.replacen("list_", "list_all_", 1);
    let by_method = [&snake, &every_page].iter().any(|method| source.contains(&format!(".{method}(")));
    let told = |line: &str| line.starts_with("snapshot_id:") && !line.starts_with("snapshot_id: None");
    let with_snapshot = || source.lines().any(|line| told(line.trim()));
    (by_method && (op != Op::CreateDiskFromSnapshot || with_snapshot()))
        || source.contains(&format!("told(Op::{name},"))
}

#[test]
fn the_documents_list_every_call_who_makes_it_and_what_only_reads() {
    let folders = ["csi/controller/src", "csi/audit/src", "csi/ctl/src"];
    let sources = folders.map(|folder| sources(&root().join(folder)));
    let profile = Profile::default();
    for language in ["en", "zh"] {
        let document = fs::read_to_string(root().join(format!("docs/{language}/install.md"))).unwrap();
        let mut rows = rows(&document);
        for op in Op::ALL {
            let row = rows.remove(&format!("{op:?}"));
            let path = if profile.has(op) { profile.path(op).to_owned() } else { "–".to_owned() };
            let made_by = [0, 1, 2].map(|program: usize| makes(&sources[program], op));
            let expected = Row { path, reads: op.reads(), made_by };
            assert_eq!(row, Some(expected), "docs/{language}/install.md: {op:?}");
        }
        assert!(rows.is_empty(), "docs/{language}/install.md: no calls: {:?}", rows.keys());
    }
}
