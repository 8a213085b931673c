//! Watches: each reads the one log of changes from its own place, so none can miss or reorder anything.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures::stream;
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::error::Refusal;
use super::selector::Selector;
use super::shared::Shared;
use super::store::Change;

/// How long a watch lives if its client does not say; the real server takes a random time beyond 30 minutes.
const LIFE: Duration = Duration::from_secs(1800);

pub(super) struct Watch {
    shared: Arc<Shared>,
    resource: &'static str,
    selector: Selector,
    /// Told up to this version.
    position: u64,
    changed: tokio::sync::watch::Receiver<u64>,
    ends: Instant,
    /// Told first.
    first: Vec<u8>,
    over: bool,
}

impl Watch {
    /// From `version` on; without one, what there is first.
    pub(super) fn new(
        shared: Arc<Shared>,
        resource: &'static str,
        selector: Selector,
        version: Option<u64>,
        life: Option<Duration>,
    ) -> Self {
        let changed = shared.version.subscribe();
        let (mut position, mut first) = (version.unwrap_or(0), Vec::new());
        if position == 0 {
            let store = shared.store.lock();
            position = store.version();
            for object in store.list(resource, None, &selector) {
                line(&mut first, "ADDED", &object);
            }
        }
        let ends = Instant::now() + life.unwrap_or(LIFE);
        Self { shared, resource, selector, position, changed, ends, first, over: false }
    }

    /// The chunks of the answer.
    pub(super) fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, |mut watch| async move {
            let chunk = watch.next().await?;
            Some((Ok::<_, std::convert::Infallible>(Bytes::from(chunk)), watch))
        }))
    }

    async fn next(&mut self) -> Option<Vec<u8>> {
        if !self.first.is_empty() {
            return Some(std::mem::take(&mut self.first));
        }
        while !self.over {
            self.changed.borrow_and_update();
            let lines = self.read();
            if !lines.is_empty() {
                return Some(lines);
            }
            tokio::select! {
                changed = self.changed.changed() => changed.ok()?,
                () = tokio::time::sleep_until(self.ends) => {
                    self.over = true;
                    let mut lines = Vec::new();
                    let metadata = json!({"resourceVersion": self.position.to_string()});
                    line(&mut lines, "BOOKMARK", &self.bookmark(metadata));
                    return Some(lines);
                }
            }
        }
        None
    }

    fn bookmark(&self, metadata: Value) -> Value {
        let kind = super::path::resource(self.resource).map(|resource| (resource.kind, resource.api_version));
        let (kind, api_version) = kind.unwrap_or(("", ""));
        json!({"kind": kind, "apiVersion": api_version, "metadata": metadata})
    }

    fn read(&mut self) -> Vec<u8> {
        let mut lines = Vec::new();
        let store = self.shared.store.lock();
        let Some(changes) = store.since(self.position) else {
            self.over = true;
            let gone = Refusal::new(410, "Expired", format!("too old resource version: {}", self.position));
            line(&mut lines, "ERROR", &gone.status());
            return lines;
        };
        for change in changes.filter(|change| change.resource == self.resource) {
            if let Some(kind) = kind_of(change, &self.selector) {
                line(&mut lines, kind, &change.object);
            }
        }
        self.position = store.version();
        lines
    }
}

/// What the change is to who sees only what the selector takes: an object that no longer matches is gone for him.
fn kind_of(change: &Change, selector: &Selector) -> Option<&'static str> {
    let seen = change.before.as_ref().is_some_and(|before| selector.matches(before));
    let sees = !change.deleted && selector.matches(&change.object);
    match (seen, sees) {
        (false, true) => Some("ADDED"),
        (true, true) => Some("MODIFIED"),
        (true, false) => Some("DELETED"),
        (false, false) => None,
    }
}

fn line(lines: &mut Vec<u8>, kind: &str, object: &Value) {
    lines.extend_from_slice(format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n").as_bytes());
}
