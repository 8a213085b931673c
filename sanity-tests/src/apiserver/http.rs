//! A request as a verb on a target, and its answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use serde_json::{Value, json};

use super::error::Refusal;
use super::patch::PatchFormat;
use super::path::Target;
use super::selector::Selector;
use super::shared::Shared;
use super::store::Key;
use super::watch::Watch;

/// A request, read.
pub(super) struct Call {
    /// As RBAC calls it.
    pub(super) verb: &'static str,
    pub(super) target: Target,
    query: HashMap<String, String>,
    content_type: String,
    body: Bytes,
}

impl Call {
    pub(super) async fn read(request: Request<Incoming>) -> Result<Self, Refusal> {
        let (head, body) = request.into_parts();
        let target = Target::parse(head.uri.path())?;
        let query = query(head.uri.query().unwrap_or(""));
        let watches = query.get("watch").is_some_and(|value| value == "true" || value == "1");
        let verb = match (&head.method, &target.name) {
            (&Method::GET, None) if watches => "watch",
            (&Method::GET, None) => "list",
            (&Method::GET, Some(_)) => "get",
            (&Method::POST, _) => "create",
            (&Method::PUT, Some(_)) => "update",
            (&Method::PATCH, Some(_)) => "patch",
            (&Method::DELETE, Some(_)) => "delete",
            _ => return Err(Refusal::new(405, "MethodNotAllowed", format!("{} is not served", head.method))),
        };
        let content_type = head.headers.get("content-type").and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or("").to_owned();
        let body = axum::body::to_bytes(Body::new(body), usize::MAX).await;
        let body = body.map_err(|error| Refusal::bad(error.to_string()))?;
        Ok(Self { verb, target, query, content_type, body })
    }

    /// Does it; all of it happens at one moment, but a watch's stream.
    pub(super) fn carry_out(&self, shared: &Arc<Shared>) -> Response<Body> {
        let done = match self.verb {
            "watch" => return self.watch(shared).unwrap_or_else(|refusal| refused(&refusal)),
            "list" => self.list(shared),
            "get" => self.key().and_then(|key| shared.store.lock().get(&key)).map(|object| (200, object)),
            "create" => self.create(shared),
            "update" => self.update(shared),
            "patch" => self.patch(shared),
            _ => self.delete(shared),
        };
        match done {
            Ok((code, object)) => reply(code, &object),
            Err(refusal) => refused(&refusal),
        }
    }

    fn key(&self) -> Result<Key, Refusal> {
        let name = self.target.name.as_deref().unwrap_or("");
        Ok(Key::new(self.target.resource.name, &self.target.namespace, name))
    }

    fn json(&self) -> Result<Value, Refusal> {
        serde_json::from_slice(&self.body).map_err(|error| Refusal::bad(error.to_string()))
    }

    fn selector(&self) -> Result<Selector, Refusal> {
        let text = self.query.get("fieldSelector").map_or("", String::as_str);
        Selector::parse(text, &self.target.namespace)
    }

    fn list(&self, shared: &Shared) -> Result<(u16, Arc<Value>), Refusal> {
        let selector = self.selector()?;
        let store = shared.store.lock();
        let items = store.list(self.target.resource.name, Some(&self.target.namespace), &selector);
        let items: Vec<&Value> = items.iter().map(Arc::as_ref).collect();
        let metadata = json!({"resourceVersion": store.version().to_string()});
        let resource = self.target.resource;
        let kind = format!("{}List", resource.kind);
        let list =
            json!({"kind": kind, "apiVersion": resource.api_version, "metadata": metadata, "items": items});
        Ok((200, Arc::new(list)))
    }

    fn watch(&self, shared: &Arc<Shared>) -> Result<Response<Body>, Refusal> {
        if self.query.get("sendInitialEvents").is_some_and(|value| value == "true") {
            return Err(Refusal::new(422, "Invalid", "sendInitialEvents is not served".to_owned()));
        }
        let number = |name: &str| self.query.get(name).and_then(|text| text.parse::<u64>().ok());
        let life = number("timeoutSeconds").map(Duration::from_secs);
        let resource = self.target.resource.name;
        let watch =
            Watch::new(Arc::clone(shared), resource, self.selector()?, number("resourceVersion"), life);
        let response = Response::builder().header("content-type", "application/json");
        response.body(watch.into_body()).map_err(|error| Refusal::bad(error.to_string()))
    }

    fn create(&self, shared: &Shared) -> Result<(u16, Arc<Value>), Refusal> {
        let object = self.json()?;
        let created = match self.target.subresource.as_deref() {
            Some("binding") => {
                let key = self.key()?;
                shared.change(|store| store.bind(&key, &object))?;
                let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
                Arc::new(status)
            }
            Some(other) => return Err(Refusal::not_found(format!("there is no subresource {other}"))),
            None => shared.change(|store| {
                let namespace =
                    if self.target.namespace.is_empty() { "default" } else { &self.target.namespace };
                store.create(self.target.resource, namespace, object)
            })?,
        };
        Ok((201, created))
    }

    fn update(&self, shared: &Shared) -> Result<(u16, Arc<Value>), Refusal> {
        let (key, object) = (self.key()?, self.json()?);
        let sub = self.target.subresource.as_deref();
        Ok((200, shared.change(|store| store.replace(&key, object, sub))?))
    }

    fn patch(&self, shared: &Shared) -> Result<(u16, Arc<Value>), Refusal> {
        let (key, patch) = (self.key()?, self.json()?);
        let format = PatchFormat::parse(&self.content_type)?;
        let applies = self.content_type.starts_with("application/apply-patch");
        let sub = self.target.subresource.as_deref();
        shared.change(|store| {
            if applies && store.get(&key).is_err() {
                let mut object = patch;
                object["metadata"]["name"] = json!(key.name);
                return store
                    .create(self.target.resource, &key.namespace, object)
                    .map(|object| (201, object));
            }
            store.patch(&key, format, &patch, sub).map(|object| (200, object))
        })
    }

    fn delete(&self, shared: &Shared) -> Result<(u16, Arc<Value>), Refusal> {
        let key = self.key()?;
        let options = if self.body.is_empty() { Value::Null } else { self.json()? };
        let uid = options["preconditions"]["uid"].as_str();
        Ok((200, shared.change(|store| store.delete(&key, uid))?))
    }
}

/// The answer that refuses.
pub(super) fn refused(refusal: &Refusal) -> Response<Body> {
    reply(refusal.code, &refusal.status())
}

fn reply(code: u16, object: &Value) -> Response<Body> {
    let response = Response::builder().status(code).header("content-type", "application/json");
    response.body(Body::from(object.to_string())).unwrap_or_default()
}

/// Pairs of a query, percent signs resolved.
fn query(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (plain(name), plain(value))).collect()
}

fn plain(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let code = hex.and_then(|two| u8::from_str_radix(two, 16).ok());
        match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &tail[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
