//! Libraries in a namespace of the linker's own, where this library is not: a driver there would have no limits.

use std::ffi::{CStr, c_char, c_int, c_long, c_void};

use super::dispatch::Dispatch;
use crate::glibc::{self, Dlmopen};
use crate::log;

/// `LM_ID_BASE`: the namespace of the program itself (dlfcn.h).
const BASE: c_long = 0;

/// The libraries that may be in the program's own namespace only.
const DRIVERS: [&CStr; 2] = [c"libcuda.so.1", c"libnvidia-ml.so.1"];

/// # Safety
///
/// The arguments of `dlmopen`.
pub(super) unsafe extern "C" fn resolve_dlmopen(
    space: c_long,
    file: *const c_char,
    flags: c_int,
) -> Dispatch {
    if space == BASE {
        return Dispatch::jump(glibc::DLMOPEN.address());
    }
    let Some(dlmopen) = glibc::DLMOPEN.get() else { return Dispatch::answer(std::ptr::null_mut()) };
    // SAFETY: the caller's own arguments.
    let handle = unsafe { dlmopen(space, file, flags) };
    // SAFETY: what dlmopen has just answered.
    if handle.is_null() || !unsafe { has_driver(dlmopen, handle) } {
        return Dispatch::answer(handle);
    }
    log::error(
        "dlmopen would load the driver into a new namespace, where no limit can be enforced. It is refused",
    );
    // SAFETY: resolve_dlmopen above, and nobody else has it. The second leaves a message for dlerror: there is no such library.
    unsafe {
        libc::dlclose(handle);
        dlmopen(
            BASE,
            c"libcuda.so.1 in a namespace of its own is refused by libvcuda".as_ptr(),
            libc::RTLD_LAZY,
        );
    }
    Dispatch::answer(std::ptr::null_mut())
}

/// Whether the namespace of a library has a driver's library.
///
/// # Safety
///
/// glibc's `dlmopen`, and an open handle.
unsafe fn has_driver(dlmopen: Dlmopen, handle: *mut c_void) -> bool {
    let mut space: c_long = BASE;
    // SAFETY: RTLD_DI_LMID writes a number of this size there.
    if unsafe { libc::dlinfo(handle, libc::RTLD_DI_LMID, (&raw mut space).cast()) } != 0 {
        return true;
    }
    let found = DRIVERS.iter().any(|name| {
        // SAFETY: the name ends with NUL; nothing is loaded that is not there.
        let driver = unsafe { dlmopen(space, name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
        if driver.is_null() {
            return false;
        }
        // SAFETY: resolve_dlmopen above.
        unsafe { libc::dlclose(driver) };
        true
    });
    // SAFETY: it takes nothing. That there is no driver is no error of the program's.
    unsafe { libc::dlerror() };
    found
}
