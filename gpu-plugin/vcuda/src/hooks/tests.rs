//! Is every function of the driver accounted for? Writes `COVERAGE.md` (with `UPDATE=1`) or checks that it is as it would be
//! written.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::driver::Library;
use crate::symbols;

const PASSED: &str = include_str!("../../coverage/passed.txt");
const END: &str = include_str!("../../coverage/end.md");
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/COVERAGE.md");

/// Rows of `passed.txt`: pattern and reason.
fn rows() -> Vec<(&'static str, &'static str)> {
    let row = |line: &'static str| line.split_once('\t').unwrap_or_else(|| panic!("no tab in row: {line}"));
    PASSED.lines().filter(|line| !line.starts_with('#')).map(row).collect()
}

/// Whether `*` in the pattern can stand for some text so that it is the name.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|left| {
            (0..=left.len()).any(|taken| left.get(taken..).is_some_and(|left| matches(rest, left)))
        }),
    }
}

fn wrappers(library: Library) -> BTreeMap<&'static str, &'static str> {
    let named = super::all().filter(|hook| hook.library == library);
    named.map(|hook| (hook.name.to_str().unwrap(), hook.why)).collect()
}

/// What is done with a function that has a wrapper, and why.
fn wrapped(why: &'static str) -> (&'static str, &'static str) {
    match why.strip_prefix("refused: ") {
        Some(why) => ("refused", why),
        None => ("intercepted", why),
    }
}

/// Every function of CUDA: what is done with it and why; and the names and rows that lack a counterpart.
fn account() -> (BTreeMap<&'static str, (&'static str, &'static str)>, Vec<String>) {
    let (rows, wrappers) = (rows(), wrappers(Library::Cuda));
    let mut needed = vec![false; rows.len()];
    let (mut account, mut problems) = (BTreeMap::new(), Vec::new());
    for name in symbols::all().map(|symbol| symbol.name) {
        if let Some(why) = wrappers.get(name) {
            account.insert(name, wrapped(why));
        } else if let Some(row) = rows.iter().position(|(pattern, _)| matches(pattern, name)) {
            needed[row] = true;
            account.insert(name, ("passed through", rows[row].1));
        } else {
            problems.push(format!("{name}: neither a wrapper nor a row in passed.txt"));
        }
    }
    let idle = rows.iter().zip(&needed).filter(|(_, needed)| !**needed);
    problems
        .extend(idle.map(|((pattern, _), _)| format!("{pattern}: no function needs this row of passed.txt")));
    let unknown = wrappers.keys().filter(|name| !account.contains_key(**name));
    problems.extend(unknown.map(|name| format!("{name}: a wrapper that symbols.txt does not know")));
    (account, problems)
}

fn table(text: &mut String, rows: &BTreeMap<&str, (&str, &str)>) {
    text.push_str("| function | what is done | why |\n|---|---|---|\n");
    for (name, (what, why)) in rows {
        writeln!(text, "| `{name}` | {what} | {why} |").unwrap();
    }
}

/// The whole of `COVERAGE.md`.
fn written(account: &BTreeMap<&'static str, (&'static str, &'static str)>) -> String {
    let count = |what: &str| account.values().filter(|(done, _)| *done == what).count();
    let mut text = String::from("# What libvcuda does with every function of the driver\n\n");
    writeln!(
        text,
        "Written by `hack/coverage --update` from `symbols.txt` (the names that `libcuda.so.1` exports, from the headers of CUDA\n\
         13.5), the wrappers in `src/hooks` and the reasons in `coverage/passed.txt`. CI fails when a function is missing here.\n\n\
         {} functions of CUDA: {} intercepted, {} refused, {} passed through, 0 without a decision.\n\n## CUDA\n",
        account.len(),
        count("intercepted"),
        count("refused"),
        count("passed through"),
    )
    .unwrap();
    table(&mut text, account);
    text.push_str("\n## NVML\n\nAll others pass through: they tell what a card is and does.\n\n");
    let nvml = wrappers(Library::Nvml).into_iter().map(|(name, why)| (name, wrapped(why))).collect();
    table(&mut text, &nvml);
    text.push('\n');
    text.push_str(END);
    text
}

#[test]
fn coverage_is_complete_and_written_down() {
    let (account, problems) = account();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let written = written(&account);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(FILE, &written).unwrap();
    }
    let there = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(there == written, "COVERAGE.md is not up to date: run hack/coverage --update");
}

#[test]
fn a_star_is_any_text() {
    assert!(matches("cuMem*MemPool", "cuMemGetDefaultMemPool"));
    assert!(matches("cuMemcpy*", "cuMemcpy"));
    assert!(!matches("cuMem*MemPool", "cuMemPoolCreate"));
    assert!(!matches("cuDeviceGet", "cuDeviceGetCount"));
}
