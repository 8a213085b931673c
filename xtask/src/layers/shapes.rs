//! The form of files: length, names, functions, and the text at the head of each.

use std::path::Path;

use super::violation::Violation;
use crate::error::Error;
use crate::rust::{functions, tokens};
use crate::workspace::Workspace;

/// Lines of a file at most: one concept each.
const FILE_LINES: usize = 400;

/// Lines of a function at most, from `fn` to the closing brace. Clippy's `too_many_lines` has the same number, and counts code alone.
const FUNCTION_LINES: usize = 50;

/// Names that say nothing of what is in a file.
const VAGUE: [&str; 6] = ["util", "utils", "helper", "helpers", "common", "manager"];

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>, Error> {
    let mut found = Vec::new();
    for path in workspace.sources()? {
        let file = workspace.short(&path);
        let mut say = |line: usize, key: &str, text: String| {
            let key = format!("{key} {}", file.display());
            found.push(Violation { file: file.to_owned(), line, key, text });
        };
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let lines = text.lines().count();
        if lines > FILE_LINES {
            say(FILE_LINES, "long file", format!("{lines} lines; at most {FILE_LINES}, one concept a file"));
        }
        if let Some(name) = vague(file) {
            say(1, "vague name", format!("the name {name} says nothing: name the concept"));
        }
        if file.ends_with("mod.rs") && !is_shared_by_tests(file) {
            say(1, "mod.rs", "foo.rs beside foo/, not foo/mod.rs".into());
        }
        if !text.starts_with("//!") && !is_test_module(file) {
            say(1, "no head", "begins without `//!`: say in a line what the file is for".into());
        }
        for function in functions(tokens(&path)?).iter().filter(|function| function.lines > FUNCTION_LINES) {
            let text = format!("fn {} has {} lines; at most {FUNCTION_LINES}", function.name, function.lines);
            say(function.line, &format!("long fn {}", function.name), text);
        }
    }
    Ok(found)
}

/// The part of the path that says nothing.
fn vague(file: &Path) -> Option<String> {
    let parts = file.iter().map(|part| part.to_string_lossy().trim_end_matches(".rs").to_owned());
    parts.into_iter().find(|part| VAGUE.contains(&part.as_str()))
}

/// In `tests/` a folder with `mod.rs` is the only form that several test programs can share.
fn is_shared_by_tests(file: &Path) -> bool {
    file.iter().any(|part| part == "tests") && !file.iter().any(|part| part == "src")
}

/// The tests of a module, in a file of their own: that module says what it is for.
fn is_test_module(file: &Path) -> bool {
    let below_src = file.iter().skip_while(|part| *part != "src");
    below_src.into_iter().any(|part| part == "tests" || part == "tests.rs")
}
