//! The admission webhook: what no node could ever satisfy is refused with words, defaults are filled in, and nobody but the
//! project's own programs writes a decision.

use std::sync::OnceLock;

use admission::review::{AdmissionRequest, Answer};
use ideal_gpu::card::{Card, CardId, Inventory};
use ideal_gpu::names::{CORE, CORE_PER_CARD, DECISION, GPU, MAX_CARDS_PER_NODE, SLOTS_PER_CARD};
use ideal_gpu::place::{Policy, Why, fits};
use ideal_gpu::pod::{PodSpecError, Quantities};
use ideal_gpu::usage::Node;
use k8s_openapi::api::core::v1::{Container, Pod};
use serde_json::{Value, json};

use crate::pod::{self, Request};

/// Compute of a container that names cards and memory only: an equal part for each slot of the card.
const DEFAULT_CORE: u32 = CORE_PER_CARD / SLOTS_PER_CARD;

/// More memory than any card has or is overcommitted to, in MiB: 1 PiB.
const ANY_MEMORY: u64 = 1 << 30;

/// Settings of the webhook.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Users that may write decisions: our own service accounts.
    pub trusted: Vec<String>,
    /// Given to pods that ask for cards and name no other scheduler.
    pub scheduler_name: Option<String>,
}

/// Why an object is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Its request.
    #[error(transparent)]
    Bad(#[from] PodSpecError),
    /// The whole of it is too much for the largest machine.
    #[error(
        "the pod as a whole is not allowed: {0}; allowed: what fits on {MAX_CARDS_PER_NODE} cards, {CORE_PER_CARD} percent and {SLOTS_PER_CARD} slots each"
    )]
    TooMuch(Why),
    /// A decision from somebody who decides nothing.
    #[error("annotation {DECISION} is not allowed; allowed: none, the scheduler sets it (user {0:?})")]
    Decision(String),
    /// Not what the API server said it is.
    #[error("the object cannot be read: {0}")]
    Form(String),
}

impl Refusal {
    fn code(&self) -> u16 {
        match self {
            Self::Bad(_) | Self::TooMuch(_) | Self::Form(_) => 422,
            Self::Decision(_) => 403,
        }
    }

    /// For counting.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Bad(PodSpecError::Ask(_)) => "request",
            Self::Bad(PodSpecError::Quantity { .. } | PodSpecError::Differ { .. }) => "quantity",
            Self::Bad(PodSpecError::Policy { .. }) => "policy",
            Self::TooMuch(_) => "too much",
            Self::Decision(_) => "forged decision",
            Self::Form(_) => "form",
        }
    }
}

impl Rules {
    /// `/validate`.
    pub(crate) fn validate(&self, request: &AdmissionRequest) -> Result<(), Refusal> {
        self.decision(request)?;
        if request.resource.resource != "pods" || !request.sub_resource.is_empty() {
            return Ok(());
        }
        match request.operation.as_str() {
            "CREATE" => created(&read(&request.object)?),
            "UPDATE" => updated(&read(&request.old_object)?, &read(&request.object)?),
            _ => Ok(()),
        }
    }

    /// `/mutate`: the JSON patch steps.
    pub(crate) fn mutate(&self, request: &AdmissionRequest) -> Result<Vec<Value>, Refusal> {
        if request.resource.resource != "pods"
            || request.operation != "CREATE"
            || !request.sub_resource.is_empty()
        {
            return Ok(Vec::new());
        }
        let pod = read(&request.object)?;
        let mut steps = Vec::new();
        let spec = pod.spec.as_ref();
        let init = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
        let apps = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
        for (list, containers) in [("initContainers", init), ("containers", apps)] {
            for (at, container) in containers.iter().enumerate() {
                defaults(&format!("/spec/{list}/{at}/resources"), container, &mut steps);
            }
        }
        let scheduler = spec.and_then(|spec| spec.scheduler_name.as_deref()).unwrap_or("default-scheduler");
        if let Some(name) = &self.scheduler_name
            && scheduler == "default-scheduler"
            && pod::names_ours(&pod)
        {
            steps.push(json!({"op": "add", "path": "/spec/schedulerName", "value": name}));
        }
        Ok(steps)
    }

    /// Nobody but our own programs writes, changes or removes a decision, on a pod or by a Binding.
    fn decision(&self, request: &AdmissionRequest) -> Result<(), Refusal> {
        let of = |object: &Value| object["metadata"]["annotations"].get(DECISION).cloned();
        let (new, old) = (of(&request.object), of(&request.old_object));
        let deleted = request.operation == "DELETE";
        if deleted || new == old || self.trusted.contains(&request.user_info.username) {
            return Ok(());
        }
        Err(Refusal::Decision(request.user_info.username.clone()))
    }
}

/// The answer to a refusal.
pub(crate) fn refused(uid: &str, refusal: &Refusal) -> Answer {
    Answer::refuse(uid, refusal.code(), &refusal.to_string())
}

fn read(object: &Value) -> Result<Pod, Refusal> {
    serde::Deserialize::deserialize(object)
        .map_err(|error: serde_json::Error| Refusal::Form(error.to_string()))
}

fn created(pod: &Pod) -> Result<(), Refusal> {
    if !pod::names_ours(pod) {
        return Ok(());
    }
    let Some(request) = Request::of(pod)? else { return Ok(()) };
    fits(largest(), &request.plan, Policy::Binpack).map_err(Refusal::TooMuch)
}

/// What a pod asks for cannot change any more, and one that is there already must stay changeable: only what gets worse is
/// refused.
fn updated(old: &Pod, new: &Pod) -> Result<(), Refusal> {
    if pod::names_ours(new) && pod::policies(old).is_ok() {
        pod::policies(new)?;
    }
    Ok(())
}

/// Compute for a container that names cards without it, and limits as requests where only limits are named. Memory has no
/// default: what a program needs of it nobody can guess, and `validate` says so.
fn defaults(resources: &str, container: &Container, steps: &mut Vec<Value>) {
    let gpu = pod::quantities(container, GPU);
    let names_cards = gpu.limit.is_some_and(|limit| limit != "0");
    if !names_cards || pod::quantities(container, CORE) != Quantities::default() {
        return;
    }
    let core = CORE.replace('~', "~0").replace('/', "~1");
    let value = json!(DEFAULT_CORE.to_string());
    steps.push(json!({"op": "add", "path": format!("{resources}/limits/{core}"), "value": value}));
    // The API server has filled in requests from limits before it asks us, so ours must be filled in too.
    if gpu.request.is_some() {
        steps.push(json!({"op": "add", "path": format!("{resources}/requests/{core}"), "value": value}));
    }
}

/// The largest machine that there could be, empty.
fn largest() -> &'static Node {
    static LARGEST: OnceLock<Node> = OnceLock::new();
    LARGEST.get_or_init(|| {
        let card = |index| {
            let id = CardId::parse(&format!("GPU-{index}")).ok()?;
            let model = String::new();
            Some(Card { id, model, memory_mib: ANY_MEMORY, index, numa: None, healthy: true, mig: false })
        };
        Node::new(Inventory { cards: (0..MAX_CARDS_PER_NODE).filter_map(card).collect() })
    })
}

#[cfg(test)]
mod tests;
