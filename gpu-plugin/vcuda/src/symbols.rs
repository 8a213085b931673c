//! The names that the driver exports, and which of them answers for a version of CUDA.
//!
//! A family are the forms of one function: `cuMemAlloc`, `cuMemAlloc_v2`; with `_ptds` or `_ptsz` those whose default stream is
//! the thread's own.

/// Every exported function with the version of CUDA that brought it, from NVIDIA's headers.
static LIST: &str = include_str!("../symbols.txt");

/// The newest version of CUDA whose functions are known: that of the headers.
const NEWEST: i64 = 13050;

/// An exported function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Symbol {
    pub(crate) name: &'static str,
    /// The version of CUDA that brought it: 12020 is 12.2.
    pub(crate) version: i64,
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = Symbol> {
    LIST.lines().filter_map(|line| {
        let (name, version) = line.split_once(' ').filter(|(name, _)| *name != "#")?;
        Some(Symbol { name, version: version.parse().ok()? })
    })
}

/// The name without what distinguishes the forms of a function.
pub(crate) fn family(name: &str) -> &str {
    let name = name.strip_suffix("_ptds").or_else(|| name.strip_suffix("_ptsz")).unwrap_or(name);
    match name.rsplit_once("_v") {
        Some((family, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => family,
        _ => name,
    }
}

fn per_thread(name: &str) -> bool {
    name.ends_with("_ptds") || name.ends_with("_ptsz")
}

/// Which export answers when a name is asked for in a version of CUDA, by a driver that exports what `exports` says: the newest
/// form that is not newer than the version. `None` where it may be one that is not known here.
pub(crate) fn chosen(
    name: &str,
    version: i64,
    own_stream: bool,
    exports: impl Fn(&str) -> bool,
) -> Option<Symbol> {
    // A driver that is newer than the list may have a form of it that is not in the list.
    if version > NEWEST && unknown_form(name, &exports) {
        return None;
    }
    if let Some(exact) = all().find(|symbol| symbol.name == name && family(name) != name) {
        return Some(exact);
    }
    let newest = |own: bool| {
        all()
            .filter(|symbol| family(symbol.name) == name && per_thread(symbol.name) == own)
            .filter(|symbol| symbol.version <= version && exports(symbol.name))
            .max_by_key(|symbol| symbol.version)
    };
    own_stream.then(|| newest(true)).flatten().or_else(|| newest(false))
}

fn unknown_form(name: &str, exports: impl Fn(&str) -> bool) -> bool {
    let family = family(name);
    let known = |name: &str| all().any(|symbol| symbol.name == name);
    // Nine forms: today's most is four.
    (2..10)
        .flat_map(|form| ["", "_ptds", "_ptsz"].map(|stream| format!("{family}_v{form}{stream}")))
        .any(|form| !known(&form) && exports(&form))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(asked: &str, version: i64, own_stream: bool) -> Option<&'static str> {
        chosen(asked, version, own_stream, |_| true).map(|symbol| symbol.name)
    }

    #[test]
    fn a_version_chooses_the_newest_form_that_it_has() {
        assert_eq!(name("cuCtxCreate", 11030, false), Some("cuCtxCreate_v2"));
        assert_eq!(name("cuCtxCreate", 11040, false), Some("cuCtxCreate_v3"));
        assert_eq!(name("cuCtxCreate", 13050, true), Some("cuCtxCreate_v4"));
        assert_eq!(name("cuMemAlloc", 2000, false), Some("cuMemAlloc"));
        assert_eq!(name("cuMemAlloc", 1000, false), None);
    }

    #[test]
    fn a_stream_of_the_thread_s_own_chooses_the_form_for_it() {
        assert_eq!(name("cuLaunchKernel", 12000, true), Some("cuLaunchKernel_ptsz"));
        assert_eq!(name("cuLaunchKernel", 12000, false), Some("cuLaunchKernel"));
        assert_eq!(name("cuMemcpy", 12000, true), Some("cuMemcpy_ptds"));
        // Before CUDA 7 there was none.
        assert_eq!(name("cuLaunchKernel", 6000, true), Some("cuLaunchKernel"));
    }

    #[test]
    fn an_older_driver_has_older_forms() {
        let old = |name: &str| !name.ends_with("_v3") && !name.ends_with("_v4");
        let chosen = chosen("cuCtxCreate", 13050, false, old).map(|symbol| symbol.name);
        assert_eq!(chosen, Some("cuCtxCreate_v2"));
    }

    #[test]
    fn a_form_that_is_not_known_is_not_guessed() {
        assert_eq!(chosen("cuCtxCreate", 14000, false, |_| true), None);
        let known = |name: &str| all().any(|symbol| symbol.name == name);
        let chosen = chosen("cuCtxCreate", 14000, false, known).map(|symbol| symbol.name);
        assert_eq!(chosen, Some("cuCtxCreate_v4"));
    }

    #[test]
    fn a_family_is_the_name_without_form_and_stream() {
        for name in ["cuMemcpyHtoD", "cuMemcpyHtoD_v2", "cuMemcpyHtoD_v2_ptds"] {
            assert_eq!(family(name), "cuMemcpyHtoD");
        }
        assert_eq!(family("cuMemcpy_ptds"), "cuMemcpy");
    }
}
