//! The API server in this process: pods and nodes, every change in order, and Bindings that take their time, whose answers may
//! be lost. The scheduler speaks HTTP with it, as with the real one, without a socket; watches are handed to who asks.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use ideal_gpu::names::CARDS;
use k8s_openapi::api::core::v1;
use kube::Client;
use parking_lot::{Mutex, MutexGuard};
use serde::Deserialize as _;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

/// The namespace of all pods here.
pub(crate) const NAMESPACE: &str = "ns";

/// How long the server takes to say that something is wrong.
const SOON: Duration = Duration::from_millis(5);

/// A pod as it was after one change.
pub(crate) struct Object {
    pub(crate) value: Value,
    pub(crate) pod: v1::Pod,
    /// Number of the change.
    pub(crate) version: usize,
    pub(crate) deleted: bool,
}

impl Object {
    pub(crate) fn uid(&self) -> &str {
        self.value["metadata"]["uid"].as_str().unwrap()
    }

    /// The node that it is bound to.
    pub(crate) fn node(&self) -> Option<&str> {
        self.value["spec"]["nodeName"].as_str()
    }
}

/// What a Binding meets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fate {
    /// It is carried out after so long, or never.
    pub(crate) takes: Option<Duration>,
    pub(crate) answer: Answer,
    /// The pod cannot be read afterwards.
    pub(crate) blind: bool,
}

/// What the caller hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// What happened.
    True,
    /// This status, whatever happens.
    Status(u16),
    /// Nothing.
    Never,
}

/// A Binding on its way.
struct Flight {
    number: u64,
    name: String,
    binding: Value,
    landed: Option<oneshot::Sender<(u16, Value)>>,
}

#[derive(Default)]
struct State {
    pods: BTreeMap<String, Arc<Object>>,
    changes: Vec<Arc<Object>>,
    nodes: BTreeMap<String, Arc<v1::Node>>,
    node_changes: Vec<Arc<v1::Node>>,
    fates: BTreeMap<String, Fate>,
    flights: Vec<Flight>,
    flown: u64,
    watches: Vec<(String, Watch)>,
}

/// Where a node hears of its pods, and when each change was made.
pub(crate) type Watch = mpsc::UnboundedSender<(Instant, Arc<Object>)>;

/// The server. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Api(Arc<Mutex<State>>);

impl Api {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// A node tells of its cards.
    pub(crate) fn node(&self, name: &str, cards: &str) {
        let node = json!({"metadata": {"name": name, "annotations": {CARDS: cards}}});
        let node: Arc<v1::Node> = Arc::new(serde_json::from_value(node).unwrap());
        let mut state = self.state();
        state.nodes.insert(name.to_owned(), Arc::clone(&node));
        state.node_changes.push(node);
    }

    /// A user's pod.
    pub(crate) fn create(&self, uid: &str, mut pod: Value, second: u64) {
        pod["metadata"]["uid"] = json!(uid);
        // Text order is time order; nobody looks for the 61st second.
        pod["metadata"]["creationTimestamp"] = json!(format!(
            "2026-01-01T{:02}:{:02}:{:02}Z",
            second / 3600 % 24,
            second / 60 % 60,
            second % 60
        ));
        self.state().put(pod, false);
    }

    /// Somebody writes to a pod; one that is gone is nobody's.
    pub(crate) fn modify(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        let Some(object) = state.pods.get(name) else { return };
        let mut pod = object.value.clone();
        change(&mut pod);
        state.put(pod, false);
    }

    pub(crate) fn delete(&self, name: &str) {
        let mut state = self.state();
        let pod = state.pods[name].value.clone();
        state.put(pod, true);
    }

    pub(crate) fn pod(&self, name: &str) -> Option<Arc<Object>> {
        self.state().pods.get(name).cloned()
    }

    /// All pods, and the number of the last change.
    pub(crate) fn list(&self) -> (Vec<Arc<Object>>, usize) {
        let state = self.state();
        (state.pods.values().cloned().collect(), state.changes.len())
    }

    pub(crate) fn nodes(&self) -> (Vec<Arc<v1::Node>>, usize) {
        let state = self.state();
        (state.nodes.values().cloned().collect(), state.node_changes.len())
    }

    /// Changes of pods after this one, so many at most.
    pub(crate) fn since(&self, version: usize, most: usize) -> Vec<Arc<Object>> {
        self.state().changes[version..].iter().take(most).cloned().collect()
    }

    pub(crate) fn nodes_since(&self, version: usize, most: usize) -> Vec<Arc<v1::Node>> {
        self.state().node_changes[version..].iter().take(most).cloned().collect()
    }

    /// Sends every change of a node's pods from now on, until nobody receives any more.
    pub(crate) fn watch(&self, node: &str, watch: Watch) {
        self.state().watches.push((node.to_owned(), watch));
    }

