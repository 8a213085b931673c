//! Replies in the envelopes of the API (ecx/API.md B.2), good and bad.

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::Response;
use ecx::api::Envelope;
use ecx::codes;
use serde_json::Value;

use crate::fault::Effect;
use crate::world::Refusal;

pub(super) fn reply(done: Result<Value, Refusal>, effect: Option<&Effect>, alias: bool) -> Response {
    let mut payload = match done {
        Ok(payload) => payload,
        // An order in progress is a refusal that carries a payload.
        Err(r) if r.code == codes::ORDER_IN_PROGRESS => return in_progress(&r.message),
        Err(refusal) => return refused(&refusal),
    };
    if alias {
        rename_states(&mut payload);
    }
    let body = match effect {
        Some(Effect::CoreOk) => serde_json::json!({"code": "core.ok", "reason": "", "data": payload}),
        Some(Effect::StringCodes) => {
            serde_json::json!({"statusCode": "800", "message": "SUCCESS", "returnObj": payload})
        }
        _ => {
            serde_json::json!({"statusCode": 800, "message": "SUCCESS", "description": "成功", "returnObj": payload})
        }
    };
    json(200, &body)
}

/// The other official names of the states.
fn rename_states(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(rename_states),
        Value::Object(fields) => {
            for (key, value) in fields {
                let other = match value.as_str().filter(|_| key == "diskStatus") {
                    Some("attaching") => "diskAttaching",
                    Some("in-use") => "attached",
                    Some("available") => "detached",
                    Some("extending") => "resizing",
                    _ => {
                        rename_states(value);
                        continue;
                    }
                };
                *value = Value::from(other);
            }
        }
        _ => {}
    }
}

fn in_progress(order: &str) -> Response {
    let payload = serde_json::json!({"masterOrderID": order});
    error(200, codes::ORDER_IN_PROGRESS, "order in progress", Some(payload))
}

pub(super) fn refused(refusal: &Refusal) -> Response {
    error(refusal.http, &refusal.code, &refusal.message, None)
}

fn error(http: u16, code: &str, message: &str, payload: Option<Value>) -> Response {
    let upper = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|c| c.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    };
    let words: Vec<String> = code.split('.').map(upper).collect();
    let envelope = Envelope {
        status_code: 900,
        error_code: Some(code.to_owned()),
        error: Some(words.join(".")),
        message: message.to_owned(),
        description: message.to_owned(),
        return_obj: payload,
    };
    json(http, &serde_json::to_value(envelope).unwrap_or_default())
}

fn json(http: u16, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

pub(super) fn plain(http: u16, retry_after: Option<f64>) -> Response {
    let code = if http == 429 { codes::FLOW } else { codes::SERVER };
    let mut response = error(http, code, "fault", None);
    if let Some(value) = retry_after.and_then(|s| header::HeaderValue::from_str(&s.to_string()).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

/// A response that breaks off: the client sees a lost connection.
pub(super) fn broken() -> Response {
    let fail =
        futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("fault: connection dropped")) });
    let mut response = Response::new(Body::from_stream(fail));
    response.headers_mut().insert(header::CONTENT_LENGTH, header::HeaderValue::from_static("1000"));
    response
}
