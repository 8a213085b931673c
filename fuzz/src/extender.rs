//! What kube-scheduler and the API server send to the scheduler's port, through the very routes that serve them.
//!
//! An input is the path (1 byte, out of [`PATHS`]) and the body.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use base64::Engine as _;
use http::{Request, StatusCode};
use ideal_gpu::names::{CARDS, DECISION};
use ideal_gpu::place::Policy;
use ideal_gpu_scheduler::bind::Binder;
use ideal_gpu_scheduler::cluster::Cluster;
use ideal_gpu_scheduler::extender_api::{ExtenderArgs, NodeList};
use ideal_gpu_scheduler::http::{App, extender, webhook};
use ideal_gpu_scheduler::leader::LeadershipGate;
use ideal_gpu_scheduler::metrics::Measures;
use ideal_gpu_scheduler::prioritize::Defaults;
use ideal_gpu_scheduler::webhook::Rules;
use kube::{Client, Config};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use crate::input::Input;

const PATHS: [&str; 5] = ["/filter", "/prioritize", "/bind", "/validate", "/mutate"];

/// A user who may write decisions.
const TRUSTED: &str = "system:serviceaccount:kube-system:ideal-gpu-scheduler";

/// The longest answer that is read.
const LONGEST: usize = 64 << 20;

thread_local! {
    static SERVER: RefCell<Option<(Runtime, Router)>> = RefCell::new(server());
}

/// A scheduler that leads nobody, with three nodes: two of cards and one without.
fn server() -> Option<(Runtime, Router)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let router = runtime.block_on(async { router() })?;
    Some((runtime, router))
}

fn router() -> Option<Router> {
    let cluster = Arc::new(Cluster::default());
    for (name, cards) in [("n1", 1), ("n2", 8), ("n3", 0)] {
        let card = |index| {
            json!({"id": format!("GPU-{name}-{index}"), "model": "NVIDIA GeForce RTX 3060", "memory_mib": 12_000,
                "index": index, "healthy": index != 5})
        };
        let inventory = json!({"cards": (0..cards).map(card).collect::<Vec<_>>()}).to_string();
        let node = json!({"metadata": {"name": name, "annotations": {CARDS: inventory}}});
        cluster.apply_node(&serde_json::from_value(node).ok()?);
    }
    // Nobody listens there, and nobody is called: this replica never binds.
    let client = Client::try_from(Config::new("http://127.0.0.1:9".parse().ok()?)).ok()?;
    let measures = Measures::register(&mut Registry::default(), Arc::clone(&cluster));
    let app = Arc::new(App {
        cluster,
        gate: LeadershipGate::default(),
        binder: Binder::new(client, Duration::from_secs(1), Policy::Binpack),
        defaults: Defaults::default(),
        rules: Rules { trusted: vec![TRUSTED.to_owned()], scheduler_name: Some("ideal".to_owned()) },
        measures,
        synced: AtomicBool::new(true),
        bindings: TaskTracker::new(),
    });
    Some(webhook(Arc::clone(&app)).merge(extender(app)))
}

fn call(path: &str, body: &[u8]) -> (StatusCode, Vec<u8>) {
    let request = Request::post(path).body(Body::from(body.to_vec()));
    let Ok(request) = request else { panic!("a request with any body") };
    SERVER.with_borrow_mut(|server| {
        let Some((runtime, router)) = server else { panic!("the scheduler does not start") };
        runtime.block_on(async {
            let Ok(response) = router.call(request).await;
            let status = response.status();
            let Ok(body) = to_bytes(response.into_body(), LONGEST).await else {
                panic!("an answer without end")
            };
            (status, body.to_vec())
        })
    })
}

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let path = PATHS[usize::from(input.byte()) % PATHS.len()];
    let body = input.rest();
    let (status, answer) = call(path, body);
    if path == "/bind" {
        assert!(
            [400, 503].contains(&status.as_u16()),
            "a replica that does not lead binds nothing: {status}"
        );
        return;
    }
    if status == StatusCode::BAD_REQUEST {
        assert!(!answer.is_empty(), "a refusal has words");
        return;
    }
    assert_eq!(status, StatusCode::OK, "{path}");
    let Ok(answer) = serde_json::from_slice::<Value>(&answer) else { panic!("an answer that is no JSON") };
    match path {
        "/filter" => filtered(body, &answer),
        "/prioritize" => scored(body, &answer),
        _ => admitted(path, body, &answer),
    }
}

