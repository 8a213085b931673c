//! loom's atomics, with sequentially consistent accesses.
//!
//! loom takes `SeqCst` for `AcqRel`, and so finds faults in code that has none; but it knows sequentially consistent fences. Here a
//! `SeqCst` access is what it is on x86-64, the only processor that the library is written for: a store, and whatever reads and writes
//! in one step, is a full fence as well, and a load is an acquiring one.

use std::sync::atomic::Ordering;

use loom::sync::atomic::fence;

/// An ordering for loom, and whether the access is a full fence.
fn modelled(ordering: Ordering, alone: Ordering) -> (Ordering, bool) {
    match ordering {
        Ordering::SeqCst => (alone, true),
        other => (other, false),
    }
}

fn fence_if(full: bool) {
    if full {
        fence(Ordering::SeqCst);
    }
}

macro_rules! atomics {
    ($($name:ident: $type:ty),*) => {$(
        /// As the standard library's.
        #[derive(Debug, Default)]
        pub(crate) struct $name(loom::sync::atomic::$name);

        #[allow(dead_code, reason = "not every type has every operation in use")]
        impl $name {
            pub(crate) fn new(value: $type) -> Self {
                Self(loom::sync::atomic::$name::new(value))
            }

            pub(crate) fn load(&self, ordering: Ordering) -> $type {
                self.0.load(modelled(ordering, Ordering::Acquire).0)
            }

            pub(crate) fn store(&self, value: $type, ordering: Ordering) {
                let (ordering, full) = modelled(ordering, Ordering::Release);
                self.0.store(value, ordering);
                fence_if(full);
            }

            pub(crate) fn compare_exchange(
                &self,
                current: $type,
                new: $type,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$type, $type> {
                let (success, full) = modelled(success, Ordering::AcqRel);
                fence_if(full);
                let result = self.0.compare_exchange(current, new, success, modelled(failure, Ordering::Acquire).0);
                fence_if(full);
                result
            }

            pub(crate) fn compare_exchange_weak(
                &self,
                current: $type,
                new: $type,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$type, $type> {
                self.compare_exchange(current, new, success, failure)
            }

            pub(crate) fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                mut next: impl FnMut($type) -> Option<$type>,
            ) -> Result<$type, $type> {
                let mut current = self.load(failure);
                while let Some(new) = next(current) {
                    match self.compare_exchange(current, new, success, failure) {
                        Ok(before) => return Ok(before),
                        Err(other) => current = other,
                    }
                }
                Err(current)
            }
        }
    )*};
}

macro_rules! arithmetic {
    ($($name:ident: $type:ty { $($operation:ident)* })*) => {$(
        impl $name {$(
            pub(crate) fn $operation(&self, value: $type, ordering: Ordering) -> $type {
                let (ordering, full) = modelled(ordering, Ordering::AcqRel);
                fence_if(full);
                let before = self.0.$operation(value, ordering);
                fence_if(full);
                before
            }
        )*}
    )*};
}

atomics! { AtomicBool: bool, AtomicU32: u32, AtomicU64: u64 }
arithmetic! {
    AtomicU32: u32 { fetch_add fetch_sub }
    AtomicU64: u64 { fetch_add fetch_sub fetch_or }
}
