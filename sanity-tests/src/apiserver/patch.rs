//! The patch forms that our programs and kubectl send.

use serde_json::{Map, Value};

use super::error::Refusal;

/// Which form a patch has, by its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// RFC 7386; a server-side apply of JSON is taken as one too.
    Merge,
    /// As a merge, but lists with a known key are merged by it.
    Strategic,
    /// RFC 6902: add, replace, remove, test.
    Json,
}

impl Form {
    pub(super) fn parse(content_type: &str) -> Result<Self, Refusal> {
        match content_type.split(';').next().unwrap_or("").trim() {
            "application/merge-patch+json" | "application/apply-patch+yaml" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic),
            "application/json-patch+json" => Ok(Self::Json),
            other => Err(Refusal::new(415, "UnsupportedMediaType", format!("patch of type {other:?}"))),
        }
    }

    pub(super) fn apply(self, object: &mut Value, patch: &Value) -> Result<(), Refusal> {
        match self {
            Self::Merge => merge(object, patch, false),
            Self::Strategic => merge(object, patch, true),
            Self::Json => return json(object, patch),
        }
        Ok(())
    }
}

/// The key by which the list of this name is merged, as the API types' `patchMergeKey` says.
fn merge_key(list: &str) -> Option<&'static str> {
    match list {
        "conditions" | "addresses" => Some("type"),
        "containers" | "initContainers" | "webhooks" | "env" | "volumes" => Some("name"),
        "ownerReferences" => Some("uid"),
        _ => None,
    }
}

fn merge(object: &mut Value, patch: &Value, strategic: bool) {
    let Value::Object(fields) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Value::Object(target) = object else { return };
    for (name, value) in fields {
        if value.is_null() {
            target.remove(name);
            continue;
        }
        let slot = target.entry(name.clone()).or_insert(Value::Null);
        match (merge_key(name), &mut *slot, value) {
            (Some(key), Value::Array(have), Value::Array(want)) if strategic => merge_list(have, want, key),
            _ => merge(slot, value, strategic),
        }
    }
}

fn merge_list(have: &mut Vec<Value>, want: &[Value], key: &str) {
    for item in want {
        let at = have.iter().position(|other| other[key] == item[key]);
        if item["$patch"] == "delete" {
            at.map(|at| have.remove(at));
            continue;
        }
        match at {
            Some(at) => merge(&mut have[at], item, true),
            None => have.push(item.clone()),
        }
    }
}

fn json(object: &mut Value, patch: &Value) -> Result<(), Refusal> {
    let steps = patch.as_array().ok_or_else(|| Refusal::bad("a JSON patch is a list".to_owned()))?;
    for step in steps {
        let path = step["path"].as_str().unwrap_or("");
        let failed =
            || Refusal::new(422, "Invalid", format!("the JSON patch step {step} cannot be carried out"));
        match step["op"].as_str() {
            Some("test") => {
                let is = object.pointer(path).unwrap_or(&Value::Null);
                (*is == step["value"]).then_some(()).ok_or_else(failed)?;
            }
            Some("add") => place(object, path, step["value"].clone(), true).ok_or_else(failed)?,
            Some("replace") => place(object, path, step["value"].clone(), false).ok_or_else(failed)?,
            Some("remove") => remove(object, path).ok_or_else(failed)?,
            _ => return Err(failed()),
        }
    }
    Ok(())
}

fn parent<'a>(object: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    Some((object.pointer_mut(parent)?, last.replace("~1", "/").replace("~0", "~")))
}

fn place(object: &mut Value, path: &str, value: Value, add: bool) -> Option<()> {
    match parent(object, path)? {
        (Value::Object(fields), name) => {
            (add || fields.contains_key(&name)).then_some(())?;
            fields.insert(name, value);
        }
        (Value::Array(items), at) if add && at == "-" => items.push(value),
        (Value::Array(items), at) => {
            let at: usize = at.parse().ok()?;
            match add {
                true if at <= items.len() => items.insert(at, value),
                false if at < items.len() => items[at] = value,
                _ => return None,
            }
        }
        _ => return None,
    }
    Some(())
}

fn remove(object: &mut Value, path: &str) -> Option<()> {
    match parent(object, path)? {
        (Value::Object(fields), name) => fields.remove(&name).map(drop),
        (Value::Array(items), at) => {
            let at: usize = at.parse().ok()?;
            (at < items.len()).then(|| drop(items.remove(at)))
        }
        _ => None,
    }
}
