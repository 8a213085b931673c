//! The context that is current on each thread.

use std::cell::RefCell;

thread_local! {
    /// The contexts of a thread, the current one on top.
    static STACK: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// The handle of this thread's context; 0 for none.
pub(crate) fn current_handle() -> usize {
    STACK.with_borrow(|stack| stack.last().copied().unwrap_or(0))
}

/// Makes a context this thread's, in place of the one that it had.
pub(crate) fn set_current(handle: usize) {
    pop();
    push(handle);
}

/// Makes a context this thread's until it is taken away.
pub(crate) fn push(handle: usize) {
    STACK.with_borrow_mut(|stack| stack.push(handle));
}

/// Takes the current one away.
pub(crate) fn pop() -> usize {
    STACK.with_borrow_mut(|stack| stack.pop().unwrap_or(0))
}
