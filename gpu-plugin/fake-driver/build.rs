//! Links the library as NVIDIA's own behaves, and writes down what it exports of CUDA.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Every function of the driver, with the version that brought it.
const SYMBOLS: &str = "../vcuda/symbols.txt";

/// Where the functions are that behave.
const API: &str = "src/cuda/api";

fn main() -> io::Result<()> {
    // It stays in the process once it was loaded: NVML's wrapper closes it at every shutdown, and what was delivered to a set of
    // events before must still be known after.
    println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
    // It calls its own functions, not a preloaded library's of the same name: libvcuda would see a pitched allocation twice.
    println!("cargo::rustc-link-arg-cdylib=-Wl,-Bsymbolic");
    for read in ["build.rs", SYMBOLS, API] {
        println!("cargo::rerun-if-changed={read}");
    }
    let symbols = fs::read_to_string(SYMBOLS)?;
    let all = symbols.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("exports.rs");
    fs::write(out, exports(&all.collect::<Vec<_>>(), &written(Path::new(API))?))
}

/// The functions that the sources define: every name of the driver's that stands in them outside of a comment, as a function that is
/// named is defined there. Macros write the heads of many of them.
fn written(folder: &Path) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let text = fs::read_to_string(entry?.path())?;
        let code = text.lines().filter_map(|line| line.split("//").next());
        let words = code.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
        names.extend(words.filter(|word| word.starts_with("cu")).map(str::to_owned));
    }
    Ok(names)
}

/// A function that says no for each name that has none, and the table of all.
fn exports(all: &[(&str, &str)], written: &BTreeSet<String>) -> String {
    let mut text = String::new();
    let known: BTreeSet<&str> = all.iter().map(|(name, _)| *name).collect();
    for name in known.iter().filter(|name| !written.contains(**name)) {
        let _ = writeln!(
            text,
            "#[unsafe(no_mangle)] extern \"C\" fn {name}() -> u32 {{ CudaError::NOT_SUPPORTED.0 }}"
        );
    }
    let _ = writeln!(text, "unsafe extern \"C\" {{");
    for name in written.iter().filter(|name| known.contains(name.as_str())) {
        let _ = writeln!(text, "    #[link_name = \"{name}\"] fn own_{name}();");
    }
    let _ = writeln!(text, "}}\nstatic EXPORTS: [Export; {}] = [", all.len());
    for (name, since) in all {
        let address = match written.contains(*name) {
            true => format!("Address::Own(own_{name})"),
            false => format!("Address::Refusal({name})"),
        };
        let _ = writeln!(text, "    Export {{ name: \"{name}\", since: {since}, address: {address} }},");
    }
    text + "];\n"
}
