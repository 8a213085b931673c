//! Field selectors: `spec.nodeName=a,status.phase!=Succeeded`.

use serde_json::Value;

use super::error::Refusal;

/// Every term must hold. A field that an object lacks is the empty text.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    terms: Vec<(String, String, bool)>,
    /// Of this namespace only; empty: of all.
    pub(super) namespace: String,
}

impl Selector {
    pub(super) fn parse(text: &str, namespace: &str) -> Result<Self, Refusal> {
        let mut terms = Vec::new();
        for term in text.split(',').filter(|term| !term.is_empty()) {
            let (field, value, equal) = match (term.split_once("!="), term.split_once('=')) {
                (Some((field, value)), _) => (field, value, false),
                (None, Some((field, value))) => (field, value.trim_start_matches('='), true),
                (None, None) => return Err(Refusal::bad(format!("field selector: {term} is no term"))),
            };
            terms.push((format!("/{}", field.replace('.', "/")), value.to_owned(), equal));
        }
        Ok(Self { terms, namespace: namespace.to_owned() })
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("");
        (self.namespace.is_empty() || self.namespace == namespace)
            && self.terms.iter().all(|(field, value, equal)| {
                let is = object.pointer(field).and_then(Value::as_str).unwrap_or("");
                (is == value) == *equal
            })
    }
}
