//! What an intercepted function is: an exported function of the same name and signature, which can call the driver's own.

use std::ffi::{CStr, c_uint, c_void};

use crate::driver::Library;

/// An intercepted function, as the tables of names and `COVERAGE.md` have it.
pub(crate) struct Hook {
    pub(crate) library: Library,
    pub(crate) name: &'static CStr,
    pub(crate) address: *const c_void,
    /// What is done with it, for `COVERAGE.md`. Begins with "refused" for those that never reach the driver.
    #[cfg_attr(not(test), expect(dead_code, reason = "only the check of COVERAGE.md reads it"))]
    pub(crate) why: &'static str,
}

// SAFETY: the address is that of a function, which never changes.
unsafe impl Sync for Hook {}

/// Exported functions that stand before the driver's own, and the table `HOOKS` of them. Each is
/// `"why" fn name(argument: type, …) -> result |real| body`: in the body `real` is the driver's function. Where the driver has
/// none, `missing` is answered without the body. A body after `try` may use `?`: see [`answer`].
macro_rules! hooks {
    ($library:ident, $missing:expr; $($why:literal fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $result:ty |$real:ident| $($try:ident)? $body:block)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`: ", $why)]
            ///
            /// # Safety
            ///
            /// As the driver's header has it for this name.
            #[unsafe(no_mangle)]
            #[allow(non_snake_case, clippy::too_many_arguments, clippy::missing_safety_doc, reason = "names and signatures are the driver's")]
            pub(crate) unsafe extern "C" fn $name($($arg: $type),*) -> $result {
                type Signature = unsafe extern "C" fn($($type),*) -> $result;
                static REAL: $crate::driver::DriverFunction<Signature> =
                    $crate::driver::DriverFunction::new($crate::driver::Library::$library, $crate::hook::c_name(concat!(stringify!($name), "\0")));
                // SAFETY: the signature is the one that the driver's header gives to this name.
                let Some($real) = (unsafe { REAL.get() }) else { return $missing };
                $crate::hook::body!($($try)? $body)
            }
        )*

        /// The functions of this file.
        pub(crate) static HOOKS: &[$crate::hook::Hook] = &[$(
            $crate::hook::Hook {
                library: $crate::driver::Library::$library,
                name: $crate::hook::c_name(concat!(stringify!($name), "\0")),
                address: $name as *const std::ffi::c_void,
                why: $why,
            }
        ),*];
    };
}
pub(crate) use hooks;

/// The answer of a body, with or without `try` before it.
macro_rules! body {
    (try $body:block) => {
        $crate::hook::answer(|| $body)
    };
    ($body:block) => {
        $body
    };
}
pub(crate) use body;

/// The answer of a body that may use `?`: its error, or success, which is 0 in CUDA and in NVML.
#[inline]
pub(crate) fn answer(body: impl FnOnce() -> Result<(), c_uint>) -> c_uint {
    match body() {
        Ok(()) => 0,
        Err(error) => error,
    }
}

/// What the driver has answered, as a result.
#[inline]
pub(crate) fn check(result: c_uint) -> Result<(), c_uint> {
    if result == 0 { Ok(()) } else { Err(result) }
}

/// Exported functions that never reach the driver, and the table `HOOKS` of them. Each answers the same to any arguments: a C
/// function may leave its arguments alone.
macro_rules! refusals {
    ($library:ident, $result:ty, $answer:expr; $($why:literal: $($name:ident)*;)*) => {
        $($(
            #[doc = concat!("`", stringify!($name), "`: ", $why)]
            #[unsafe(no_mangle)]
            #[allow(non_snake_case, reason = "the name is the driver's")]
            pub(crate) extern "C" fn $name() -> $result {
                $answer
            }
        )*)*

        /// The functions of this table.
        pub(crate) static HOOKS: &[$crate::hook::Hook] = &[$($(
            $crate::hook::Hook {
                library: $crate::driver::Library::$library,
                name: $crate::hook::c_name(concat!(stringify!($name), "\0")),
                address: $name as *const std::ffi::c_void,
                why: $why,
            }
        ),*),*];
    };
}
pub(crate) use refusals;

/// A name as C has it.
pub(crate) const fn c_name(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("made by concat! with its NUL"),
    }
}
