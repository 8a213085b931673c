//! JSON bodies, as they come and as they go.

use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A request that is answered with a status and a reason, and with nothing of what it asked for.
pub struct Bad(pub StatusCode, pub String);

impl IntoResponse for Bad {
    fn into_response(self) -> Response {
        (self.0, format!("{}\n", self.1)).into_response()
    }
}

/// Reads a body.
pub fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Bad> {
    serde_json::from_slice(body)
        .map_err(|error| Bad(StatusCode::BAD_REQUEST, format!("the body is not what belongs here: {error}")))
}

/// Answers with this.
pub fn reply<T: Serialize>(value: &T) -> Result<Response, Bad> {
    let body = serde_json::to_vec(value);
    let body = body.map_err(|error| Bad(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
