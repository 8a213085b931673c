//! What an assembly stub does with a call: it returns the answer, or jumps to glibc's function.

use std::ffi::c_void;

/// In the two registers that C returns such a structure in: the stubs read `rax` and `rdx`.
#[repr(C)]
pub(super) struct Dispatch {
    /// The answer, or where to jump.
    address: *mut c_void,
    /// 1 for an answer, 0 for a jump.
    answered: usize,
}

impl Dispatch {
    pub(super) fn answer(address: *mut c_void) -> Self {
        Self { address, answered: 1 }
    }

    /// Null where glibc lacks the function: then null is the answer, as for all that is not there.
    pub(super) fn jump(address: *mut c_void) -> Self {
        Self { address, answered: usize::from(address.is_null()) }
    }
}
