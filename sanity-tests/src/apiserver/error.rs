//! How the API server refuses a request.

use serde_json::{Value, json};

/// An answer other than success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {reason}: {message}")]
pub struct Refusal {
    /// HTTP status.
    pub code: u16,
    /// The API's one-word reason.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

impl Refusal {
    pub(super) fn new(code: u16, reason: &'static str, message: String) -> Self {
        Self { code, reason, message }
    }

    pub(super) fn not_found(message: String) -> Self {
        Self::new(404, "NotFound", message)
    }

    pub(super) fn bad(message: String) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(super) fn conflict(message: String) -> Self {
        Self::new(409, "Conflict", message)
    }

    /// The `Status` that is sent.
    pub(super) fn status(&self) -> Value {
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
               "message": self.message, "reason": self.reason, "code": self.code})
    }
}
