//! The clock that all processes of a machine share.

/// ns of `CLOCK_MONOTONIC`.
pub(crate) fn now() -> u64 {
    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32;
    }
    let mut time = [0; 2];
    // SAFETY: 1 is CLOCK_MONOTONIC, and two longs are a timespec on every 64-bit machine.
    unsafe { clock_gettime(1, &raw mut time) };
    time[0].cast_unsigned() * 1_000_000_000 + time[1].cast_unsigned()
}

/// Waits for a moment: asleep, but for the end, so that it is not missed.
pub(crate) fn wait_until(moment: u64) {
    const SPIN: u64 = 80_000;
    loop {
        let left = moment.saturating_sub(now());
        match left {
            0 => return,
            SPIN.. => std::thread::park_timeout(std::time::Duration::from_nanos(left - SPIN / 2)),
            _ => std::hint::spin_loop(),
        }
    }
}
