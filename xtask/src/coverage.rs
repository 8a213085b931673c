//! `cargo xtask coverage`: is every function of the CUDA driver accounted for? gpu-plugin/vcuda/COVERAGE.md beside the wrappers in
//! the library, the reasons in coverage/passed.txt and the names in symbols.txt.

mod symbols;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use regex::Regex;

use crate::error::Error;
use crate::files::read;
use crate::pattern::pattern;
use crate::process::{cargo, output};
use crate::workspace::Workspace;

static WRAPPER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)^\| `([a-zA-Z0-9_]+)` \| (?:intercepted|refused) \|"));

/// What the library exports beside the driver's functions.
const LOADER: [&str; 4] = ["dlsym", "dlvsym", "dlopen", "dlmopen"];

/// Compares COVERAGE.md with the sources, or writes it anew, and with what the built library exports. Prints the sum.
pub(crate) fn check(root: &Path, update: bool) -> Result<Vec<String>, Error> {
    // The table is made by a test of the library, which knows its wrappers.
    let mut test = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    test.args(["test", "--locked", "--quiet", "-p", "vcuda", "--lib", "coverage"]).current_dir(root);
    if update {
        test.env("UPDATE", "1");
    }
    print!("{}", output(&mut test)?);
    cargo(root, ["build", "--locked", "--quiet", "-p", "vcuda"])?;
    let library = Workspace::of(root)?.target_directory.join("debug/libvcuda.so");
    let exported = output(Command::new("nm").args(["-D", "--defined-only"]).arg(library))?;
    let table = read(&root.join("gpu-plugin/vcuda/COVERAGE.md"))?;
    if let Some(sum) = table.lines().find(|line| line.contains("functions")) {
        println!("{sum}");
    }
    Ok(missing(&table, &exported))
}

/// Writes symbols.txt anew from NVIDIA's headers in the folder: hack/cuda-headers fetches them.
pub(crate) fn write_symbols(root: &Path, headers: &Path) -> Result<Vec<String>, Error> {
    let text = symbols::list(&root.join(headers))?;
    let file = root.join("gpu-plugin/vcuda/symbols.txt");
    std::fs::write(&file, text).map_err(Error::io(&file))?;
    Ok(Vec::new())
}

/// Wrappers of the table that the library does not export, as `nm` lists what it does.
fn missing(table: &str, exported: &str) -> Vec<String> {
    let exported: BTreeSet<&str> = exported.lines().filter_map(exported_function).collect();
    let wrappers: BTreeSet<&str> = WRAPPER
        .captures_iter(table)
        .filter_map(|row| row.get(1))
        .map(|name| name.as_str())
        .chain(LOADER)
        .collect();
    let missing = wrappers.difference(&exported);
    missing.map(|name| format!("not exported by libvcuda.so: {name}")).collect()
}

/// The name in a line `ADDRESS T NAME`.
fn exported_function(line: &str) -> Option<&str> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    (fields.get(1) == Some(&"T")).then(|| fields.get(2).copied()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "| name | how |\n| `cuInit` | intercepted | why |\n| `cuExit` | refused | why |\n\
                         | `cuAdd` | passed | why |\n";
    const LOADERS: &str = "1 T dlsym\n2 T dlvsym\n3 T dlopen\n4 T dlmopen\n";

    #[test]
    fn a_library_with_every_wrapper_is_whole() {
        assert_eq!(missing(TABLE, &format!("{LOADERS}5 T cuInit\n6 T cuExit\n")), [""; 0]);
    }

    #[test]
    fn a_wrapper_that_is_not_exported_is_found() {
        let found = missing(TABLE, &format!("{LOADERS}5 T cuInit\n6 D cuExit\n"));
        assert_eq!(found, ["not exported by libvcuda.so: cuExit"]);
    }

    #[test]
    fn the_loaders_functions_are_wanted_too() {
        let found = missing("", "1 T dlsym\n2 T dlvsym\n3 T dlopen\n");
        assert_eq!(found, ["not exported by libvcuda.so: dlmopen"]);
    }
}