/// The names of the nodes that were asked about.
fn asked(body: &[u8]) -> Vec<String> {
    let Ok(args) = serde_json::from_slice::<ExtenderArgs>(body) else {
        panic!("an answer to what is no question")
    };
    match (args.node_names, args.nodes) {
        (Some(names), _) => names,
        (None, nodes) => {
            nodes.unwrap_or_default().items.iter().map(|node| NodeList::name(node).to_owned()).collect()
        }
    }
}

/// Every node that was asked about is in the answer, fitting or not, never both.
fn filtered(body: &[u8], answer: &Value) {
    let names: BTreeSet<String> = asked(body).into_iter().collect();
    let listed = answer["NodeNames"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let whole = answer["Nodes"]["items"].as_array().into_iter().flatten().map(NodeList::name);
    let keys = |field: &str| answer[field].as_object().into_iter().flatten().map(|(name, _)| name.clone());
    let fit: BTreeSet<String> = listed.chain(whole).map(str::to_owned).collect();
    let not: BTreeSet<String> = keys("FailedNodes").chain(keys("FailedAndUnresolvableNodes")).collect();
    assert!(fit.is_disjoint(&not), "fits and does not: {answer}");
    assert_eq!(fit.union(&not).cloned().collect::<BTreeSet<_>>(), names, "{answer}");
    assert_eq!(answer["Error"], json!(""));
}

fn scored(body: &[u8], answer: &Value) {
    let scores = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    let hosts: Vec<&str> = scores.iter().filter_map(|score| score["Host"].as_str()).collect();
    assert_eq!(hosts, asked(body), "each node once, in their order");
    let fits = |score: &Value| score["Score"].as_i64().is_some_and(|score| (0..=10).contains(&score));
    assert!(scores.iter().all(fits), "{answer}");
}

/// The answer is about this request, a refusal has words, and nobody else writes a decision.
fn admitted(path: &str, body: &[u8], answer: &Value) {
    // A text in a field that nobody reads may be no UTF-8: serde_json skips it as it is.
    let Ok(review) = serde_json::from_str::<Value>(&String::from_utf8_lossy(body)) else {
        panic!("an answer to what is no question")
    };
    let (request, response) = (&review["request"], &answer["response"]);
    assert!(response["uid"] == request["uid"], "{answer}");
    let allowed = response["allowed"].as_bool() == Some(true);
    if !allowed {
        let code = response["status"]["code"].as_u64();
        assert!([Some(403), Some(422)].contains(&code), "{answer}");
        assert!(response["status"]["message"].as_str().is_some_and(|words| !words.is_empty()), "{answer}");
    }
    let decision = |object: &str| request[object]["metadata"]["annotations"].get(DECISION);
    let forged =
        decision("object") != decision("oldObject") && request["userInfo"]["username"] != json!(TRUSTED);
    let forbidden = path == "/validate" && forged && request["operation"] != json!("DELETE");
    assert!(!allowed || !forbidden, "a decision of somebody who decides nothing: {answer}");
    if let Some(patch) = response["patch"].as_str() {
        let text = base64::engine::general_purpose::STANDARD.decode(patch).unwrap_or_default();
        let steps: Vec<Value> = serde_json::from_slice(&text).unwrap_or_default();
        let inside = |step: &Value| {
            step["op"] == "add" && step["path"].as_str().is_some_and(|p| p.starts_with("/spec/"))
        };
        assert!(!steps.is_empty() && steps.iter().all(inside), "{steps:?}");
    }
}
