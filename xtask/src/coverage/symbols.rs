//! The functions that libcuda.so.1 exports, each with the version of CUDA that brought it, as NVIDIA's headers say.
//!
//! Headers of types name each form of a function by the version of CUDA that brought it, the library by `_v2`, `_v3` and so on: both
//! in the same order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::error::Error;
use crate::files::{read, with_extension};
use crate::pattern::pattern;

/// Headers that declare functions.
const HEADERS: [&str; 4] = ["cuda.h", "cudaGL.h", "cudaEGL.h", "cudaVDPAU.h"];
/// An inline function of the header.
const INLINE: &str = "cuGetProcAddress_v2_ptsz";

static DECLARED: LazyLock<Regex> = LazyLock::new(|| pattern(r"CUDAAPI +(cu[A-Z][A-Za-z0-9_]*) *\("));
static RENAMED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)^ *# *define +cu[A-Z][A-Za-z0-9_]* +(cu[A-Z][A-Za-z0-9_]*) *$"));
static PER_THREAD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?m)^ *# *define +cu[A-Z][A-Za-z0-9_]* +__CUDA_API_PT(SZ|DS)\((cu[A-Za-z0-9_]+)\)")
});
static TYPED: LazyLock<Regex> = LazyLock::new(|| pattern(r"\*PFN_(cu[A-Za-z0-9_]+)\)"));
/// Name, version, per-thread suffix. A version of the library is one or two digits, one of CUDA four or five.
static FORM: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(cu[A-Za-z0-9]+)(?:_v([0-9]+))?(_pt[sd][sz])?$"));
static CUDA_VERSION: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^#define CUDA_VERSION ([0-9]+)$"));

/// One form of a function.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Form {
    /// Name with the per-thread suffix, without a version.
    function: String,
    /// Of the library (1 if it has none) or of CUDA.
    version: u32,
    /// As it is written.
    name: String,
}

/// What symbols.txt says, made from the headers in this folder.
pub(super) fn list(folder: &Path) -> Result<String, Error> {
    let cuda = folder.join("cuda.h");
    if !cuda.exists() {
        return Err(Error::Unreadable(folder.to_owned(), "no headers: run hack/cuda-headers".to_owned()));
    }
    let headers = HEADERS.map(|header| read(&folder.join(header)));
    let headers: Vec<String> = headers.into_iter().collect::<Result<_, Error>>()?;
    let mut types = String::new();
    for file in with_extension(folder, "h")? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("cuda") && name.ends_with("Typedefs.h") {
            types += &read(&file)?;
        }
    }
    let version = CUDA_VERSION.captures(&headers[0]).map(|version| version[1].to_owned()).unwrap_or_default();
    let lines = paired(&exported(&headers), &versions(&types));
    let lines = lines.map_err(|unpaired| Error::Unreadable(folder.to_owned(), unpaired))?;
    Ok(format!(
        "# The functions that libcuda.so.1 exports, each with the version of CUDA that brought it. Written by\n\
         # hack/coverage --symbols from the headers of CUDA version {version}.\n{}\n",
        lines.join("\n")
    ))
}

/// The names that the library exports, as the headers declare and rename them.
fn exported(headers: &[String]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for header in headers {
        let declared = header.replace('\n', " ");
        names.extend(DECLARED.captures_iter(&declared).map(|name| name[1].to_owned()));
        names.extend(RENAMED.captures_iter(header).map(|name| name[1].to_owned()));
        for renamed in PER_THREAD.captures_iter(header) {
            names.insert(renamed[2].to_owned());
            names.insert(format!("{}_pt{}", &renamed[2], renamed[1].to_lowercase()));
        }
    }
    names.remove(INLINE);
    names
}

/// The names of the headers of types, with CUDA's versions in them.
fn versions(types: &str) -> BTreeSet<String> {
    TYPED.captures_iter(types).map(|name| name[1].to_owned()).collect()
}

