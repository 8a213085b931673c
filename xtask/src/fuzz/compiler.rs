//! The compiler of the fuzz targets: rustc with a pass of LLVM that counts what an input reaches.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// Set for what cargo calls in place of rustc for the workspace's own crates.
pub(super) const VARIABLE: &str = "FUZZ_RUSTC";

const INSTRUMENTATION: [&str; 12] = [
    "-C",
    "passes=sancov-module",
    "-C",
    "llvm-args=-sanitizer-coverage-level=4",
    "-C",
    "llvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-C",
    "llvm-args=-sanitizer-coverage-pc-table",
    "-C",
    "llvm-args=-sanitizer-coverage-trace-compares",
    "-C",
    "codegen-units=1",
];

/// Where cargo has called this program in place of rustc, becomes rustc: comes back only if that fails, or if it was not called so.
pub(crate) fn compile_instead() -> Option<ExitCode> {
    std::env::var_os(VARIABLE)?;
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut command = Command::new(arguments.first()?);
    command.args(&arguments[1..]);
    if is_fuzzed(&arguments) {
        command.args(INSTRUMENTATION);
    }
    println!("xtask: {}: {}", arguments[0].display(), command.exec());
    Some(ExitCode::FAILURE)
}

/// What runs while it is built is not fuzzed.
fn is_fuzzed(arguments: &[OsString]) -> bool {
    let pair = |name: &str, value: fn(&str) -> bool| {
        arguments.windows(2).any(|pair| pair[0] == *name && pair[1].to_str().is_some_and(value))
    };
    let build_script = pair("--crate-name", |name| name.starts_with("build_script_"));
    let macros = pair("--crate-type", |kind| kind == "proc-macro");
    !build_script && !macros && !arguments.iter().any(|argument| argument == "--print")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fuzzed(line: &str) -> bool {
        is_fuzzed(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn libraries_and_programs_are_fuzzed() {
        assert!(fuzzed("rustc --crate-name ecx --edition=2024 csi/ecx/src/lib.rs --crate-type lib"));
    }

    #[test]
    fn what_runs_while_it_is_built_is_not_fuzzed() {
        assert!(!fuzzed("rustc --crate-name build_script_build proto/build.rs --crate-type bin"));
        assert!(!fuzzed("rustc --crate-name derive src/lib.rs --crate-type proc-macro"));
        assert!(!fuzzed("rustc - --crate-name ___ --print=file-names --print cfg"));
    }
}
