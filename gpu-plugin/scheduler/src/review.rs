//! `admission.k8s.io/v1`, as far as it is used.
//!
//! By hand and not by `kube::core::admission`, which reads the whole object with its review: an object that cannot be read could not be
//! refused with words then (ADR 0013).

use base64::Engine as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What the API server asks, and what it is answered.
#[derive(Debug, Deserialize)]
pub(crate) struct Review {
    pub(crate) request: AdmissionRequest,
}

/// One object on its way in.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AdmissionRequest {
    pub(crate) uid: String,
    pub(crate) operation: String,
    pub(crate) resource: GroupVersionResource,
    #[serde(default)]
    pub(crate) sub_resource: String,
    #[serde(default)]
    pub(crate) user_info: UserInfo,
    #[serde(default)]
    pub(crate) object: Value,
    #[serde(default)]
    pub(crate) old_object: Value,
}

/// Which resource.
#[derive(Debug, Deserialize)]
pub(crate) struct GroupVersionResource {
    pub(crate) resource: String,
}

/// Who.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct UserInfo {
    #[serde(default)]
    pub(crate) username: String,
}

/// The answer: let in, perhaps changed, or refused with words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Answer(Value);

impl Answer {
    fn new(uid: &str, mut response: Value) -> Self {
        response["uid"] = json!(uid);
        Self(json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}))
    }

    /// As it is.
    pub(crate) fn allow(uid: &str) -> Self {
        Self::new(uid, json!({"allowed": true}))
    }

    /// With these JSON patch steps.
    pub(crate) fn patch(uid: &str, steps: Vec<Value>) -> Self {
        if steps.is_empty() {
            return Self::allow(uid);
        }
        let text = base64::engine::general_purpose::STANDARD.encode(Value::Array(steps).to_string());
        Self::new(uid, json!({"allowed": true, "patchType": "JSONPatch", "patch": text}))
    }

    /// Refused: 422 for what is wrong in itself, 403 for what this user may not do.
    pub(crate) fn refuse(uid: &str, code: u16, message: &str) -> Self {
        Self::new(uid, json!({"allowed": false, "status": {"code": code, "message": message}}))
    }
}
