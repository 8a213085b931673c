//! The C boundary of NVML, and its only file with `unsafe`. A C caller's pointer arrives in one of these types, which can be made
//! by nobody else, and each refuses null.

use std::ffi::{CStr, c_char, c_uint};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::nvml::abi::NvmlError;

/// Runs a call's work. Nothing unwinds into C.
pub(crate) fn call(work: impl FnOnce() -> Result<(), NvmlError>) -> c_uint {
    // State is replaced in whole steps under a lock, so what a panic leaves is not half done.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => 0,
        Ok(Err(code)) => code.0,
        Err(_) => NvmlError::UNKNOWN.0,
    }
}

/// Where one value is written to.
#[repr(transparent)]
pub(crate) struct Out<T>(*mut T);

impl<T: Copy> Out<T> {
    pub(crate) fn put(&self, value: T) -> Result<(), NvmlError> {
        if self.0.is_null() {
            return Err(NvmlError::INVALID_ARGUMENT);
        }
        // SAFETY: not null, and by nvml.h the caller's pointer is aligned and valid for a write of one T during the call.
        unsafe { self.0.write(value) };
        Ok(())
    }

    /// What the caller has put there, for values that go both ways.
    pub(crate) fn get(&self) -> Result<T, NvmlError> {
        if self.0.is_null() {
            return Err(NvmlError::INVALID_ARGUMENT);
        }
        // SAFETY: not null, and used only where nvml.h has the caller initialise the T that it points to.
        Ok(unsafe { self.0.read() })
    }
}

/// An array of the caller's, which tells its length beside it.
#[repr(transparent)]
pub(crate) struct Array<T>(*mut T);

impl<T: Copy> Array<T> {
    pub(crate) fn is_null(&self) -> bool {
        self.0.is_null()
    }

    /// Writes `values`; `room` is what the caller says that the array holds.
    pub(crate) fn put(&self, room: usize, values: &[T]) -> Result<(), NvmlError> {
        if values.len() > room {
            return Err(NvmlError::INSUFFICIENT_SIZE);
        }
        if self.0.is_null() {
            return Err(NvmlError::INVALID_ARGUMENT);
        }
        for (at, value) in values.iter().enumerate() {
            // SAFETY: not null, `at` is below `room`, and by nvml.h the array is valid for writes of `room` values.
            unsafe { self.0.add(at).write(*value) };
        }
        Ok(())
    }

    /// Changes each of the first `count` values, which the caller has initialised.
    pub(crate) fn change(&self, count: usize, change: impl Fn(T) -> T) -> Result<(), NvmlError> {
        if self.0.is_null() {
            return Err(NvmlError::INVALID_ARGUMENT);
        }
        for at in 0..count {
            // SAFETY: not null, `at` is below `count`, and by nvml.h the caller has initialised so many values there and
            // lets them be written.
            unsafe {
                let place = self.0.add(at);
                place.write(change(place.read()));
            }
        }
        Ok(())
    }
}

impl Array<c_char> {
    /// Writes a text with its NUL.
    pub(crate) fn text(&self, room: c_uint, text: &str) -> Result<(), NvmlError> {
        self.put(room as usize, &chars(text))
    }
}

/// A text as C has it, with its NUL. One inside the text would end it early, so what comes after is left out.
fn chars(text: &str) -> Vec<c_char> {
    let bytes = text.bytes().take_while(|byte| *byte != 0);
    bytes.chain([0]).map(|byte| c_char::from_ne_bytes([byte])).collect()
}

/// A text in an array of fixed length, cut to leave room for the NUL.
pub(crate) fn fixed<const N: usize>(text: &str) -> [c_char; N] {
    let mut array = [0; N];
    for (place, char) in array.iter_mut().take(N.saturating_sub(1)).zip(chars(text)) {
        *place = char;
    }
    array
}

/// A text of the caller's.
#[repr(transparent)]
pub(crate) struct Text(*const c_char);

impl Text {
    pub(crate) fn get(&self) -> Result<String, NvmlError> {
        if self.0.is_null() {
            return Err(NvmlError::INVALID_ARGUMENT);
        }
        // SAFETY: not null, and by nvml.h a text that ends with NUL and does not change during the call.
        let text = unsafe { CStr::from_ptr(self.0) };
        text.to_str().map(str::to_owned).map_err(|_| NvmlError::INVALID_ARGUMENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_that_does_not_fit_and_nothing_to_null() {
        let mut room = [7_i8; 4];
        let array = Array(room.as_mut_ptr().cast::<c_char>());
        assert_eq!(array.text(4, "four"), Err(NvmlError::INSUFFICIENT_SIZE), "no room for the NUL");
        assert_eq!(array.text(4, "abc"), Ok(()));
        assert_eq!(array.text(3, "\0hidden"), Ok(()));
        assert_eq!(room, [0, b'b'.cast_signed(), b'c'.cast_signed(), 0]);
        let null = Array::<c_char>(std::ptr::null_mut());
        assert_eq!(null.text(4, "abc"), Err(NvmlError::INVALID_ARGUMENT));
        assert_eq!(Out::<u32>(std::ptr::null_mut()).put(1), Err(NvmlError::INVALID_ARGUMENT));
        assert_eq!(Text(std::ptr::null()).get(), Err(NvmlError::INVALID_ARGUMENT));
        assert_eq!(fixed::<4>("long text"), [b'l', b'o', b'n', 0].map(u8::cast_signed));
    }

    #[test]
    fn a_panic_does_not_unwind_into_c() {
        assert_eq!(call(|| panic!("this is part of the test")), NvmlError::UNKNOWN.0);
        assert_eq!(call(|| Err(NvmlError::NOT_FOUND)), NvmlError::NOT_FOUND.0);
        assert_eq!(call(|| Ok(())), 0);
    }
}