    /// The pod's next Binding meets this.
    pub(crate) fn meets(&self, name: &str, fate: Fate) {
        self.state().fates.insert(name.to_owned(), fate);
    }

    /// Whoever sent the Bindings that are on their way has ended: each is carried out now or never.
    pub(crate) fn settle(&self, mut carried_out: impl FnMut() -> bool) {
        let flights = std::mem::take(&mut self.state().flights);
        for flight in flights.into_iter().filter(|_| carried_out()) {
            self.state().bind(&flight.name, &flight.binding);
        }
    }

    /// A client without a socket.
    pub(crate) fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(api.answer(request).await) }
        });
        Client::new(service, NAMESPACE)
    }

    async fn answer(&self, request: http::Request<kube::client::Body>) -> http::Response<Body> {
        let path = request.uri().path().strip_prefix("/api/v1/namespaces/ns/pods/").unwrap().to_owned();
        let (code, body) = match path.strip_suffix("/binding") {
            Some(name) => {
                let body = request.into_body().collect_bytes().await.unwrap();
                self.binding(name, serde_json::from_slice(&body).unwrap()).await
            }
            None => self.get(&path),
        };
        let response = http::Response::builder().status(code).header("content-type", "application/json");
        response.body(Body::from(body.to_string())).unwrap()
    }

    fn get(&self, name: &str) -> (u16, Value) {
        let mut state = self.state();
        if let Some(fate) = state.fates.get_mut(name)
            && std::mem::take(&mut fate.blind)
        {
            return failed(500, "the leader of etcd is being elected");
        }
        match state.pods.get(name) {
            Some(object) => (200, object.value.clone()),
            None => failed(404, "no such pod"),
        }
    }

    async fn binding(&self, name: &str, binding: Value) -> (u16, Value) {
        let (land, landed) = oneshot::channel();
        let fate = self.state().fates[name];
        if let Some(takes) = fate.takes {
            let number = self.state().fly(name, binding, land);
            let api = self.clone();
            // It does not end with its caller.
            tokio::spawn(async move {
                sleep(takes).await;
                api.land(number);
            });
        }
        match fate.answer {
            Answer::True => landed.await.unwrap_or_else(|_| failed(500, "the server has ended")),
            Answer::Status(code) => {
                sleep(SOON).await;
                failed(code, "as it was drawn")
            }
            Answer::Never => std::future::pending().await,
        }
    }

    fn land(&self, number: u64) {
        let mut state = self.state();
        let Some(at) = state.flights.iter().position(|flight| flight.number == number) else { return };
        let flight = state.flights.remove(at);
        let answer = state.bind(&flight.name, &flight.binding);
        // Nobody may wait for it any more.
        let _ = flight.landed.map(|landed| landed.send(answer));
    }
}

fn failed(code: u16, message: &str) -> (u16, Value) {
    // The client goes by the reason where there is one.
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        504 => "Timeout",
        _ => "InternalError",
    };
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                        "message": message, "reason": reason, "code": code});
    (code, status)
}

impl State {
    fn put(&mut self, mut pod: Value, deleted: bool) {
        let version = self.changes.len() + 1;
        pod["metadata"]["resourceVersion"] = json!(version.to_string());
        let object = Object { pod: v1::Pod::deserialize(&pod).unwrap(), value: pod, version, deleted };
        let (object, name) = (Arc::new(object), |object: &Object| object.pod.metadata.name.clone().unwrap());
        match deleted {
            true => self.pods.remove(&name(&object)),
            false => self.pods.insert(name(&object), Arc::clone(&object)),
        };
        let now = Instant::now();
        // A node's watch sees a pod from its Binding on.
        let tell = |(node, watch): &mut (String, Watch)| {
            object.node() != Some(node) || watch.send((now, Arc::clone(&object))).is_ok()
        };
        self.watches.retain_mut(tell);
        self.changes.push(object);
    }

    fn fly(&mut self, name: &str, binding: Value, landed: oneshot::Sender<(u16, Value)>) -> u64 {
        self.flown += 1;
        let flight = Flight { number: self.flown, name: name.to_owned(), binding, landed: Some(landed) };
        self.flights.push(flight);
        self.flown
    }

    /// Node name and annotations in one write, once. (registry/core/pod/storage, assignPod)
    fn bind(&mut self, name: &str, binding: &Value) -> (u16, Value) {
        let Some(object) = self.pods.get(name) else { return failed(404, "no such pod") };
        if binding["metadata"]["uid"] != object.value["metadata"]["uid"] {
            return failed(409, "another uid");
        }
        if object.node().is_some() {
            return failed(409, "bound already");
        }
        let mut pod = object.value.clone();
        pod["spec"]["nodeName"] = binding["target"]["name"].clone();
        for (name, text) in binding["metadata"]["annotations"].as_object().into_iter().flatten() {
            pod["metadata"]["annotations"][name] = text.clone();
        }
        self.put(pod, false);
        (201, json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}))
    }
}
