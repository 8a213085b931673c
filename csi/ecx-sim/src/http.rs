//! The door: one handler for the operations of the API, one for the simulator's own pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use ecx::api::Op;
use ecx::codes;
use serde_json::{Map, Value};

use crate::fault::Effect;
use crate::request_log::LogEntry;
use crate::shared::Shared;
use crate::world::{Refusal, Twist};

mod auth;
mod control;
mod ops;
mod reply;

use reply::{broken, plain, refused, reply};

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    control::routes().fallback(operation).with_state(shared)
}

/// A request that has arrived.
#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Set when it is carried out or refused: what is still to do then is the answer.
    pub(crate) acted: Arc<AtomicBool>,
    /// It was under way when its client died: carried out at once, before all that comes after, and met by no fault.
    pub(crate) survived: bool,
}

/// One request of the cloud's API, in a task of its own: what has arrived is carried out even if the client is gone, as in
/// any cloud.
async fn operation(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let received = Received { method, uri, headers, body, acted: Arc::default(), survived: false };
    let work = tokio::spawn(carry_out(shared, received));
    work.await.unwrap_or_else(|_| plain(500, None))
}

/// Authenticate, meet the limit and the fault, act, answer.
pub(crate) async fn carry_out(shared: Arc<Shared>, received: Received) -> Response {
    let Received { method, uri, headers, body, acted, survived } = received;
    let query = uri.query().unwrap_or_default();
    let Some(op) = operation_of(&shared, &method, &uri) else {
        return refused(&Refusal {
            http: 404,
            code: "openapi.path".to_owned(),
            message: uri.path().to_owned(),
        });
    };
    let text = if op.is_post() { String::from_utf8_lossy(&body).into_owned() } else { query.to_owned() };
    let verdict = auth::check(&shared, &headers, query, &body);
    let entry =
        LogEntry { op, text: text.clone(), auth: verdict.clone().err(), http: 0, code: String::new() };
    let number = shared.log.add(entry);
    if let Err(step) = verdict {
        let refusal = Refusal { http: 401, code: format!("{}refused", codes::AUTH), message: step };
        return logged(&shared, number, refused(&refusal), &refusal.code);
    }
    if let Err(seconds) = shared.within_rate() {
        acted.store(true, Ordering::SeqCst);
        return logged(&shared, number, plain(429, Some(seconds)), codes::FLOW);
    }
    let mut effect = None;
    if !survived {
        effect = shared.faults().hit(op, &text);
        tokio::time::sleep(std::time::Duration::from_millis(shared.config.latency.reply)).await;
    }
    let ended = before(&shared, effect.as_ref(), &text).await;
    acted.store(true, Ordering::SeqCst);
    match ended {
        Some(response) => logged(&shared, number, response, "fault"),
        None => {
            let done = fields(op, query, &body, &shared.profile.region_key).and_then(|fields| {
                shared.act(|world, now| ops::act(world, op, fields, now, &shared, &twist(&effect)))
            });
            let code = done.as_ref().err().map(|r| r.code.clone()).unwrap_or_default();
            if effect == Some(Effect::HoldAfter) {
                shared.held.wait().await;
            }
            logged(
                &shared,
                number,
                after(effect.as_ref(), reply(done, effect.as_ref(), shared.config.alias_states)),
                &code,
            )
        }
    }
}

fn operation_of(shared: &Shared, method: &Method, uri: &Uri) -> Option<Op> {
    let named = |op: &Op| shared.profile.path(*op) == uri.path() && op.is_post() == (method == Method::POST);
    Op::ALL.into_iter().find(named)
}

/// What a fault does before anything is carried out; a response ends the request.
async fn before(shared: &Shared, effect: Option<&Effect>, text: &str) -> Option<Response> {
    match effect? {
        Effect::Http { status } => Some(plain(*status, None)),
        Effect::Throttle { retry_after_s } => Some(plain(429, Some(*retry_after_s))),
        Effect::DropBefore => Some(broken()),
        Effect::SoldOut => Some(refused(&Refusal::new(codes::SOLD_OUT, "sold out"))),
        Effect::Quota => Some(refused(&Refusal::new(codes::QUOTA, "quota"))),
        Effect::Delay { ms } => {
            tokio::time::sleep(std::time::Duration::from_millis(*ms)).await;
            None
        }
        Effect::HoldBefore => {
            shared.held.wait().await;
            None
        }
        Effect::Vanish => {
            shared.vanish_named(text);
            None
        }
        _ => None,
    }
}

fn twist(effect: &Option<Effect>) -> Twist {
    match effect {
        Some(Effect::Stuck) => Twist { stuck: true, ..Twist::default() },
        Some(Effect::JobFails) => Twist { fails: true, ..Twist::default() },
        Some(Effect::EmptyOrder) => Twist { empty_order: true, ..Twist::default() },
        Some(Effect::Serial { serial }) => Twist { serial: Some(serial.clone()), ..Twist::default() },
        _ => Twist::default(),
    }
}

/// What a fault does to a reply that is ready.
fn after(effect: Option<&Effect>, response: Response) -> Response {
    match effect {
        Some(Effect::DropAfter) => broken(),
        Some(Effect::HttpAfter { status }) => plain(*status, None),
        _ => response,
    }
}

/// The request's fields as one object, the region under its usual key.
fn fields(op: Op, query: &str, body: &[u8], region_key: &str) -> Result<Value, Refusal> {
    let mut fields = if op.is_post() {
        serde_json::from_slice::<Map<String, Value>>(body)
            .map_err(|e| Refusal::parameter("body", e.to_string()))?
    } else {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        // A query is text; numbers are recognised by the one field that has them.
        let value = |key: &str, text: &str| match text.parse::<u64>() {
            Ok(number) if ["maxResults", "ebsSize"].contains(&key) => Value::from(number),
            _ => Value::from(text),
        };
        pairs.map(|(key, text)| (key.to_owned(), value(key, text))).collect()
    };
    if let Some(region) = fields.remove(region_key) {
        fields.insert("regionID".to_owned(), region);
    }
    Ok(Value::Object(fields))
}

fn logged(shared: &Shared, number: usize, response: Response, code: &str) -> Response {
    shared.log.answered(number, response.status().as_u16(), code);
    response
}
