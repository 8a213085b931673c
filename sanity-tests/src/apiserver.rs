//! A Kubernetes API server that behaves: one store behind one lock, one version for all objects, watches that miss nothing,
//! conflicts, the pods/binding subresource as the real one writes it, and faults on demand. HTTP/1.1 on loopback, JSON only,
//! no TLS and no authorisation. It has a thread of its own, so that a test's runtime, clock and end do not matter to it.

mod error;
mod fault;
mod http;
mod patch;
mod path;
mod selector;
mod serve;
mod shared;
mod store;
mod watch;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::oneshot;

pub use self::error::Refusal;
pub use self::fault::Fault;
pub use self::store::Key;

use self::fault::Faults;
use self::shared::Shared;
use self::store::Store;

/// A running API server; it ends when this is dropped.
pub struct ApiServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl ApiServer {
    /// Starts an empty one on a free port.
    pub fn start() -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = Arc::clone(&shared);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = serve::accept(listener, served) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { shared, address, stop: Some(stop), thread: Some(thread) })
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A kubeconfig that points here, for programs.
    pub fn kubeconfig(&self) -> String {
        let url = self.url();
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: stub\n\
             clusters: [{{name: stub, cluster: {{server: \"{url}\"}}}}]\n\
             users: [{{name: stub, user: {{}}}}]\n\
             contexts: [{{name: stub, context: {{cluster: stub, user: stub}}}}]\n"
        )
    }

    /// Creates an object from outside; the namespace is the object's, `default` where the resource has one and it names none.
    pub fn create(&self, resource: &str, object: Value) -> Result<Arc<Value>, Refusal> {
        self.shared.change(|store| {
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or("").to_owned();
            store.create(path::resource(resource)?, &namespace, object)
        })
    }

    /// Changes an object from outside, status and all.
    pub fn modify(&self, key: &Key, change: impl FnOnce(&mut Value)) -> Result<Arc<Value>, Refusal> {
        self.shared.change(|store| store.modify(key, change))
    }

    /// Deletes an object from outside.
    pub fn delete(&self, key: &Key) -> Result<(), Refusal> {
        self.shared.change(|store| store.delete(key, None)).map(drop)
    }

    /// Answers every GET of this path with this text: logs, proxied answers, `/version`.
    pub fn say(&self, path: &str, text: &str) {
        self.shared.texts.lock().insert(path.to_owned(), text.to_owned());
    }

    /// An object.
    pub fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.shared.store.lock().get(key).ok()
    }

    /// Every object of a resource in all namespaces, by namespace and name.
    pub fn list(&self, resource: &str) -> Vec<Arc<Value>> {
        self.shared.store.lock().list(resource, None, &selector::Selector::default())
    }

    /// Looks at every object, under the lock: what is seen was true at one moment.
    pub fn look<T>(&self, look: impl FnOnce(&BTreeMap<Key, Arc<Value>>) -> T) -> T {
        look(self.shared.store.lock().objects())
    }

    /// Requests so far by verb and resource, as RBAC calls them, e.g. `("create", "pods/binding")`.
    pub fn calls(&self) -> BTreeMap<(String, String), u64> {
        self.shared.calls.lock().clone()
    }

    /// Requests so far of one verb and resource.
    pub fn calls_of(&self, verb: &str, resource: &str) -> u64 {
        self.calls().get(&(verb.to_owned(), resource.to_owned())).copied().unwrap_or(0)
    }

    /// The next `times` requests of this verb and resource meet this fault.
    pub fn fail(&self, verb: &str, resource: &str, times: u32, fault: Fault) {
        self.shared.faults.lock().add(verb, resource, times, fault);
    }

    /// No more faults.
    pub fn clear_faults(&self) {
        *self.shared.faults.lock() = Faults::default();
    }

    /// Cuts every connection and takes none until [`Self::come_back`].
    pub fn go_away(&self) {
        self.shared.up.send_replace(false);
    }

    /// Takes connections again.
    pub fn come_back(&self) {
        self.shared.up.send_replace(true);
    }

    /// Forgets old versions: every watch that is behind, or starts at an older version, is told 410 Gone.
    pub fn compact(&self) {
        self.shared.change(Store::compact);
    }

    /// Resolves once `found` gives something; it is asked again after every change, and the caller brings the deadline.
    pub async fn wait_for<T>(&self, mut found: impl FnMut(&Self) -> Option<T>) -> Option<T> {
        let mut version = self.shared.version.subscribe();
        loop {
            version.borrow_and_update();
            if let Some(result) = found(self) {
                return Some(result);
            }
            version.changed().await.ok()?;
        }
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod with_scheduler;
