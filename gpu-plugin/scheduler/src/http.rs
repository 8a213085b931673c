//! The paths of the one port: `/filter`, `/prioritize` and `/bind` for kube-scheduler, `/validate` and `/mutate` for the API
//! server. Parse, ask, reply.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use admission::body::{Bad, parse, reply};
use admission::review::{AdmissionRequest, Answer, Review};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::bind::{BindError, Binder};
use crate::cluster::Cluster;
use crate::extender_api::{
    ExtenderArgs, ExtenderBindingArgs, ExtenderBindingResult, ExtenderFilterResult, Failed, HostPriority,
    NodeList,
};
use crate::filter::{Verdict, filter};
use crate::leader::LeadershipGate;
use crate::metrics::Measures;
use crate::pod::Request;
use crate::prioritize::{Defaults, prioritize};
use crate::webhook::{Refusal, Rules, refused};

/// The longest body that is read: 5,000 whole nodes of 16 KiB, for schedulers that do not send names alone.
const MAX_BODY: usize = 80 << 20;

/// What the handlers share.
pub struct App {
    /// Nodes, pods and promises.
    pub cluster: Arc<Cluster>,
    /// Whether this replica may bind.
    pub gate: LeadershipGate,
    /// How it binds.
    pub binder: Binder,
    /// Policies of pods that name none.
    pub defaults: Defaults,
    /// The webhook's.
    pub rules: Rules,
    /// Metrics.
    pub measures: Measures,
    /// True once nodes and pods have been listed.
    pub synced: AtomicBool,
    /// Bindings under way; they outlive callers that hang up, and the Lease is held until they have ended.
    pub bindings: TaskTracker,
}

/// What the API server calls.
pub fn webhook(app: Arc<App>) -> Router {
    let router = Router::new().route("/validate", post(on_validate)).route("/mutate", post(on_mutate));
    router.layer(DefaultBodyLimit::max(MAX_BODY)).with_state(app)
}

/// What kube-scheduler calls.
pub fn extender(app: Arc<App>) -> Router {
    let router = Router::new().route("/filter", post(on_filter)).route("/prioritize", post(on_prioritize));
    router.route("/bind", post(on_bind)).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(app)
}

fn synced(app: &App) -> Result<(), Bad> {
    if app.synced.load(Ordering::Acquire) {
        return Ok(());
    }
    Err(Bad(StatusCode::SERVICE_UNAVAILABLE, "nodes and pods have not been listed yet".to_owned()))
}

async fn on_filter(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, Bad> {
    let since = Instant::now();
    synced(&app)?;
    let args: ExtenderArgs = parse(&body)?;
    let answer = answer_filter(&app, &args);
    app.measures.took("filter", since);
    answer
}

fn answer_filter(app: &App, args: &ExtenderArgs) -> Result<Response, Bad> {
    let request = Request::of(&args.pod);
    let uid = args.pod.metadata.uid.as_deref().unwrap_or_default();
    if let Err(bad) = &request {
        // No node can ever satisfy it: each says so, and the scheduler's event shows it.
        let all = names(args).map(|name| (name, bad.to_string())).collect();
        let result = ExtenderFilterResult { failed_and_unresolvable_nodes: all, ..Default::default() };
        return reply(&result);
    }
    let request = request.as_ref().map(Option::as_ref);
    let verdicts = filter(&app.cluster, uid, request, app.defaults.card, names(args));
    let mut result = ExtenderFilterResult::default();
    let (mut fit, mut rejections) = (Vec::new(), BTreeMap::<&str, u64>::new());
    for (name, verdict) in &verdicts {
        let Some(reason) = verdict.reason() else {
            fit.push(*name);
            continue;
        };
        *rejections.entry(verdict.kind()).or_default() += 1;
        let failed: &mut Failed<'_> = match verdict {
            Verdict::Never(_) => &mut result.failed_and_unresolvable_nodes,
            _ => &mut result.failed_nodes,
        };
        failed.insert(name, reason);
    }
    for (kind, count) in rejections {
        app.measures.rejected("filter", kind, count);
    }
    match &args.nodes {
        Some(nodes) if args.node_names.is_none() => {
            let fits =
                nodes.items.iter().zip(&verdicts).filter(|(_, (_, verdict))| *verdict == Verdict::Fits);
            result.nodes = Some(NodeList { items: fits.map(|(node, _)| node.clone()).collect() });
        }
        _ => result.node_names = Some(fit),
    }
    reply(&result)
}

/// The candidates' names, whichever way they came.
fn names(args: &ExtenderArgs) -> impl Iterator<Item = &str> {
    let listed = args.node_names.iter().flatten().map(String::as_str);
    let whole = args.nodes.iter().filter(|_| args.node_names.is_none());
    listed.chain(whole.flat_map(|nodes| &nodes.items).map(NodeList::name))
}

async fn on_prioritize(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, Bad> {
    let since = Instant::now();
    synced(&app)?;
    let args: ExtenderArgs = parse(&body)?;
    let scores = match Request::of(&args.pod) {
        Ok(Some(request)) => prioritize(&app.cluster, &request, app.defaults, names(&args)),
        Ok(None) | Err(_) => names(&args).map(|name| (name, 0)).collect(),
    };
    let answer = scores.into_iter().map(|(host, score)| HostPriority { host, score }).collect::<Vec<_>>();
    app.measures.took("prioritize", since);
    reply(&answer)
}

async fn on_bind(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, Bad> {
    let since = Instant::now();
    let args: ExtenderBindingArgs = parse(&body)?;
    if args.pod_uid.is_empty() || args.node.is_empty() {
        return Err(Bad(StatusCode::BAD_REQUEST, "a binding needs the pod's uid and a node".to_owned()));
    }
    // In a task of its own: a scheduler that hangs up does not cut the Binding in half.
    let working = Arc::clone(&app);
    let bound = app.bindings.spawn(async move {
        let bound = working.binder.bind(&working.cluster, &working.gate, &args).await;
        (bound, args)
    });
    let (bound, args) =
        bound.await.map_err(|error| Bad(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    app.measures.took("bind", since);
    let pod = format_args!("{}/{}", args.pod_namespace, args.pod_name);
    let error = match bound {
        Ok(()) => {
            tracing::info!(%pod, node = args.node, "Bound");
            app.measures.decided();
            String::new()
        }
        Err(error) => {
            tracing::warn!(%pod, node = args.node, error = serve::chain::chain(&error), "Not bound");
            app.measures.rejected("bind", error.kind(), 1);
            if matches!(error, BindError::NotLeader) {
                return Err(Bad(StatusCode::SERVICE_UNAVAILABLE, error.to_string()));
            }
            error.to_string()
        }
    };
    reply(&ExtenderBindingResult { error })
}

async fn on_validate(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, Bad> {
    admit(&app, "validate", &body, |request| {
        app.rules.validate(request).map(|()| Answer::allow(&request.uid))
    })
}

async fn on_mutate(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, Bad> {
    admit(&app, "mutate", &body, |request| {
        app.rules.mutate(request).map(|steps| Answer::patch(&request.uid, steps))
    })
}

fn admit(
    app: &App,
    verb: &'static str,
    body: &Bytes,
    decide: impl FnOnce(&AdmissionRequest) -> Result<Answer, Refusal>,
) -> Result<Response, Bad> {
    let since = Instant::now();
    let Review { request } = parse(body)?;
    let answer = decide(&request).unwrap_or_else(|refusal| {
        app.measures.rejected(verb, refusal.kind(), 1);
        refused(&request.uid, &refusal)
    });
    app.measures.took(verb, since);
    reply(&answer)
}
