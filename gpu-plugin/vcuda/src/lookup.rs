//! The ways by which programs look functions up themselves: `dlsym`, `dlvsym`, `dlopen` and `dlmopen` stand before glibc's.
//!
//! glibc asks who calls: `RTLD_NEXT` and `$ORIGIN` depend on it. So each of these looks at its arguments and then jumps to
//! glibc's, with the caller's own return address on the stack; only what concerns a card is answered here.

use std::ffi::{CStr, c_char, c_void};

use crate::hooks;
use crate::real;

mod namespace;

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("the jumps to glibc's functions are written for x86-64 Linux only");

/// What is to be done with a call, in the two registers that C returns such a structure in.
#[repr(C)]
struct Step {
    /// The answer, or where to jump.
    address: *mut c_void,
    answered: usize,
}

impl Step {
    fn answer(address: *mut c_void) -> Self {
        Self { address, answered: 1 }
    }

    /// Null where glibc lacks the function: then null is the answer, as for all that is not there.
    fn jump(address: *mut c_void) -> Self {
        Self { address, answered: usize::from(address.is_null()) }
    }
}

/// Stands before glibc's `dlsym`.
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
        "call {sought}",
        "add rsp, 8", "pop rsi", "pop rdi",
        "test rdx, rdx", "jnz 2f",
        "jmp rax",
        "2:", "ret",
        sought = sym sought,
    )
}

/// Stands before glibc's `dlvsym`. The driver's functions have no versions, so that glibc finds them under any.
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
        "call {sought}",
        "mov rcx, rdx",
        "pop rdx", "pop rsi", "pop rdi",
        "test rcx, rcx", "jnz 2f",
        "jmp rax",
        "2:", "ret",
        sought = sym sought_version,
    )
}

/// Stands before glibc's `dlopen`. Without `RTLD_DEEPBIND` (8): a library opened with it would find the driver's functions, and
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
        "call {opener}",
        "add rsp, 8", "pop rsi", "pop rdi",
        "test rax, rax", "jz 2f",
        "and esi, {kept}",
        "jmp rax",
        "2:", "ret",
        opener = sym opener,
        kept = const !libc::RTLD_DEEPBIND,
    )
}

/// Stands before glibc's `dlmopen`.
///
/// # Safety
///
/// As for glibc's.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn dlmopen(space: i64, file: *const c_char, flags: i32) -> *mut c_void {
    std::arch::naked_asm!(
        "push rdi", "push rsi", "push rdx",
        "call {opened}",
        "mov rcx, rdx",
        "pop rdx", "pop rsi", "pop rdi",
        "test rcx, rcx", "jnz 2f",
        "and edx, {kept}",
        "jmp rax",
        "2:", "ret",
        opened = sym namespace::opened,
        kept = const !libc::RTLD_DEEPBIND,
    )
}

extern "C" fn opener() -> *mut c_void {
    real::DLOPEN.get()
}

/// # Safety
///
/// The arguments of `dlsym`.
unsafe extern "C" fn sought(handle: *mut c_void, name: *const c_char) -> Step {
    // SAFETY: by this function's contract.
    let Some(ours) = (unsafe { ours(name) }) else { return Step::jump(real::DLSYM.get()) };
    let Some(dlsym) = real::dlsym() else { return Step::answer(std::ptr::null_mut()) };
    // SAFETY: the caller's own arguments; and RTLD_NEXT is a handle that glibc defines.
    answer(ours, |next| unsafe { dlsym(if next { libc::RTLD_NEXT } else { handle }, name) })
}

/// # Safety
///
/// The arguments of `dlvsym`.
unsafe extern "C" fn sought_version(
    handle: *mut c_void,
    name: *const c_char,
    version: *const c_char,
) -> Step {
    type Dlvsym = unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char) -> *mut c_void;
    // SAFETY: by this function's contract.
    let Some(ours) = (unsafe { ours(name) }) else { return Step::jump(real::DLVSYM.get()) };
    // SAFETY: glibc's function of this name has this signature; null is None.
    let dlvsym = unsafe { std::mem::transmute::<*mut c_void, Option<Dlvsym>>(real::DLVSYM.get()) };
    let Some(dlvsym) = dlvsym else { return Step::answer(std::ptr::null_mut()) };
    // SAFETY: the caller's own arguments; and RTLD_NEXT is a handle that glibc defines.
    answer(ours, |next| unsafe { dlvsym(if next { libc::RTLD_NEXT } else { handle }, name, version) })
}

/// Ours where the linker finds a function of this name: whether the driver has it stays true. What it finds in the whole program
/// is ours, which is always there: then one behind it counts.
fn answer(ours: *mut c_void, find: impl Fn(bool) -> *mut c_void) -> Step {
    let mut found = find(false);
    if found == ours {
        found = find(true);
    }
    Step::answer(if found.is_null() { found } else { ours })
}

/// Our function of this name. Nearly all names are refused by their first letters.
///
/// # Safety
///
/// Null, or a text that ends with NUL.
unsafe fn ours(name: *const c_char) -> Option<*mut c_void> {
    if name.is_null() {
        return None;
    }
    // SAFETY: by this function's contract.
    let name = unsafe { CStr::from_ptr(name) };
    match name.to_bytes() {
        [b'c', b'u', ..] | [b'n', b'v', b'm', b'l', ..] => {
            hooks::all().find(|hook| hook.name == name).map(|hook| hook.address.cast_mut())
        }
        b"dlsym" => Some(dlsym as *mut c_void),
        b"dlvsym" => Some(dlvsym as *mut c_void),
        b"dlopen" => Some(dlopen as *mut c_void),
        b"dlmopen" => Some(dlmopen as *mut c_void),
        _ => None,
    }
}
