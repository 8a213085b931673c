//! What kube-scheduler and its extenders say to each other: `k8s.io/kube-scheduler/extender/v1`, as JSON. Go writes the names
//! of the fields as they are, older ones in small letters, and reads either.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Of filter and prioritize.
#[derive(Debug, Deserialize)]
pub struct ExtenderArgs {
    /// The pod to place.
    #[serde(rename = "Pod", alias = "pod")]
    pub pod: Pod,
    /// Whole nodes, if `nodeCacheCapable` is false; only their names matter here.
    #[serde(rename = "Nodes", alias = "nodes", default)]
    pub nodes: Option<NodeList>,
    /// Their names, if it is true.
    #[serde(rename = "NodeNames", alias = "nodenames", alias = "nodeNames", default)]
    pub node_names: Option<Vec<String>>,
}

/// Nodes as they came.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct NodeList {
    /// Kept whole, so that what goes back is what came.
    #[serde(default)]
    pub items: Vec<Value>,
}

impl NodeList {
    /// A node's name.
    pub fn name(node: &Value) -> &str {
        node["metadata"]["name"].as_str().unwrap_or_default()
    }
}

/// Reasons by node.
pub type Failed<'a> = BTreeMap<&'a str, String>;

/// Filter's answer.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ExtenderFilterResult<'a> {
    /// Nodes that fit, if whole nodes came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodeList>,
    /// Nodes that fit, if names came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_names: Option<Vec<&'a str>>,
    /// Nodes that do not fit now; evicting others might help.
    pub failed_nodes: Failed<'a>,
    /// Nodes on which evicting others would not help.
    pub failed_and_unresolvable_nodes: Failed<'a>,
    /// For the whole call.
    pub error: String,
}

/// A node's score, 0 to 10.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HostPriority<'a> {
    /// Node.
    pub host: &'a str,
    /// Score.
    pub score: i64,
}

/// Of bind.
#[derive(Debug, Deserialize)]
pub struct ExtenderBindingArgs {
    /// Pod.
    #[serde(rename = "PodName", alias = "podName")]
    pub pod_name: String,
    /// Its namespace.
    #[serde(rename = "PodNamespace", alias = "podNamespace")]
    pub pod_namespace: String,
    /// Its uid.
    #[serde(rename = "PodUID", alias = "podUID")]
    pub pod_uid: String,
    /// The node that the scheduler chose.
    #[serde(rename = "Node", alias = "node")]
    pub node: String,
}

/// Bind's answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ExtenderBindingResult {
    /// Empty for success.
    pub error: String,
}