/// Lines `NAME VERSION`, or what does not pair.
fn paired(exported: &BTreeSet<String>, versions: &BTreeSet<String>) -> Result<Vec<String>, String> {
    let typed: Vec<Form> = versions.iter().map(|name| form(name)).collect::<Result<_, String>>()?;
    let mut names: Vec<Form> = exported.iter().map(|name| form(name)).collect::<Result<_, String>>()?;
    // Functions that only the header of types has: the profiler's.
    let known: BTreeSet<String> = names.iter().map(|form| plain(&form.function).to_owned()).collect();
    let more: BTreeSet<&String> = typed.iter().map(|form| &form.function).collect();
    for function in more.into_iter().filter(|function| !known.contains(plain(function))) {
        names.push(Form { function: function.clone(), version: 1, name: function.clone() });
    }
    let (names, mut typed) = (ranked(names), ranked(typed));
    let mut lines = Vec::new();
    for (key, name) in names {
        let version = typed.remove(&key).ok_or_else(|| format!("{} has no version of CUDA", name.name))?;
        lines.push(format!("{} {}", name.name, version.version));
    }
    if let Some(left) = typed.into_values().next() {
        return Err(format!("{} is of no function", left.name));
    }
    lines.sort();
    Ok(lines)
}

fn form(name: &str) -> Result<Form, String> {
    let parts = FORM.captures(name).ok_or_else(|| format!("{name} is no name of a function"))?;
    let suffix = parts.get(3).map_or("", |suffix| suffix.as_str());
    let version = parts.get(2).and_then(|version| version.as_str().parse().ok()).unwrap_or(1);
    Ok(Form { function: format!("{}{suffix}", &parts[1]), version, name: name.to_owned() })
}

/// The function's name without its per-thread suffix.
fn plain(function: &str) -> &str {
    function.split("_pt").next().unwrap_or(function)
}

/// Each form by its function and its place among that function's versions.
fn ranked(mut forms: Vec<Form>) -> BTreeMap<(String, usize), Form> {
    forms.sort();
    let mut ranked: BTreeMap<(String, usize), Form> = BTreeMap::new();
    let mut rank = 0;
    let mut last = String::new();
    for form in forms {
        rank = if form.function == last { rank + 1 } else { 1 };
        last.clone_from(&form.function);
        ranked.insert((form.function.clone(), rank), form);
    }
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn declared_renamed_and_per_thread_names_are_exported() {
        let header = "CUresult CUDAAPI cuInit(unsigned int);\nCUresult CUDAAPI\n  cuCtxCreate (int);\n\
                      #define cuCtxCreate cuCtxCreate_v4\n    # define cuMemcpy  __CUDA_API_PTDS(cuMemcpy)\n";
        let names = exported(&[header.to_owned()]);
        assert_eq!(names, set(&["cuCtxCreate", "cuCtxCreate_v4", "cuInit", "cuMemcpy", "cuMemcpy_ptds"]));
    }

    #[test]
    fn forms_pair_in_the_order_of_their_versions() {
        let exported = set(&["cuCtxCreate", "cuCtxCreate_v2", "cuMemcpy_ptds"]);
        let versions =
            set(&["cuCtxCreate_v2000", "cuCtxCreate_v11040", "cuMemcpy_v7000_ptds", "cuProfilerStart_v4000"]);
        let lines =
            ["cuCtxCreate 2000", "cuCtxCreate_v2 11040", "cuMemcpy_ptds 7000", "cuProfilerStart 4000"];
        assert_eq!(paired(&exported, &versions).unwrap(), lines);
    }

    #[test]
    fn a_function_without_a_version_of_cuda_is_found() {
        assert!(paired(&set(&["cuInit"]), &set(&[])).is_err());
    }

    #[test]
    fn a_version_of_no_form_is_found() {
        assert!(paired(&set(&["cuInit"]), &set(&["cuInit_v2000", "cuInit_v3000"])).is_err());
    }
}
