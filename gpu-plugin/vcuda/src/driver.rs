//! The driver's own functions, behind those that this library intercepts.
//!
//! They are looked up by name with glibc's `dlsym`: the one that this library exports would answer with the intercepting function.

use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::glibc::{DLOPEN, DLSYM};

/// Which library has a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Library {
    /// `libcuda.so.1`
    Cuda,
    /// `libnvidia-ml.so.1`
    Nvml,
}

impl Library {
    fn file(self) -> &'static CStr {
        match self {
            Library::Cuda => c"libcuda.so.1",
            Library::Nvml => c"libnvidia-ml.so.1",
        }
    }
}

/// Opens a library as the program itself would.
fn open(library: Library, flags: c_int) -> *mut c_void {
    // SAFETY: the name ends with NUL. Its constructors run now, as they would for the program that is about to use it.
    DLOPEN.get().map_or(std::ptr::null_mut(), |dlopen| unsafe { dlopen(library.file().as_ptr(), flags) })
}

/// The handle of a library, opened once and never closed.
fn handle(library: Library) -> *mut c_void {
    static CUDA: OnceLock<usize> = OnceLock::new();
    static NVML: OnceLock<usize> = OnceLock::new();
    let once = match library {
        Library::Cuda => &CUDA,
        Library::Nvml => &NVML,
    };
    *once.get_or_init(|| open(library, libc::RTLD_LAZY) as usize) as *mut c_void
}

/// Whether a library is in the program already, and has a function.
pub(crate) fn is_loaded_with(library: Library, name: &CStr) -> bool {
    let there = open(library, libc::RTLD_LAZY | libc::RTLD_NOLOAD);
    if there.is_null() {
        return false;
    }
    // SAFETY: opened above; the library stays, since the program has it open as well.
    unsafe { libc::dlclose(there) };
    !symbol(library, name).is_null()
}

/// Where a library has a function; null where it has none.
pub(crate) fn symbol(library: Library, name: &CStr) -> *mut c_void {
    let handle = handle(library);
    match DLSYM.get() {
        // SAFETY: the handle is dlopen's and never closed; the name ends with NUL.
        Some(dlsym) if !handle.is_null() => unsafe { dlsym(handle, name.as_ptr()) },
        _ => std::ptr::null_mut(),
    }
}

/// A function of the driver, looked up at its first call. `F` is its signature.
pub(crate) struct DriverFunction<F> {
    library: Library,
    name: &'static CStr,
    found: AtomicPtr<c_void>,
    signature: PhantomData<F>,
}

impl<F: Copy> DriverFunction<F> {
    pub(crate) const fn new(library: Library, name: &'static CStr) -> Self {
        Self { library, name, found: AtomicPtr::new(std::ptr::null_mut()), signature: PhantomData }
    }

    /// None where this driver does not have it.
    ///
    /// # Safety
    ///
    /// `F` is an `extern "C"` function type with the signature that the driver's header gives to the name.
    #[inline]
    pub(crate) unsafe fn get(&self) -> Option<F> {
        let mut found = self.found.load(Ordering::Relaxed);
        if found.is_null() {
            found = symbol(self.library, self.name);
            self.found.store(found, Ordering::Relaxed);
        }
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        // SAFETY: a function of the signature F, by this function's contract; both are of one size, checked above.
        (!found.is_null()).then(|| unsafe { std::mem::transmute_copy::<*mut c_void, F>(&found) })
    }
}
