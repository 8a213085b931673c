//! One initialisation of NVML, on a thread of its own.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::time::Duration;

use ideal_gpu::card::CardId;

use super::read;
use super::watch::Watch;
use crate::driver::{CardEvent, CardUsage, DriverError, Found};

/// Where an answer goes.
pub(super) type Reply<T> = Sender<Result<T, DriverError>>;

/// What a session is asked.
pub(super) enum Order {
    Cards(Reply<Vec<Found>>),
    NextEvent(Duration, Reply<Option<CardEvent>>),
    Usage(Reply<Vec<CardUsage>>),
    Probe(CardId, Reply<()>),
}

/// The session, seen from outside its thread.
#[derive(Debug)]
pub(super) struct Session {
    orders: Option<Sender<Order>>,
    /// Nothing is ever sent: it closes when the thread has let go of NVML.
    lives: Receiver<()>,
}

impl Session {
    /// Loads and initialises NVML. The session is there even if that did not end in time, so that its end can be seen.
    pub(super) fn start(
        library: &Path,
        patience: Duration,
    ) -> Result<(Self, Result<(), DriverError>), DriverError> {
        let (orders, taken) = mpsc::channel();
        let (life, lives) = mpsc::channel();
        let (ready, started) = mpsc::channel();
        let library = library.to_owned();
        let body = move || {
            run(&library, &ready, &taken);
            drop(life);
        };
        let thread = std::thread::Builder::new().name("nvml".to_owned()).spawn(body);
        thread.map_err(|error| DriverError::Other(format!("no thread: {error}")))?;
        let session = Self { orders: Some(orders), lives };
        Ok((session, wait(&started, patience)))
    }

    /// Gives an order and waits for the answer.
    pub(super) fn ask<T>(
        &self,
        order: impl FnOnce(Reply<T>) -> Order,
        patience: Duration,
    ) -> Result<T, DriverError> {
        let (reply, answer) = mpsc::channel();
        if let Some(orders) = &self.orders {
            // If the thread is gone the order goes with it, and the answer's channel closes: `wait` says so.
            let _ = orders.send(order(reply));
        }
        wait(&answer, patience)
    }

    /// Ends it. Gives it back if it did not end in time.
    pub(super) fn end(mut self, patience: Duration) -> Option<Self> {
        self.orders = None;
        match self.lives.recv_timeout(patience) {
            Err(RecvTimeoutError::Timeout) => Some(self),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Whether the thread has let go of NVML.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.lives.try_recv(), Err(TryRecvError::Disconnected))
    }
}

fn wait<T>(answer: &Receiver<Result<T, DriverError>>, patience: Duration) -> Result<T, DriverError> {
    match answer.recv_timeout(patience) {
        Ok(answer) => answer,
        Err(RecvTimeoutError::Timeout) => Err(DriverError::Stuck),
        Err(RecvTimeoutError::Disconnected) => Err(DriverError::Other("its thread has ended".to_owned())),
    }
}

/// The session's thread: NVML is initialised at the head and shut down at the end of this function.
fn run(library: &Path, ready: &Reply<()>, orders: &Receiver<Order>) {
    let nvml = match nvml_wrapper::Nvml::builder().lib_path(library.as_os_str()).init() {
        Ok(nvml) => nvml,
        Err(error) => {
            let _ = ready.send(Err(read::error(error)));
            return;
        }
    };
    // From here on events are kept, before anyone asks which cards there are.
    let mut watch = match Watch::new(&nvml) {
        Ok(watch) => watch,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    // A reply that nobody waits for any more is dropped: its asker has given this session up.
    for order in orders {
        let _gone = match order {
            Order::Cards(reply) => reply.send(read::cards(&nvml)).is_err(),
            Order::NextEvent(patience, reply) => reply.send(watch.next(patience)).is_err(),
            Order::Usage(reply) => reply.send(read::usage(&nvml)).is_err(),
            Order::Probe(card, reply) => reply.send(read::probe(&nvml, &card)).is_err(),
        };
    }
}
