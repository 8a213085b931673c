//! The ways in which programs look functions up themselves: `dlsym`, `dlvsym`, `dlopen` and `dlmopen` are intercepted.
//!
//! glibc's functions depend on their caller's address, for `RTLD_NEXT` and `$ORIGIN`. So each of these inspects its arguments and then
//! jumps to glibc's, with the caller's own return address on the stack; only what concerns a card is answered here.

use std::ffi::{CStr, c_char, c_void};

use crate::hook::Hook;
use crate::hooks;
use crate::{driver, glibc};

mod dispatch;
mod dlmopen;

use dispatch::Dispatch;

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("the jumps to glibc's functions are written for x86-64 Linux only");

/// Intercepts glibc's `dlsym`.
///
/// # Safety
///
/// As for glibc's.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void {
    // Three words and the return address: the stack is aligned to 16 bytes at the call, as the ABI wants.
    std::arch::naked_asm!(
        "push rdi", "push rsi", "sub rsp, 8",
        "call {resolve_dlsym}",
        "add rsp, 8", "pop rsi", "pop rdi",
        "test rdx, rdx", "jnz 2f",
        "jmp rax",
        "2:", "ret",
        resolve_dlsym = sym resolve_dlsym,
    )
}

/// Intercepts glibc's `dlvsym`. In a library that has no versions at all it finds functions under any.
///
/// # Safety
///
/// As for glibc's.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn dlvsym(
    handle: *mut c_void,
    name: *const c_char,
    version: *const c_char,
) -> *mut c_void {
    std::arch::naked_asm!(
        "push rdi", "push rsi", "push rdx",
        "call {resolve_dlsym}",
        "mov rcx, rdx",
        "pop rdx", "pop rsi", "pop rdi",
        "test rcx, rcx", "jnz 2f",
        "jmp rax",
        "2:", "ret",
        resolve_dlsym = sym resolve_dlvsym,
    )
}

/// Intercepts glibc's `dlopen`. Without `RTLD_DEEPBIND` (8): a library resolve_dlmopen with it would find the driver's functions, and
/// glibc's `dlsym`, before ours.
///
/// # Safety
///
/// As for glibc's.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn dlopen(file: *const c_char, flags: i32) -> *mut c_void {
    std::arch::naked_asm!(
        "push rdi", "push rsi", "sub rsp, 8",
        "call {glibc_dlopen}",
        "add rsp, 8", "pop rsi", "pop rdi",
        "test rax, rax", "jz 2f",
        "and esi, {kept}",
        "jmp rax",
        "2:", "ret",
        glibc_dlopen = sym glibc_dlopen,
        kept = const !libc::RTLD_DEEPBIND,
    )
}

/// Intercepts glibc's `dlmopen`.
///
/// # Safety
///
/// As for glibc's.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn dlmopen(space: i64, file: *const c_char, flags: i32) -> *mut c_void {
    std::arch::naked_asm!(
        "push rdi", "push rsi", "push rdx",
        "call {resolve_dlmopen}",
        "mov rcx, rdx",
        "pop rdx", "pop rsi", "pop rdi",
        "test rcx, rcx", "jnz 2f",
        "and edx, {kept}",
        "jmp rax",
        "2:", "ret",
        resolve_dlmopen = sym dlmopen::resolve_dlmopen,
        kept = const !libc::RTLD_DEEPBIND,
    )
}

extern "C" fn glibc_dlopen() -> *mut c_void {
    glibc::DLOPEN.address()
}

/// # Safety
///
/// The arguments of `dlsym`.
unsafe extern "C" fn resolve_dlsym(handle: *mut c_void, name: *const c_char) -> Dispatch {
    // SAFETY: by this function's contract.
    let Some(function) = (unsafe { intercepted(name) }) else {
        return Dispatch::jump(glibc::DLSYM.address());
    };
    let Some(dlsym) = glibc::DLSYM.get() else { return Dispatch::answer(std::ptr::null_mut()) };
    // SAFETY: the caller's own arguments, or a handle that glibc defines.
    resolve(&function, handle, |handle| unsafe { dlsym(handle, name) })
}

/// # Safety
///
/// The arguments of `dlvsym`.
unsafe extern "C" fn resolve_dlvsym(
    handle: *mut c_void,
    name: *const c_char,
    version: *const c_char,
) -> Dispatch {
    // SAFETY: by this function's contract.
    let Some(function) = (unsafe { intercepted(name) }) else {
        return Dispatch::jump(glibc::DLVSYM.address());
    };
    let Some(dlvsym) = glibc::DLVSYM.get() else { return Dispatch::answer(std::ptr::null_mut()) };
    // SAFETY: the caller's own arguments, or a handle that glibc defines.
    resolve(&function, handle, |handle| unsafe { dlvsym(handle, name, version) })
}

/// A function of ours that a program looks up.
struct Intercepted {
    address: *mut c_void,
    /// One of the driver's; the others are glibc's.
    hook: Option<&'static Hook>,
}

/// Ours where the linker finds a function of this name: whether the driver has it stays true. What it finds in the whole program
/// is ours, which is always there: then one behind it counts.
fn resolve(
    function: &Intercepted,
    handle: *mut c_void,
    find: impl Fn(*mut c_void) -> *mut c_void,
) -> Dispatch {
    let mut found = find(handle);
    if found == function.address {
        found = find(libc::RTLD_NEXT);
    }
    if found.is_null() && [libc::RTLD_DEFAULT, libc::RTLD_NEXT].contains(&handle) {
        // The second time for its message, which dlerror is asked for.
        found = if driver_is_loaded(function) { function.address } else { find(libc::RTLD_NEXT) };
    }
    Dispatch::answer(if found.is_null() { found } else { function.address })
}

/// Whether the driver is in the program, though not where this library sees it: what these two handles find depends on the
/// caller, which may have been linked with the driver.
fn driver_is_loaded(function: &Intercepted) -> bool {
    let near = function.hook.is_some_and(|hook| driver::is_loaded_with(hook.library, hook.name));
    if near {
        // SAFETY: it takes nothing. That the function was not found at once is no error of the program's.
        unsafe { libc::dlerror() };
    }
    near
}

/// Our function of this name. Nearly all names are refused by their first letters.
///
/// # Safety
///
/// Null, or a text that ends with NUL.
unsafe fn intercepted(name: *const c_char) -> Option<Intercepted> {
    if name.is_null() {
        return None;
    }
    // SAFETY: by this function's contract.
    let name = unsafe { CStr::from_ptr(name) };
    let address = match name.to_bytes() {
        [b'c', b'u', ..] | [b'n', b'v', b'm', b'l', ..] => {
            let hook = hooks::all().find(|hook| hook.name == name)?;
            return Some(Intercepted { address: hook.address.cast_mut(), hook: Some(hook) });
        }
        b"dlsym" => dlsym as *mut c_void,
        b"dlvsym" => dlvsym as *mut c_void,
        b"dlopen" => dlopen as *mut c_void,
        b"dlmopen" => dlmopen as *mut c_void,
        _ => return None,
    };
    Some(Intercepted { address, hook: None })
}
