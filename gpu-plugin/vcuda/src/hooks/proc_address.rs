//! `cuGetProcAddress`, by which CUDA's runtime looks up every function of the driver.
//!
//! A function that this library intercepts is replaced in the driver's answer. Where it is unclear whether it is one, the caller gets
//! an error and never the driver's function.

use std::ffi::{CStr, c_char, c_int, c_void};

use crate::abi::{CUDA_ERROR_NOT_FOUND, CUDA_SUCCESS, CUresult, Unsigned};
use crate::driver::{self, Library};
use crate::hook::{Hook, hooks};
use crate::log;
use crate::symbols::{self, Symbol};

use super::table;

/// `CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM`
const PER_THREAD: u64 = 2;
/// `CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT`
const VERSION_NOT_SUFFICIENT: Unsigned = 2;

hooks! { Cuda, CUDA_ERROR_NOT_FOUND;
    "answers with our functions" fn cuGetProcAddress(symbol: *const c_char, address: *mut *mut c_void, version: c_int, flags: u64) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(symbol, address, version, flags) };
        // SAFETY: the caller's own arguments, with which the driver has succeeded.
        if result == CUDA_SUCCESS && !unsafe { replace(symbol, address, version, flags) } {
            return CUDA_ERROR_NOT_FOUND;
        }
        result
    }
    "answers with our functions" fn cuGetProcAddress_v2(symbol: *const c_char, address: *mut *mut c_void, version: c_int, flags: u64, status: *mut Unsigned) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(symbol, address, version, flags, status) };
        // SAFETY: the caller's own arguments, with which the driver has succeeded.
        if result == CUDA_SUCCESS && !unsafe { replace(symbol, address, version, flags) } {
            // SAFETY: null, or where the caller wants it.
            if let Some(status) = unsafe { status.as_mut() } {
                *status = VERSION_NOT_SUFFICIENT;
            }
            return CUDA_ERROR_NOT_FOUND;
        }
        result
    }
}

/// All functions that this library stands before.
pub(crate) fn all() -> impl Iterator<Item = &'static Hook> {
    table::FILES.into_iter().chain([HOOKS]).flatten()
}

/// Replaces what the driver found. False where the caller must not have it; then it has null.
///
/// # Safety
///
/// Arguments with which the driver has succeeded.
unsafe fn replace(symbol: *const c_char, address: *mut *mut c_void, version: c_int, flags: u64) -> bool {
    if symbol.is_null() || address.is_null() {
        return true;
    }
    // SAFETY: by this function's contract.
    let (name, found) = unsafe { (CStr::from_ptr(symbol), address.read()) };
    // No function of the driver has a name that is not UTF-8.
    let Ok(name) = name.to_str() else { return true };
    if found.is_null() {
        return true;
    }
    let ours = match choose(name, found, i64::from(version), flags & PER_THREAD != 0) {
        Choice::Theirs => return true,
        Choice::Ours(hook) => hook.address.cast_mut(),
        Choice::Unknown => {
            log::error(&format!(
                "{name} of CUDA version {version} is not known to this library. The program does not get it"
            ));
            std::ptr::null_mut()
        }
    };
    // SAFETY: by this function's contract.
    unsafe { address.write(ours) };
    !ours.is_null()
}

enum Choice {
    /// Nothing that we stand before.
    Theirs,
    Ours(&'static Hook),
    Unknown,
}

fn choose(name: &str, found: *mut c_void, version: i64, per_thread: bool) -> Choice {
    let family = symbols::family(name);
    let hooks = || all().filter(move |hook| hook.library == Library::Cuda && named(hook, family));
    if hooks().next().is_none() {
        return Choice::Theirs;
    }
    let is =
        |hook: &&Hook| hook.address.cast_mut() == found || driver::symbol(Library::Cuda, hook.name) == found;
    if let Some(hook) = hooks().find(is) {
        return Choice::Ours(hook);
    }
    // A driver need not answer with what it exports under the name: then the function is found by the rule by which drivers choose.
    match symbols::chosen(name, version, per_thread, exports) {
        None => Choice::Unknown,
        Some(Symbol { name, .. }) => {
            hooks().find(|hook| hook.name.to_bytes() == name.as_bytes()).map_or(Choice::Theirs, Choice::Ours)
        }
    }
}

fn named(hook: &Hook, family: &str) -> bool {
    hook.name.to_str().is_ok_and(|name| symbols::family(name) == family)
}

/// Whether the driver exports a function.
fn exports(name: &str) -> bool {
    std::ffi::CString::new(name).is_ok_and(|name| !driver::symbol(Library::Cuda, &name).is_null())
}
