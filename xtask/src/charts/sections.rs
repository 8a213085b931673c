//! Values that are written into other values, at paths as a schema has them.

use serde_json::{Map, Value};

/// Writes the value at the path; lists and records on the way are made.
pub(super) fn set(within: &mut Value, path: &[Value], value: Value) {
    let Some((step, rest)) = path.split_first() else {
        *within = value;
        return;
    };
    match step {
        Value::String(name) => {
            if !within.is_object() {
                *within = Value::Object(Map::new());
            }
            set(&mut within[name.as_str()], rest, value);
        }
        _ => {
            if within.as_array().is_none_or(Vec::is_empty) {
                *within = Value::Array(vec![Value::Null]);
            }
            set(&mut within[0], rest, value);
        }
    }
}

/// The value at the path, if it is there and not null.
pub(super) fn get<'a>(within: &'a Value, path: &[Value]) -> Option<&'a Value> {
    let found = path.iter().try_fold(within, |within, step| match step {
        Value::String(name) => within.get(name.as_str()),
        _ => within.get(0),
    });
    found.filter(|found| !found.is_null())
}

/// Takes out what is at the path.
pub(super) fn remove(within: &mut Value, path: &[Value]) {
    let Some((step, rest)) = path.split_first() else { return };
    let next = match step {
        Value::String(name) if rest.is_empty() => {
            within.as_object_mut().map(|fields| fields.remove(name));
            None
        }
        Value::String(name) => within.get_mut(name.as_str()),
        _ if rest.is_empty() => {
            within.as_array_mut().map(|elements| (!elements.is_empty()).then(|| elements.remove(0)));
            None
        }
        _ => within.get_mut(0),
    };
    if let Some(next) = next {
        remove(next, rest);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path() -> Vec<Value> {
        vec![json!("list"), json!(0), json!("name")]
    }

    #[test]
    fn what_is_set_is_there_and_what_is_removed_is_not() {
        let mut values = json!({"other": 1});
        set(&mut values, &path(), json!("a"));
        assert_eq!(values, json!({"other": 1, "list": [{"name": "a"}]}));
        assert_eq!(get(&values, &path()), Some(&json!("a")));
        remove(&mut values, &path());
        assert_eq!(values, json!({"other": 1, "list": [{}]}));
        assert_eq!(get(&values, &path()), None);
    }
}
