//! `admission.k8s.io/v1`, as far as it is used.
//!
//! By hand and not by `kube::core::admission`, which reads the whole object with its review: an object that cannot be read could not be
//! refused with words then (ADR 0013).

use base64::Engine as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What the API server asks, and what it is answered.
#[derive(Debug, Deserialize)]
pub struct Review {
    /// The question.
    pub request: AdmissionRequest,
}

/// One object on its way in.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdmissionRequest {
    /// Of the question; the answer carries it.
    pub uid: String,
    /// `CREATE`, `UPDATE`, ….
    pub operation: String,
    /// What the object is.
    pub resource: GroupVersionResource,
    /// `status`, `binding`, …; empty for the object itself.
    #[serde(default)]
    pub sub_resource: String,
    /// The object's namespace; empty where it is in none.
    #[serde(default)]
    pub namespace: String,
    /// Who asks for it.
    #[serde(default)]
    pub user_info: UserInfo,
    /// As it is to be; null when it is deleted.
    #[serde(default)]
    pub object: Value,
    /// As it was; null when it is created.
    #[serde(default)]
    pub old_object: Value,
}

/// Which resource.
#[derive(Debug, Deserialize)]
pub struct GroupVersionResource {
    /// Plural name, e.g. `pods`.
    pub resource: String,
}

/// Who.
#[derive(Debug, Default, Deserialize)]
pub struct UserInfo {
    /// Name, e.g. `system:serviceaccount:kube-system:ideal-gpu-scheduler`.
    #[serde(default)]
    pub username: String,
}

/// The answer: let in, perhaps changed, or refused with words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer(Value);

impl Answer {
    fn new(uid: &str, mut response: Value) -> Self {
        response["uid"] = json!(uid);
        Self(json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}))
    }

    /// As it is.
    pub fn allow(uid: &str) -> Self {
        Self::new(uid, json!({"allowed": true}))
    }

    /// With these JSON patch steps.
    pub fn patch(uid: &str, steps: Vec<Value>) -> Self {
        if steps.is_empty() {
            return Self::allow(uid);
        }
        let text = base64::engine::general_purpose::STANDARD.encode(Value::Array(steps).to_string());
        Self::new(uid, json!({"allowed": true, "patchType": "JSONPatch", "patch": text}))
    }

    /// The same with a warning, which clients such as kubectl show.
    pub fn with_warning(mut self, warning: &str) -> Self {
        self.0["response"]["warnings"] = json!([warning]);
        self
    }

    /// Refused: 422 for what is wrong in itself, 403 for what this user may not do.
    pub fn refuse(uid: &str, code: u16, message: &str) -> Self {
        Self::new(uid, json!({"allowed": false, "status": {"code": code, "message": message}}))
    }
}
