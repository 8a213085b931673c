//! What the connections and the test share.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::fault::Faults;
use super::store::Store;

/// What handlers share.
pub(super) struct Shared {
    pub(super) store: Mutex<Store>,
    pub(super) faults: Mutex<Faults>,
    pub(super) calls: Mutex<BTreeMap<(String, String), u64>>,
    /// What is no object, by path: logs, proxied answers, `/version`.
    pub(super) texts: Mutex<BTreeMap<String, String>>,
    /// The store's version, for watches that wait.
    pub(super) version: watch::Sender<u64>,
    /// False while connections are cut and none is taken.
    pub(super) up: watch::Sender<bool>,
}

impl Shared {
    /// An empty store, no faults, reachable.
    pub(super) fn new() -> Self {
        Self {
            store: Mutex::new(Store::new()),
            faults: Mutex::default(),
            calls: Mutex::default(),
            texts: Mutex::default(),
            version: watch::Sender::new(0),
            up: watch::Sender::new(true),
        }
    }

    /// Changes the store and wakes the watches.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = self.store.lock();
        let result = change(&mut store);
        let version = store.version();
        drop(store);
        self.version.send_if_modified(|seen| std::mem::replace(seen, version) != version);
        result
    }

    pub(super) fn count(&self, verb: &str, resource: &str) {
        *self.calls.lock().entry((verb.to_owned(), resource.to_owned())).or_default() += 1;
    }
}
