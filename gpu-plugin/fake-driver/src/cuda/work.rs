//! Work that streams are given: kernels, and what they do and take.

use std::ffi::{CStr, c_void};
use std::sync::LazyLock;
use std::thread::Thread;
use std::time::Duration;

use super::abi::{CudaError, CudaResult, read_from};
use super::clock::{now, wait_until};
use super::current::current_handle;
use super::meeting::Meeting;
use super::moment::Moment;
use super::process::{Process, process};
use super::queues;
use super::state::streams::StreamKey;

/// How often, in ns, a kernel looks whether the others have come, and how often a card is asked at most.
const MEETING: u64 = 20_000;
const LEAST: u64 = 3_000;

/// A kernel that every module has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// Takes as many ns as its first parameter says.
    Spin,
    /// Writes its third parameter to as many words as its second says at the address that is its first; takes the ns of its fourth.
    Fill,
    /// Breaks its context.
    Fault,
    /// Takes the ns of its fourth parameter, and then waits on the card until each of as many processes as its third says has come to its
    /// own one of the same number; the first is the name of their meeting, the second this process's place.
    Meet,
}

/// With their names, and the handles of their functions.
const KERNELS: [(&CStr, usize, Kernel); 4] = [
    (c"spin", 0x101, Kernel::Spin),
    (c"fill", 0x102, Kernel::Fill),
    (c"fault", 0x103, Kernel::Fault),
    (c"meet", 0x104, Kernel::Meet),
];

/// The handle of a kernel's function.
pub(crate) fn function_of(name: &CStr) -> Result<usize, CudaError> {
    KERNELS
        .iter()
        .find(|(known, ..)| *known == name)
        .map(|(_, handle, _)| *handle)
        .ok_or(CudaError::NOT_FOUND)
}

fn kernel_of(function: usize) -> Result<Kernel, CudaError> {
    KERNELS
        .iter()
        .find(|(_, handle, _)| *handle == function)
        .map(|(.., kernel)| *kernel)
        .ok_or(CudaError::INVALID_HANDLE)
}

impl Process {
    /// Does what a kernel does and tells how long it takes, in ns.
    pub(crate) fn perform(
        &mut self,
        function: usize,
        parameters: *const *const c_void,
    ) -> Result<u64, CudaError> {
        match kernel_of(function)? {
            Kernel::Spin => parameter(parameters, 0),
            Kernel::Fill => {
                fill(parameters)?;
                parameter(parameters, 3)
            }
            Kernel::Meet => parameter(parameters, 3),
            Kernel::Fault => {
                let at = current_handle().checked_sub(1).ok_or(CudaError::INVALID_CONTEXT)?;
                self.contexts.get_mut(at).ok_or(CudaError::INVALID_CONTEXT)?.broken = true;
                Ok(0)
            }
        }
    }

    /// Launches a kernel; until when its caller has to wait, as the queue is full.
    pub(crate) fn launch(
        &mut self,
        function: usize,
        stream: StreamKey,
        parameters: *const *const c_void,
        now: u64,
    ) -> Result<Moment, CudaError> {
        self.current()?;
        let time = self.perform(function, parameters)?;
        // A kernel that goes wrong is launched well: the next call says it.
        if time == 0 && self.current().is_err() {
            return Ok(Moment::default());
        }
        let meeting = match kernel_of(function)? {
            Kernel::Meet => {
                let number = |at| parameter::<u64>(parameters, at);
                Some(self.next_meeting(number(0)?, number(1)?, number(2)?)?)
            }
            Kernel::Spin | Kernel::Fill | Kernel::Fault => None,
        };
        self.give(stream, time, meeting, now)
    }

    /// Gives a stream work of so many ns; until when its caller has to wait, as the queue is full.
    pub(crate) fn submit(&mut self, stream: StreamKey, time: u64, now: u64) -> Result<Moment, CudaError> {
        self.give(stream, time, None, now)
    }

    fn give(
        &mut self,
        stream: StreamKey,
        time: u64,
        meeting: Option<Meeting>,
        now: u64,
    ) -> Result<Moment, CudaError> {
        let (at, _) = self.current()?;
        if let Some(graph) = self.captures.graph_of(stream) {
            self.graphs.add_kernel(graph, time)?;
            return Ok(Moment::default());
        }
        let after = self.streams.after(stream);
        let devices = self.devices()?;
        if meeting.is_some() {
            card_thread().unpark();
        }
        let end = self.queues.give(devices, at, after, time, meeting, now);
        self.streams.ends_at(stream, end);
        Ok(self.streams.enqueue(end))
    }

    /// Whether all work is done that is by then.
    pub(crate) fn is_reached(&mut self, moment: Moment, now: u64) -> bool {
        self.queues.go_on(self.devices, now);
        queues::is_reached(self.devices, moment, now)
    }
}

/// Gives a stream work, and waits where the queue is full: other threads call meanwhile.
pub(crate) fn run(work: impl FnOnce(&mut Process, u64) -> Result<Moment, CudaError>) -> CudaResult {
    let room = work(&mut process(), now())?;
    wait_for(room);
    Ok(())
}

/// Waits for all work of this process.
pub(crate) fn wait_all() {
    let end = process().streams.last_end();
    wait_for(end);
}

/// Waits for a moment. The process's other threads call meanwhile, so nobody holds the lock for it.
pub(crate) fn wait_for(moment: Moment) {
    if moment == Moment::default() {
        return;
    }
    loop {
        let mut locked = process();
        let now = now();
        if locked.is_reached(moment, now) {
            return;
        }
        let left = queues::left(locked.devices, moment);
        let meets = locked.queues.is_held_up();
        drop(locked);
        // Others may share the card, so it is not sooner.
        wait_until(now + if meets { MEETING } else { left.max(LEAST) });
    }
}

