//! One change of a machine's disks at a time (ECX-API B.8), and detaches before attaches: a detach frees the slot that the
//! attach may need.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Attach,
    Detach,
}

#[derive(Default)]
struct Waiters {
    detaches: VecDeque<oneshot::Sender<Permit>>,
    attaches: VecDeque<oneshot::Sender<Permit>>,
}

/// Who waits, by machine. A machine that is not in it is free.
#[derive(Clone, Default)]
pub(crate) struct AttachQueue(Arc<Mutex<HashMap<String, Waiters>>>);

/// The right to change a machine's disks; the next who waits gets it when this is dropped.
pub(crate) struct Permit {
    queue: AttachQueue,
    instance: String,
}

impl AttachQueue {
    /// Waits for the permit.
    pub(crate) async fn acquire(&self, instance: &str, change: Change) -> Permit {
        let mine = || Permit { queue: self.clone(), instance: instance.to_owned() };
        let called = {
            let mut machines = self.lock();
            let Some(waiters) = machines.get_mut(instance) else {
                machines.insert(instance.to_owned(), Waiters::default());
                return mine();
            };
            let (call, called) = oneshot::channel();
            match change {
                Change::Attach => waiters.attaches.push_back(call),
                Change::Detach => waiters.detaches.push_back(call),
            }
            called
        };
        // Who waits is always called: a permit that is dropped on the way passes itself on.
        called.await.unwrap_or_else(|_| mine())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Waiters>> {
        self.0.lock()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let next = {
            let mut machines = self.queue.lock();
            let Some(waiters) = machines.get_mut(&self.instance) else { return };
            let next = waiters.detaches.pop_front().or_else(|| waiters.attaches.pop_front());
            if next.is_none() {
                machines.remove(&self.instance);
            }
            next
        };
        if let Some(call) = next {
            // If the caller is gone, the permit comes back unsent and its own drop calls the next.
            let permit = Permit { queue: self.queue.clone(), instance: self.instance.clone() };
            drop(call.send(permit));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn detaches_go_first_and_a_gone_caller_blocks_nobody() {
        let queue = AttachQueue::default();
        let order = Arc::new(Mutex::new(Vec::new()));
        let first = queue.acquire("evm-1", Change::Attach).await;
        let wait = |name: &'static str, change| {
            let (queue, order) = (queue.clone(), Arc::clone(&order));
            tokio::spawn(async move {
                let _permit = queue.acquire("evm-1", change).await;
                order.lock().push(name);
            })
        };
        let a = wait("attach", Change::Attach);
        tokio::task::yield_now().await;
        let gone = wait("gone", Change::Detach);
        tokio::task::yield_now().await;
        let d = wait("detach", Change::Detach);
        tokio::task::yield_now().await;
        gone.abort();
        let _ = gone.await;
        drop(queue.acquire("evm-2", Change::Attach).await);
        drop(first);
        d.await.unwrap();
        a.await.unwrap();
        assert_eq!(*order.lock(), ["detach", "attach"]);
        assert!(queue.lock().is_empty());
    }
}
