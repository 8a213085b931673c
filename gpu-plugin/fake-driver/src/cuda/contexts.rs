//! Contexts: each takes memory of its card, and what was allocated in it dies with it.

use super::abi::{CudaError, CudaResult};
use super::process::{Context, Primary, Process};

impl Process {
    /// Makes a context on the device of a number; its handle.
    pub(crate) fn create_context(&mut self, number: i32) -> Result<usize, CudaError> {
        let (at, device) = self.device(number)?;
        // A context takes whole blocks of its own.
        device.card.reserve(device.context_bytes)?;
        self.contexts.push(Context { device: at, live: true, broken: false });
        Ok(self.contexts.len())
    }

    pub(crate) fn destroy_context(&mut self, handle: usize) -> CudaResult {
        let found =
            handle.checked_sub(1).and_then(|at| self.contexts.get_mut(at)).filter(|context| context.live);
        let context = found.ok_or(CudaError::INVALID_CONTEXT)?;
        context.live = false;
        let at = context.device;
        let device = &self.devices()?[at];
        self.arena(at).free_context(&device.card, handle)?;
        device.card.release(device.context_bytes);
        Ok(())
    }

    /// The primary context of a device, made if there is none.
    pub(crate) fn retain_primary(&mut self, number: i32) -> Result<usize, CudaError> {
        let (at, _) = self.device(number)?;
        let Primary { mut handle, retained } = self.primary.get(&at).copied().unwrap_or_default();
        if retained == 0 {
            handle = self.create_context(number)?;
        }
        self.primary.insert(at, Primary { handle, retained: retained + 1 });
        Ok(handle)
    }

    /// Whoever releases it last destroys it.
    pub(crate) fn release_primary(&mut self, number: i32) -> CudaResult {
        let (at, _) = self.device(number)?;
        let found = self.primary.get_mut(&at).filter(|primary| primary.retained > 0);
        let primary = found.ok_or(CudaError::INVALID_CONTEXT)?;
        primary.retained -= 1;
        let Primary { handle, retained } = *primary;
        if retained == 0 { self.destroy_context(handle) } else { Ok(()) }
    }

    /// Destroys it, however often it is retained.
    pub(crate) fn reset_primary(&mut self, number: i32) -> CudaResult {
        let (at, _) = self.device(number)?;
        match self.primary.insert(at, Primary::default()).filter(|primary| primary.retained > 0) {
            Some(primary) => self.destroy_context(primary.handle),
            None => Ok(()),
        }
    }

    /// Whether a device has a primary context.
    pub(crate) fn has_primary(&self, number: i32) -> Result<bool, CudaError> {
        let (at, _) = self.device(number)?;
        Ok(self.primary.get(&at).is_some_and(|primary| primary.retained > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::abi::BLOCK;
    use crate::cuda::current::set_current;
    use crate::cuda::testing::Machine;

    /// A process on a card of ten blocks, of which a context takes two.
    fn process() -> Process {
        Machine::new().process(10, 2)
    }

    fn used(process: &Process) -> u64 {
        process.devices[0].card.used()
    }

    #[test]
    fn each_context_takes_memory_until_it_is_destroyed() {
        let mut process = process();
        let [one, other] = [(); 2].map(|()| process.create_context(0).unwrap());
        assert_eq!(used(&process), 4 * BLOCK);
        process.destroy_context(one).unwrap();
        assert_eq!(used(&process), 2 * BLOCK);
        process.destroy_context(other).unwrap();
        assert_eq!(used(&process), 0);
    }

    #[test]
    fn a_card_without_room_for_a_context_refuses_it() {
        let mut process = process();
        process.devices[0].card.reserve(9 * BLOCK).unwrap();
        assert_eq!(process.create_context(0), Err(CudaError::OUT_OF_MEMORY));
    }

    #[test]
    fn a_context_is_destroyed_once() {
        let mut process = process();
        let handle = process.create_context(0).unwrap();
        process.destroy_context(handle).unwrap();
        assert_eq!(process.destroy_context(handle), Err(CudaError::INVALID_CONTEXT));
        assert_eq!(process.destroy_context(0), Err(CudaError::INVALID_CONTEXT));
    }

    #[test]
    fn memory_dies_with_its_context() {
        let mut process = process();
        let handle = process.create_context(0).unwrap();
        let device = &process.devices[0];
        process.arena(0).allocate(&device.card, handle, 3 * BLOCK).unwrap();
        process.destroy_context(handle).unwrap();
        assert_eq!(used(&process), 0);
    }

    #[test]
    fn the_primary_context_is_one_until_it_is_released_as_often_as_it_was_retained() {
        let mut process = process();
        let handles = [(); 2].map(|()| process.retain_primary(0).unwrap());
        assert_eq!((handles[0], used(&process)), (handles[1], 2 * BLOCK));
        process.release_primary(0).unwrap();
        assert_eq!(process.has_primary(0), Ok(true));
        process.release_primary(0).unwrap();
        assert_eq!((process.has_primary(0), used(&process)), (Ok(false), 0));
        assert_eq!(process.release_primary(0), Err(CudaError::INVALID_CONTEXT));
    }

    #[test]
    fn a_reset_destroys_the_primary_context_however_often_it_is_retained() {
        let mut process = process();
        process.retain_primary(0).unwrap();
        process.retain_primary(0).unwrap();
        process.reset_primary(0).unwrap();
        assert_eq!((process.has_primary(0), used(&process)), (Ok(false), 0));
    }

    #[test]
    fn a_thread_without_a_context_that_lives_has_none() {
        let mut process = process();
        set_current(0);
        assert_eq!(process.current().err(), Some(CudaError::INVALID_CONTEXT));
        let handle = process.create_context(0).unwrap();
        set_current(handle);
        assert_eq!(process.current().map(|(device, _)| device), Ok(0));
        process.destroy_context(handle).unwrap();
        assert_eq!(process.current().err(), Some(CudaError::INVALID_CONTEXT));
    }

    #[test]
    fn before_the_driver_is_initialised_there_is_no_device() {
        let mut process = Process::default();
        assert_eq!(process.create_context(0), Err(CudaError::NOT_INITIALIZED));
    }

    #[test]
    fn a_device_that_is_not_there_is_refused() {
        let process = process();
        assert_eq!([-1, 1].map(|number| process.device(number).err()), [Some(CudaError::INVALID_DEVICE); 2]);
    }
}