/// A card needs nobody to ask it to go on after a meeting: a thread does it in its place, as long as there is one.
fn card_thread() -> &'static Thread {
    static THREAD: LazyLock<Thread> = LazyLock::new(|| {
        let run = || loop {
            let mut locked = process();
            let devices = locked.devices;
            locked.queues.go_on(devices, now());
            let meets = locked.queues.is_held_up();
            drop(locked);
            if meets {
                std::thread::park_timeout(Duration::from_nanos(MEETING));
            } else {
                std::thread::park();
            }
        };
        std::thread::spawn(run).thread().clone()
    });
    &THREAD
}

/// A kernel's parameter: `parameters` points to as many pointers as it has.
fn parameter<T: Copy>(parameters: *const *const c_void, at: usize) -> Result<T, CudaError> {
    if parameters.is_null() {
        return Err(CudaError::INVALID_VALUE);
    }
    // SAFETY: by cuda.h there is a pointer for each parameter of the function.
    read_from(read_from(unsafe { parameters.add(at) })?.cast::<T>())
}

/// Nobody may look at what a kernel writes before it has ended, so it is written at once.
fn fill(parameters: *const *const c_void) -> CudaResult {
    let (at, count, value) = (
        parameter::<u64>(parameters, 0)?,
        parameter::<u64>(parameters, 1)?,
        parameter::<u32>(parameters, 2)?,
    );
    for word in 0..count as usize {
        // SAFETY: by the kernel's own terms so many words from there on are memory of the device.
        unsafe { (at as *mut u32).add(word).write(value) };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::current::set_current;
    use crate::cuda::testing::Machine;

    const STREAM: StreamKey = StreamKey::Created(10);

    /// Launches a kernel with parameters of 8 bytes each.
    fn launch(process: &mut Process, name: &CStr, parameters: &[u64], now: u64) -> Result<Moment, CudaError> {
        let pointers: Vec<*const c_void> =
            parameters.iter().map(|parameter| std::ptr::from_ref(parameter).cast()).collect();
        process.launch(function_of(name)?, STREAM, pointers.as_ptr(), now)
    }

    #[test]
    fn a_kernel_takes_as_long_as_it_is_told() {
        let mut process = Machine::new().running(1);
        launch(&mut process, c"spin", &[500], 1_000).unwrap();
        let end = process.streams.after(STREAM);
        assert!(!process.is_reached(end, 1_499) && process.is_reached(end, 1_500));
    }

    #[test]
    fn kernels_run_one_after_the_other() {
        let mut process = Machine::new().running(1);
        launch(&mut process, c"spin", &[500], 1_000).unwrap();
        launch(&mut process, c"spin", &[20], 1_001).unwrap();
        let end = process.streams.after(STREAM);
        assert!(!process.is_reached(end, 1_519) && process.is_reached(end, 1_520));
    }

    #[test]
    fn a_kernel_writes_what_it_is_told_and_takes_its_time() {
        let mut process = Machine::new().running(1);
        let words = [0_u32; 3];
        let at = words.as_ptr().expose_provenance() as u64;
        launch(&mut process, c"fill", &[at, 2, 7, 40], 0).unwrap();
        assert_eq!(
            (std::hint::black_box(words), process.streams.after(STREAM)),
            ([7, 7, 0], Moment::of(0, 40))
        );
    }

    #[test]
    fn a_kernel_that_goes_wrong_is_launched_well_and_breaks_its_context() {
        let mut process = Machine::new().running(1);
        assert_eq!(launch(&mut process, c"fault", &[], 0), Ok(Moment::default()));
        assert_eq!(launch(&mut process, c"spin", &[1], 0), Err(CudaError::ILLEGAL_ADDRESS));
        assert_eq!(process.current().err(), Some(CudaError::ILLEGAL_ADDRESS));
    }

    #[test]
    fn a_broken_context_breaks_no_other() {
        let mut process = Machine::new().running(1);
        launch(&mut process, c"fault", &[], 0).unwrap();
        set_current(process.create_context(0).unwrap());
        assert_eq!(launch(&mut process, c"spin", &[1], 0), Ok(Moment::default()));
    }

    #[test]
    fn a_kernel_that_nobody_has_is_not_found_and_not_launched() {
        let mut process = Machine::new().running(1);
        assert_eq!(launch(&mut process, c"other", &[], 0), Err(CudaError::NOT_FOUND));
        assert_eq!(process.launch(7, STREAM, std::ptr::null(), 0), Err(CudaError::INVALID_HANDLE));
    }

    #[test]
    fn a_kernel_without_its_parameters_is_refused() {
        let mut process = Machine::new().running(1);
        let spin = function_of(c"spin").unwrap();
        assert_eq!(process.launch(spin, STREAM, std::ptr::null(), 0), Err(CudaError::INVALID_VALUE));
    }

    #[test]
    fn without_a_context_nothing_is_launched() {
        let mut process = Machine::new().running(1);
        set_current(0);
        assert_eq!(launch(&mut process, c"spin", &[1], 0), Err(CudaError::INVALID_CONTEXT));
    }

    #[test]
    fn what_is_captured_takes_the_time_of_its_graph_and_none_of_the_card() {
        let mut process = Machine::new().running(1);
        process.captures.begin(STREAM, 30).unwrap();
        process.graphs.create(30);
        launch(&mut process, c"spin", &[500], 0).unwrap();
        assert_eq!(
            (process.streams.after(STREAM), process.graphs.get(30).unwrap().time),
            (Moment::default(), 500)
        );
    }
}
