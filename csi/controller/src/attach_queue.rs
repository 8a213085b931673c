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
struct Line {
    detaches: VecDeque<oneshot::Sender<Turn>>,
    attaches: VecDeque<oneshot::Sender<Turn>>,
}

/// The lines before the machines. A machine without a line is free.
#[derive(Clone, Default)]
pub(crate) struct AttachQueue(Arc<Mutex<HashMap<String, Line>>>);

/// The right to change a machine's disks; the next in line gets it when this is dropped.
pub(crate) struct Turn {
    queue: AttachQueue,
    instance: String,
}

impl AttachQueue {
    /// Waits for the turn.
    pub(crate) async fn turn(&self, instance: &str, change: Change) -> Turn {
        let mine = || Turn { queue: self.clone(), instance: instance.to_owned() };
        let called = {
            let mut lines = self.lock();
            let Some(line) = lines.get_mut(instance) else {
                lines.insert(instance.to_owned(), Line::default());
                return mine();
            };
            let (call, called) = oneshot::channel();
            match change {
                Change::Attach => line.attaches.push_back(call),
                Change::Detach => line.detaches.push_back(call),
            }
            called
        };
        // Who is in line is always called: a turn that is dropped on the way passes itself on.
        called.await.unwrap_or_else(|_| mine())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Line>> {
        self.0.lock()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut lines = self.queue.lock();
            let Some(line) = lines.get_mut(&self.instance) else { return };
            let next = line.detaches.pop_front().or_else(|| line.attaches.pop_front());
            if next.is_none() {
                lines.remove(&self.instance);
            }
            next
        };
        if let Some(call) = next {
            // If the caller is gone, the turn comes back unsent and its own drop calls the next.
            let turn = Turn { queue: self.queue.clone(), instance: self.instance.clone() };
            drop(call.send(turn));
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
        let first = queue.turn("evm-1", Change::Attach).await;
        let wait = |name: &'static str, change| {
            let (queue, order) = (queue.clone(), Arc::clone(&order));
            tokio::spawn(async move {
                let _turn = queue.turn("evm-1", change).await;
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
        drop(queue.turn("evm-2", Change::Attach).await);
        drop(first);
        d.await.unwrap();
        a.await.unwrap();
        assert_eq!(*order.lock(), ["detach", "attach"]);
        assert!(queue.lock().is_empty());
    }
}
