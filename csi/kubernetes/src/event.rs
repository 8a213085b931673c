//! Warnings as Kubernetes events, where people look first (`kubectl describe`).
//!
//! Not kube's `Recorder`: it names each event by the time, and knows for six minutes and in its own process only what it has
//! written. Two replicas that look every ten minutes would write twelve events an hour for each finding, and not one.

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};

use crate::time::Millis;

/// Events of objects that are in no namespace are kept in this one, as everywhere in Kubernetes.
const NAMESPACE: &str = "default";

/// Longest message of an event (apis/core/validation, NoteLengthLimit).
const MESSAGE: usize = 1024;

/// What is said, and of what.
#[derive(Debug, Clone)]
pub struct Warning {
    /// Who says it.
    pub component: &'static str,
    /// What makes it another one than others of this component: the same key is one event, whoever writes it.
    pub key: String,
    /// The object that it is about, in no namespace.
    pub about: ObjectReference,
    /// In one word.
    pub reason: String,
    /// For people; what is longer than the API server takes is cut.
    pub message: String,
    /// When.
    pub at: Millis,
}

/// Writes the event, unless the API server has it: for an hour, by default.
pub async fn write(client: &Client, warning: &Warning) -> kube::Result<()> {
    let events: Api<Event> = Api::namespaced(client.clone(), NAMESPACE);
    match events.create(&PostParams::default(), &warning.event()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error),
    }
}

impl Warning {
    /// As the API server keeps it.
    pub fn event(&self) -> Event {
        let Self { component, key, about, reason, message, at } = self;
        // Whole seconds: Kubernetes' own type of these fields has no fractions.
        let seconds = i64::try_from(at / 1000).unwrap_or_default();
        let time = Timestamp::from_second(seconds).ok().map(Time);
        let cut = message.char_indices().take_while(|(at, c)| at + c.len_utf8() <= MESSAGE);
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{component}.{key}")),
                namespace: Some(NAMESPACE.to_owned()),
                ..ObjectMeta::default()
            },
            involved_object: about.clone(),
            type_: Some("Warning".to_owned()),
            reason: Some(reason.clone()),
            message: Some(cut.map(|(_, c)| c).collect()),
            source: Some(EventSource { component: Some((*component).to_owned()), host: None }),
            first_timestamp: time.clone(),
            last_timestamp: time,
            count: Some(1),
            ..Event::default()
        }
    }
}
