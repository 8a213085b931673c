//! The thread that opens and shuts the gate of one card: it waits until the container is entitled, takes the turn, lets launches
//! in for a quantum, waits until the card is done, charges what it took, and gives the turn on.

use std::sync::atomic::Ordering;
use std::thread::park_timeout;
use std::time::Duration;

use crate::limits;

use super::account::Account;
use super::gate::{Gate, Look};
use super::{QUANTUM, clock};

/// How often the card is looked at during a turn: half a percent of a quantum.
const LOOK: Duration = Duration::from_micros(100);

/// How often it is looked at when the turn is over, and the turn is asked for: the card does nothing in between.
const CHANGE: Duration = Duration::from_micros(50);

/// Who has just had a turn lets others who wait try this often before it tries itself: the lock has no order of its own, and who
/// gives it on would be the first to take it again.
const POLITE: u32 = 6;

/// How long a card may be idle until its turn is given on: longer than a program takes from the end of a kernel to the launch of
/// the next one, and a percent of a quantum.
const IDLE: u64 = 200_000;

/// How long a turn is waited for at most. Whoever has it then has a kernel that does not end, perhaps because it waits for one of
/// ours; what both take is charged to both.
const PATIENCE: u64 = 2_000_000_000;

/// The same where this process has work on another card, which may wait for this one while others hold turns the other way round.
const PATIENCE_HOLDING: u64 = 30_000_000;

/// A turn of one that is not entitled and takes what nobody else wants: short, as somebody may want it soon.
const BORROWED: u64 = 5_000_000;

/// How often a borrower looks whether nobody wants the card.
const BORROW: u64 = 1_000_000;

/// The longest sleep until entitlement: the account is shared, so it is looked at again.
const LONGEST: u64 = 100_000_000;

/// How long what is on the card is waited for while it cannot be asked, as a graph is being captured.
const UNKNOWN: u64 = QUANTUM;

/// How a turn was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// It was due.
    Due,
    /// It was due and did not come: without it.
    Overdue,
    /// It was not due, but nobody else wants it.
    Borrowed,
}

/// Runs for ever.
pub(super) fn run(gate: &'static Gate, elsewhere: fn(&Gate) -> bool) {
    // SAFETY: two numbers. Timers are then exact to 1 µs, where the default would make each look half as late again.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_000) };
    let mut keeper = Keeper {
        gate,
        account: Account::new(gate.card.region().tat, gate.card.core_percent),
        elsewhere,
        borrows: limits::get().is_some_and(|limits| limits.work_conserving),
        charged: 0,
        served: false,
    };
    let mut last_end = 0;
    let mut wanted = 0;
    loop {
        while !gate.wanted() {
            std::thread::park();
        }
        let now = clock::now();
        // Who comes back at once has not stopped wanting.
        keeper.served = now.saturating_sub(last_end) <= IDLE;
        if !keeper.served {
            wanted = now;
        }
        let taken = keeper.take();
        gate.card.region().throttled_ns.fetch_add(clock::now().saturating_sub(now), Ordering::Relaxed);
        keeper.serve(taken, wanted);
        if taken != Taken::Overdue {
            gate.timeslice.release();
        }
        last_end = clock::now();
    }
}

struct Keeper {
    gate: &'static Gate,
    account: Account,
    /// Whether the process has work on another card.
    elsewhere: fn(&Gate) -> bool,
    borrows: bool,
    /// How much of the card's time for this process was charged.
    charged: u64,
    /// Whether it comes straight from a turn.
    served: bool,
}

impl Keeper {
    /// Waits until work may be done.
    fn take(&self) -> Taken {
        loop {
            if !self.entitled() {
                return Taken::Borrowed;
            }
            self.gate.timeslice.set_waiting(true);
            let taken = self.due();
            self.gate.timeslice.set_waiting(false);
            if let Some(taken) = taken {
                return taken;
            }
        }
    }

    /// Waits until the container is entitled; or false, with the turn, where nobody else is and it may borrow.
    fn entitled(&self) -> bool {
        loop {
            let wait = self.account.wait(clock::now());
            if wait == 0 {
                return true;
            }
            if self.borrows && !self.gate.timeslice.is_contended() && self.gate.timeslice.try_acquire() {
                return false;
            }
            park_timeout(Duration::from_nanos(wait.min(if self.borrows { BORROW } else { LONGEST })));
        }
    }

    /// Waits for the turn that is due; `None` if another process of the container was served meanwhile and it is due no longer.
    fn due(&self) -> Option<Taken> {
        let since = clock::now();
        let mut tries = 0;
        loop {
            let now = clock::now();
            tries += 1;
            let polite = self.served && tries < POLITE && self.gate.timeslice.is_contended();
            let taken = !polite && self.gate.timeslice.try_acquire();
            if self.account.wait(now) > 0 {
                if taken {
                    self.gate.timeslice.release();
                }
                return None;
            }
            if taken {
                return Some(Taken::Due);
            }
            let waited = now.saturating_sub(since);
            if waited > PATIENCE || waited > PATIENCE_HOLDING && (self.elsewhere)(self.gate) {
                return Some(Taken::Overdue);
            }
            park_timeout(CHANGE);
        }
    }

    /// One turn.
    fn serve(&mut self, taken: Taken, wanted: u64) {
        let length = if taken == Taken::Borrowed { BORROWED } else { QUANTUM };
        let opened = clock::now();
        loop {
            let elapsed = clock::now().saturating_sub(opened);
            let room = length.saturating_sub(elapsed);
            let look = self.look(room, taken, wanted);
            let idle = !look.busy && look.now.saturating_sub(look.done.max(opened)) > IDLE;
            if room == 0 || idle {
                break;
            }
            self.gate.allow(look.more);
            park_timeout(LOOK);
        }
        self.gate.allow(0);
        self.drain(taken, wanted);
    }

    /// Waits until the card has done what was let in.
    fn drain(&mut self, taken: Taken, wanted: u64) {
        let shut = clock::now();
        let mut since = shut;
        let mut stuck = 1;
        loop {
            let look = self.look(0, taken, wanted);
            if !look.busy || look.unknown && look.now.saturating_sub(shut) > UNKNOWN {
                self.gate.allow(0);
                return;
            }
            // Work may wait for work that is kept out: a kernel for another one, on this card or on another. So one more is let
            // in now and then, and more and more seldom, as it may just be a long kernel.
            if self.gate.wanted() && look.now.saturating_sub(since) > look.patience * stuck {
                since = look.now;
                stuck *= 2;
                self.gate.allow(1);
            }
            park_timeout(CHANGE);
        }
    }

    /// Looks at the card and charges what it has done since the last look: a process that is killed has paid by then.
    fn look(&mut self, room: u64, taken: Taken, wanted: u64) -> Look {
        let look = self.gate.look(room);
        let busy = look.total.saturating_sub(self.charged);
        self.charged = self.charged.max(look.total);
        if busy > 0 {
            self.gate.card.region().busy_ns.fetch_add(busy, Ordering::Relaxed);
            // What nobody else wanted is not owed.
            if taken != Taken::Borrowed {
                self.account.charge(wanted, busy);
            }
        }
        look
    }
}
