//! A request before it is written: its fields by the names of ecx/API.md.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::api::Op;
use crate::error::{ApiMessage, Error};

/// By their names.
pub(crate) type Fields = Map<String, Value>;

/// The fields of a request.
pub(crate) fn fields<Q: Serialize>(request: &Q) -> Result<Fields, Error> {
    match serde_json::to_value(request).map_err(|e| bad(e.to_string()))? {
        Value::Object(fields) => Ok(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(bad("a request is an object".to_owned()))
        }
    }
}

/// A request that cannot be written.
pub(crate) fn bad(message: String) -> Error {
    Error::Parameter(ApiMessage { code: "client.request".to_owned(), message, ..ApiMessage::default() })
}

/// The request id, and what is asked in which region.
pub(crate) fn asked(request_id: &str, op: Op, fields: &Fields) -> String {
    let region = fields.get("regionID").and_then(Value::as_str);
    format!("{request_id}, {op:?} in {}", region.unwrap_or("all regions"))
}
