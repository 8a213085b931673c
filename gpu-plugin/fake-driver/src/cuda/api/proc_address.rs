//! Functions by name and version, as `cuGetProcAddress` finds them.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use crate::cuda::abi::{CudaError, call, write_to};

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
fn find(name: &str, version: c_int, flags: u64) -> *mut c_void {
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

#[unsafe(no_mangle)]
extern "C" fn cuGetProcAddress_v2(
    name: *const c_char,
    function: *mut *mut c_void,
    version: c_int,
    flags: u64,
    status: *mut c_uint,
) -> c_uint {
    call(|| {
        if name.is_null() {
            return Err(CudaError::INVALID_VALUE);
        }
        // SAFETY: not null, and by cuda.h a text that ends with NUL.
        let text = unsafe { CStr::from_ptr(name) }.to_str().map_err(|_| CudaError::INVALID_VALUE)?;
        let found = find(text, version, flags);
        write_to(function, found)?;
        if !status.is_null() {
            // CU_GET_PROC_ADDRESS_SUCCESS and …_SYMBOL_NOT_FOUND
            write_to(status, c_uint::from(found.is_null()))?;
        }
        if found.is_null() { Err(CudaError::NOT_FOUND) } else { Ok(()) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuGetProcAddress(
    name: *const c_char,
    function: *mut *mut c_void,
    version: c_int,
    flags: u64,
) -> c_uint {
    cuGetProcAddress_v2(name, function, version, flags, std::ptr::null_mut())
}

/// Undocumented tables of functions: none.
#[unsafe(no_mangle)]
extern "C" fn cuGetExportTable(_table: *mut *const c_void, _id: *const c_void) -> c_uint {
    CudaError::NOT_FOUND.0
}
