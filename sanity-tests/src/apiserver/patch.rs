//! The patch formats that our programs and kubectl send.

use json_patch::Patch;
use serde_json::{Map, Value};

use super::error::Refusal;

/// The format of a patch, by its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PatchFormat {
    /// RFC 7386; a server-side apply in JSON is treated as one too.
    Merge,
    /// A merge patch, but lists with a known key are merged by it. No crate does this: the keys are part of the API types.
    Strategic,
    /// RFC 6902.
    Json,
}

impl PatchFormat {
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
            Self::Merge => json_patch::merge(object, patch),
            Self::Strategic => merge_strategically(object, patch),
            Self::Json => return apply_json_patch(object, patch),
        }
        Ok(())
    }
}

fn apply_json_patch(object: &mut Value, patch: &Value) -> Result<(), Refusal> {
    let patch: Patch = serde_json::from_value(patch.clone())
        .map_err(|error| Refusal::bad(format!("the body is not a JSON patch: {error}")))?;
    json_patch::patch(object, &patch).map_err(|error| Refusal::new(422, "Invalid", error.to_string()))
}

/// The key by which the list of this name is merged, as `patchMergeKey` of the API types says.
fn merge_key(list: &str) -> Option<&'static str> {
    match list {
        "conditions" | "addresses" => Some("type"),
        "containers" | "initContainers" | "webhooks" | "env" | "volumes" => Some("name"),
        "ownerReferences" => Some("uid"),
        _ => None,
    }
}

fn merge_strategically(object: &mut Value, patch: &Value) {
    let Value::Object(patched_fields) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Value::Object(fields) = object else { return };
    for (name, value) in patched_fields {
        if value.is_null() {
            fields.remove(name);
            continue;
        }
        let field = fields.entry(name.clone()).or_insert(Value::Null);
        match (merge_key(name), &mut *field, value) {
            (Some(key), Value::Array(items), Value::Array(patched)) => merge_list(items, patched, key),
            _ => merge_strategically(field, value),
        }
    }
}

fn merge_list(items: &mut Vec<Value>, patched: &[Value], key: &str) {
    for item in patched {
        let position = items.iter().position(|other| other[key] == item[key]);
        match position {
            Some(position) if item["$patch"] == "delete" => drop(items.remove(position)),
            Some(position) => merge_strategically(&mut items[position], item),
            None if item["$patch"] == "delete" => {}
            None => items.push(item.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(format: PatchFormat, mut object: Value, patch: &Value) -> Result<Value, u16> {
        format.apply(&mut object, patch).map(|()| object).map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_json_patch_adds_replaces_and_removes() {
        let object = json!({"metadata": {"labels": {"a/b": "1"}}, "list": [1, 3]});
        let patch = json!([
            {"op": "test", "path": "/list/0", "value": 1},
            {"op": "add", "path": "/list/1", "value": 2},
            {"op": "add", "path": "/list/-", "value": 4},
            {"op": "replace", "path": "/metadata/labels/a~1b", "value": "2"},
            {"op": "add", "path": "/spec", "value": {}},
            {"op": "remove", "path": "/list/0"},
        ]);
        let expected = json!({"metadata": {"labels": {"a/b": "2"}}, "list": [2, 3, 4], "spec": {}});
        assert_eq!(patched(PatchFormat::Json, object, &patch), Ok(expected));
    }

    #[test]
    fn a_json_patch_that_does_not_apply_is_invalid() {
        for step in [
            json!({"op": "test", "path": "/a", "value": 2}),
            json!({"op": "remove", "path": "/b"}),
            json!({"op": "replace", "path": "/b", "value": 1}),
            json!({"op": "add", "path": "/b/c", "value": 1}),
        ] {
            assert_eq!(patched(PatchFormat::Json, json!({"a": 1}), &json!([step])), Err(422), "{step}");
        }
    }

    #[test]
    fn a_body_that_is_no_json_patch_is_a_bad_request() {
        for body in [json!({"a": 1}), json!([{"op": "rename", "path": "/a"}])] {
            assert_eq!(patched(PatchFormat::Json, json!({"a": 1}), &body), Err(400), "{body}");
        }
    }

    #[test]
    fn a_merge_patch_replaces_lists_and_removes_nulls() {
        let object = json!({"env": [{"name": "a", "value": "1"}], "gone": 1, "kept": {"x": 1}});
        let patch = json!({"env": [{"name": "b"}], "gone": null, "kept": {"y": 2}});
        let expected = json!({"env": [{"name": "b"}], "kept": {"x": 1, "y": 2}});
        assert_eq!(patched(PatchFormat::Merge, object, &patch), Ok(expected));
    }

    #[test]
    fn a_strategic_patch_merges_lists_by_their_key() {
        let object = json!({"env": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]});
        let patch =
            json!({"env": [{"name": "a", "$patch": "delete"}, {"name": "b", "value": "3"}, {"name": "c"}]});
        let expected = json!({"env": [{"name": "b", "value": "3"}, {"name": "c"}]});
        assert_eq!(patched(PatchFormat::Strategic, object, &patch), Ok(expected));
    }
}
