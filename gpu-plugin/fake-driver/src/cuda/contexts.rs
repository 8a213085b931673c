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
