//! What the library exports, and how a function is found by name and version.

use std::ffi::{c_int, c_uint, c_void};

use super::abi::CudaError;

/// CUDA 13.5, whose header the types here are of.
pub(crate) const VERSION: c_int = 13_050;

/// A function that the library exports.
struct Export {
    name: &'static str,
    /// The version of CUDA that brought it.
    since: c_int,
    address: Address,
}

/// The address is the library's own: dlsym would ask whatever is preloaded.
enum Address {
    Own(unsafe extern "C" fn()),
    Refusal(extern "C" fn() -> c_uint),
}

// From gpu-plugin/vcuda/symbols.txt: what behaves in these sources, and a refusal for every other name.
include!(concat!(env!("OUT_DIR"), "/exports.rs"));

/// `CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM`
const PER_THREAD: u64 = 2;

/// Whether an exported name is a form of what is asked for: `_v2` and so on behind it, and `_ptsz` or `_ptds` behind that.
fn is_form(exported: &str, asked: &str, per_thread: bool) -> bool {
    let Some(rest) = exported.strip_prefix(asked) else { return false };
    let stem = rest.strip_suffix("_ptsz").or_else(|| rest.strip_suffix("_ptds"));
    let number = stem.unwrap_or(rest);
    let is_version = number.strip_prefix("_v").is_some_and(|digits| digits.parse::<u32>().is_ok());
    (number.is_empty() || is_version) && stem.is_some() == per_thread
}

/// The newest form that a version of CUDA has.
pub(crate) fn find(name: &str, version: c_int, flags: u64) -> *mut c_void {
    let newest = |per_thread| {
        let forms = EXPORTS.iter().filter(|it| it.since <= version && is_form(it.name, name, per_thread));
        forms.max_by_key(|it| it.since)
    };
    let found = if flags & PER_THREAD == 0 { None } else { newest(true) };
    match found.or_else(|| newest(false)).map(|export| &export.address) {
        Some(Address::Own(address)) => *address as *mut c_void,
        Some(Address::Refusal(address)) => *address as *mut c_void,
        None => std::ptr::null_mut(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(name: &str) -> *mut c_void {
        let export = EXPORTS.iter().find(|export| export.name == name).unwrap();
        match export.address {
            Address::Own(address) => address as *mut c_void,
            Address::Refusal(address) => address as *mut c_void,
        }
    }

    #[test]
    fn the_newest_form_that_a_version_has_is_found() {
        assert_eq!(find("cuCtxCreate", 11_030, 0), address("cuCtxCreate_v2"));
        assert_eq!(find("cuCtxCreate", VERSION, 0), address("cuCtxCreate_v4"));
        assert!(find("cuCtxCreate", 1_000, 0).is_null());
    }

    #[test]
    fn a_thread_s_own_stream_has_forms_of_its_own() {
        assert_eq!(find("cuLaunchKernel", VERSION, PER_THREAD), address("cuLaunchKernel_ptsz"));
        assert_eq!(find("cuLaunchKernel", VERSION, 0), address("cuLaunchKernel"));
        assert_eq!(find("cuMemAlloc", VERSION, PER_THREAD), address("cuMemAlloc_v2"), "it has no stream");
    }

    #[test]
    fn a_name_that_begins_with_another_is_another() {
        assert!(!is_form("cuMemAllocPitch_v2", "cuMemAlloc", false));
        assert!(is_form("cuMemAlloc_v2", "cuMemAlloc", false));
        assert!(find("cuNothing", VERSION, 0).is_null());
    }

    #[test]
    fn functions_that_do_not_behave_are_found_and_refuse() {
        let export = EXPORTS.iter().find(|export| export.name == "cuTexRefCreate").unwrap();
        let Address::Refusal(refusal) = export.address else { panic!("it behaves") };
        assert_eq!(refusal(), CudaError::NOT_SUPPORTED.0);
    }
}
