//! Objects, their versions, and what changed in which order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::error::Refusal;
use super::patch::PatchFormat;
use super::path::Resource;
use super::selector::Selector;

/// Changes that are remembered for watches. A real server keeps five minutes; a test's are fewer than this.
const REMEMBERED: usize = 200_000;

/// An object's address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Plural name, e.g. `pods`.
    pub resource: String,
    /// Empty where the resource has none.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// A pod.
    pub fn pod(namespace: &str, name: &str) -> Self {
        Self::new("pods", namespace, name)
    }

    /// A node.
    pub fn node(name: &str) -> Self {
        Self::new("nodes", "", name)
    }

    /// Anything.
    pub fn new(resource: &str, namespace: &str, name: &str) -> Self {
        Self { resource: resource.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// One change.
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) resource: &'static str,
    pub(super) before: Option<Arc<Value>>,
    /// As it is afterwards; of a deletion, as it last was.
    pub(super) object: Arc<Value>,
    pub(super) deleted: bool,
}

/// All objects.
pub(crate) struct Store {
    objects: BTreeMap<Key, Arc<Value>>,
    version: u64,
    log: VecDeque<Change>,
    /// Changes up to this version are forgotten.
    forgotten: u64,
}

impl Store {
    pub(super) fn new() -> Self {
        Self { objects: BTreeMap::new(), version: 1, log: VecDeque::new(), forgotten: 0 }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn objects(&self) -> &BTreeMap<Key, Arc<Value>> {
        &self.objects
    }

    pub(super) fn compact(&mut self) {
        // The version moves so that a watch that is at the end is behind too.
        self.version += 1;
        self.forgotten = self.version;
        self.log.clear();
    }

    /// Changes after `version`, or `None` if some of them are forgotten.
    pub(super) fn since(&self, version: u64) -> Option<impl Iterator<Item = &Change>> {
        let first = self.log.partition_point(|change| change.version <= version);
        (version >= self.forgotten).then(|| self.log.range(first..))
    }

    pub(super) fn get(&self, key: &Key) -> Result<Arc<Value>, Refusal> {
        let found = self.objects.get(key).cloned();
        found.ok_or_else(|| Refusal::not_found(format!("{} {:?} not found", key.resource, key.name)))
    }

    pub(super) fn list(
        &self,
        resource: &str,
        namespace: Option<&str>,
        selector: &Selector,
    ) -> Vec<Arc<Value>> {
        let from = Key::new(resource, namespace.unwrap_or(""), "");
        let of = self.objects.range(from..).take_while(|(key, _)| key.resource == resource);
        let of = of.filter(|(_, object)| selector.matches(object));
        of.map(|(_, object)| Arc::clone(object)).collect()
    }

    pub(super) fn create(
        &mut self,
        resource: Resource,
        namespace: &str,
        mut object: Value,
    ) -> Result<Arc<Value>, Refusal> {
        let namespace = match (resource.namespaced, namespace) {
            (false, _) => "",
            (true, "") => "default",
            (true, namespace) => namespace,
        };
        if !object["metadata"].is_object() {
            return Err(Refusal::bad("the object has no metadata".to_owned()));
        }
        let uid = uuid::Uuid::new_v4().to_string();
        let name = match (object["metadata"]["name"].as_str(), object["metadata"]["generateName"].as_str()) {
            (Some(name), _) if !name.is_empty() => name.to_owned(),
            (_, Some(prefix)) => format!("{prefix}{}", &uid[..8]),
            _ => return Err(Refusal::new(422, "Invalid", "the object has no name".to_owned())),
        };
        let key = Key::new(resource.name, namespace, &name);
        if self.objects.contains_key(&key) {
            let message = format!("{} {name:?} already exists", resource.name);
            return Err(Refusal::new(409, "AlreadyExists", message));
        }
        object["kind"] = json!(resource.kind);
        object["apiVersion"] = json!(resource.api_version);
        let metadata = &mut object["metadata"];
        metadata["name"] = json!(name);
        if resource.namespaced {
            metadata["namespace"] = json!(namespace);
        }
        // A test may name the uid; nobody else can.
        if metadata["uid"].as_str().is_none_or(str::is_empty) {
            metadata["uid"] = json!(uid);
        }
        metadata["creationTimestamp"] = json!(now());
        if resource.name == "pods" && object["status"]["phase"].is_null() {
            object["status"]["phase"] = json!("Pending");
        }
        Ok(self.put(key, resource.name, object))
    }

    pub(super) fn modify(
        &mut self,
        key: &Key,
        change: impl FnOnce(&mut Value),
    ) -> Result<Arc<Value>, Refusal> {
        let resource = super::path::resource(&key.resource)?;
        let mut object = (*self.get(key)?).clone();
        change(&mut object);
        Ok(self.put(key.clone(), resource.name, object))
    }

    /// PUT, to the object or its status.
    pub(super) fn replace(
        &mut self,
        key: &Key,
        object: Value,
        sub: Option<&str>,
    ) -> Result<Arc<Value>, Refusal> {
        let old = self.get(key)?;
        self.write(key, &old, object, sub)
    }

    pub(super) fn patch(
        &mut self,
        key: &Key,
        format: PatchFormat,
        patch: &Value,
        sub: Option<&str>,
    ) -> Result<Arc<Value>, Refusal> {
        let old = self.get(key)?;
        let mut object = (*old).clone();
        format.apply(&mut object, patch)?;
        self.write(key, &old, object, sub)
    }

    /// Writes as the real strategies do: status through the status subresource only, and nothing else through it but
    /// metadata.
    fn write(
        &mut self,
        key: &Key,
        old: &Value,
        mut object: Value,
        sub: Option<&str>,
    ) -> Result<Arc<Value>, Refusal> {
        let claimed = object["metadata"]["resourceVersion"].as_str().unwrap_or("");
        if !claimed.is_empty() && Some(claimed) != old["metadata"]["resourceVersion"].as_str() {
            let message = format!(
                "{} {:?}: the object has been modified; please apply your changes to the latest version",
                key.resource, key.name
            );
            return Err(Refusal::conflict(message));
        }
        for field in ["uid", "creationTimestamp", "name", "namespace"] {
            if !old["metadata"][field].is_null() {
                object["metadata"][field] = old["metadata"][field].clone();
            }
        }
        let resource = super::path::resource(&key.resource)?;
        let has_status = matches!(resource.name, "pods" | "nodes");
        if sub == Some("status") {
            let (metadata, status) = (object["metadata"].take(), object["status"].take());
            object = old.clone();
            object["metadata"] = metadata;
            object["status"] = status;
        } else if has_status {
            object["status"] = old["status"].clone();
        }
        if object["status"].is_null()
            && let Some(fields) = object.as_object_mut()
        {
            fields.remove("status");
        }
        object["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
        if !object["metadata"]["deletionTimestamp"].is_null() && !held(&object) {
            // The last finalizer went: so does the object.
            return Ok(self.remove(key, resource.name, object));
        }
        if object == *old {
            // The real server writes nothing either, and tells no watch.
            return self.get(key);
        }
        object["kind"] = json!(resource.kind);
        object["apiVersion"] = json!(resource.api_version);
        Ok(self.put(key.clone(), resource.name, object))
    }

    /// POST pods/binding: node name and annotations in one write. (registry/core/pod/storage, assignPod)
    pub(super) fn bind(&mut self, key: &Key, binding: &Value) -> Result<(), Refusal> {
        let pod = self.get(key)?;
        let node = binding["target"]["name"].as_str().unwrap_or("");
        if node.is_empty() {
            return Err(Refusal::new(422, "Invalid", "target.name: Required value".to_owned()));
        }
        let claim = |field: &str| binding["metadata"][field].as_str().filter(|text| !text.is_empty());
        for field in ["uid", "resourceVersion"] {
            let is = pod["metadata"][field].as_str();
            if let Some(claimed) = claim(field).filter(|claimed| Some(*claimed) != is) {
                let is = is.unwrap_or("");
                return Err(Refusal::conflict(format!(
                    "Operation cannot be fulfilled on pods/binding {:?}: Precondition failed: {field} in precondition: {claimed}, {field} in object meta: {is}",
                    key.name
                )));
            }
        }
        if !pod["metadata"]["deletionTimestamp"].is_null() {
            let message = format!("pod {} is being deleted, cannot be assigned to a host", key.name);
            return Err(Refusal::conflict(message));
        }
        let bound = pod["spec"]["nodeName"].as_str().unwrap_or("");
        if !bound.is_empty() {
            let message = format!("pod {} is already assigned to node {bound:?}", key.name);
            return Err(Refusal::conflict(message));
        }
        self.modify(key, |pod| {
            pod["spec"]["nodeName"] = json!(node);
            for (name, value) in binding["metadata"]["annotations"].as_object().into_iter().flatten() {
                pod["metadata"]["annotations"][name] = value.clone();
            }
            let condition = json!({"type": "PodScheduled", "status": "True"});
            let _ = PatchFormat::Strategic.apply(&mut pod["status"], &json!({"conditions": [condition]}));
        })?;
        Ok(())
    }

    /// Deletes at once, with no grace, unless a finalizer holds the object; a uid that is given must be the object's.
    pub(super) fn delete(&mut self, key: &Key, uid: Option<&str>) -> Result<Arc<Value>, Refusal> {
        let old = self.get(key)?;
        let is = old["metadata"]["uid"].as_str();
        if uid.is_some() && uid != is {
            return Err(Refusal::conflict(format!("{} {:?}: another uid", key.resource, key.name)));
        }
        let resource = super::path::resource(&key.resource)?;
        let mut last = (*old).clone();
        if !held(&last) {
            return Ok(self.remove(key, resource.name, last));
        }
        if last["metadata"]["deletionTimestamp"].is_null() {
            last["metadata"]["deletionTimestamp"] = json!(now());
        }
        Ok(self.put(key.clone(), resource.name, last))
    }

    fn remove(&mut self, key: &Key, resource: &'static str, mut last: Value) -> Arc<Value> {
        let before = self.objects.remove(key);
        self.version += 1;
        last["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object = Arc::new(last);
        self.remember(resource, before, Arc::clone(&object), true);
        object
    }

    fn put(&mut self, key: Key, resource: &'static str, mut object: Value) -> Arc<Value> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object = Arc::new(object);
        let before = self.objects.insert(key, Arc::clone(&object));
        self.remember(resource, before, Arc::clone(&object), false);
        object
    }

    fn remember(
        &mut self,
        resource: &'static str,
        before: Option<Arc<Value>>,
        object: Arc<Value>,
        deleted: bool,
    ) {
        self.log.push_back(Change { version: self.version, resource, before, object, deleted });
        if self.log.len() > REMEMBERED
            && let Some(oldest) = self.log.pop_front()
        {
            self.forgotten = oldest.version;
        }
    }
}

/// Whether a finalizer holds the object.
fn held(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty())
}

/// RFC 3339 in UTC, to the second, without a calendar crate (days to civil date as in Hinnant's algorithm).
fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, of_day) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (day, month) =
        (of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
