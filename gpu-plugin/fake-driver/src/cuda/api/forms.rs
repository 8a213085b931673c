//! The forms in which the driver exports one function.

/// Functions of a stream in both of their forms: `plain | per_thread(arguments) |key of stream| body`. The null stream of the first
/// is the legacy one; that of the second, whose name ends in `_ptsz`, is the thread's own. In the body `key` is the stream that is
/// meant by the argument `stream`.
macro_rules! both_forms {
    ($($(#[$attribute:meta])* fn $plain:ident | $per_thread:ident($($argument:ident: $type:ty),* $(,)?) |$key:ident of $stream:ident| $body:block)*) => {$(
        $(#[$attribute])*
        #[unsafe(no_mangle)]
        #[allow(clippy::too_many_arguments, reason = "cuda.h")]
        extern "C" fn $plain($($argument: $type),*) -> std::ffi::c_uint {
            let $key = $crate::cuda::state::streams::StreamKey::legacy($stream);
            $body
        }

        $(#[$attribute])*
        #[unsafe(no_mangle)]
        #[allow(clippy::too_many_arguments, reason = "cuda.h")]
        extern "C" fn $per_thread($($argument: $type),*) -> std::ffi::c_uint {
            let $key = $crate::cuda::state::streams::StreamKey::per_thread($stream);
            $body
        }
    )*};
}
pub(super) use both_forms;
