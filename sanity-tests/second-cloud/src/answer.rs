//! What an operation answers, before it is put into an envelope.

use serde_json::Value;

use crate::dialect::Word;

/// The payload of a reply that has not even the key of one.
pub(crate) const NOTHING: Value = Value::Bool(false);

/// A payload, or why there is none.
pub(crate) type Answer = Result<Value, Refusal>;

/// A refusal; an order in progress is one too, with a payload.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) word: Word,
    pub(crate) message: String,
    pub(crate) payload: Option<Value>,
}

impl Refusal {
    pub(crate) fn of(word: Word, message: &str) -> Self {
        Self { word, message: message.to_owned(), payload: None }
    }
}
