//! A bug that is there to be found: without it nobody would see that the instrumentation has been lost and the fuzzers only
//! guess. Guessing finds it once in four billion inputs.

/// Breaks on one beginning.
pub fn run(bytes: &[u8]) {
    assert!(!bytes.starts_with(b"eck!"), "planted");
}
