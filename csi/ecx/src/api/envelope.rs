//! What is around every reply.

use serde::{Deserialize, Serialize};

/// The reply envelope as the cloud sends it; `decode` is tolerant of the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<T> {
    /// 800 for success, 900 for a business error.
    pub status_code: u32,
    /// `product.module.code`, only on errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// The same in upper camel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// English text.
    pub message: String,
    /// Chinese text.
    pub description: String,
    /// The payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_obj: Option<T>,
}

/// A field that the cloud may send as null.
pub(super) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}
