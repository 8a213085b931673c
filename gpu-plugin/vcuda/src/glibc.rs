//! The functions of glibc's dynamic linker. This library exports functions of the same names, so a plain reference to one of them
//! would end here.

use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicPtr, Ordering};

mod elf;

/// A function of glibc's, looked up at its first use. `F` is its signature.
pub(crate) struct GlibcFunction<F> {
    name: &'static CStr,
    found: AtomicPtr<c_void>,
    signature: PhantomData<F>,
}

impl<F: Copy> GlibcFunction<F> {
    /// # Safety
    ///
    /// `F` is an `extern "C"` function type with the signature that glibc gives to the name.
    const unsafe fn new(name: &'static CStr) -> Self {
        Self { name, found: AtomicPtr::new(std::ptr::null_mut()), signature: PhantomData }
    }

    /// Null where glibc lacks it.
    pub(crate) fn address(&self) -> *mut c_void {
        let found = self.found.load(Ordering::Acquire);
        if !found.is_null() {
            return found;
        }
        let found = elf::find_in_glibc(self.name);
        self.found.store(found, Ordering::Release);
        found
    }

    /// None where glibc lacks it.
    pub(crate) fn get(&self) -> Option<F> {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        let found = self.address();
        // SAFETY: a function of the signature F, by the contract of `new`; both are of one size, checked above.
        (!found.is_null()).then(|| unsafe { std::mem::transmute_copy::<*mut c_void, F>(&found) })
    }
}

type Dlsym = unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void;
type Dlvsym = unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char) -> *mut c_void;
type Dlopen = unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void;
pub(crate) type Dlmopen = unsafe extern "C" fn(c_long, *const c_char, c_int) -> *mut c_void;

// SAFETY: the signature is dlfcn.h's.
pub(crate) static DLSYM: GlibcFunction<Dlsym> = unsafe { GlibcFunction::new(c"dlsym") };
// SAFETY: the signature is dlfcn.h's.
pub(crate) static DLVSYM: GlibcFunction<Dlvsym> = unsafe { GlibcFunction::new(c"dlvsym") };
// SAFETY: the signature is dlfcn.h's.
pub(crate) static DLOPEN: GlibcFunction<Dlopen> = unsafe { GlibcFunction::new(c"dlopen") };
// SAFETY: the signature is dlfcn.h's.
pub(crate) static DLMOPEN: GlibcFunction<Dlmopen> = unsafe { GlibcFunction::new(c"dlmopen") };
