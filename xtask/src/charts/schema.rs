//! The schema of a chart's values.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};

use super::order::{self, GLOBAL};
use crate::error::Error;
use crate::files::read;

/// What a `const` that no value is says: helm prints it where a name is not allowed.
const NAMES: &str = "under one of these names: ";

pub(super) struct Schema {
    value: Value,
    text: String,
}

/// A value that may be set. Its path has 0 for the elements of a list.
pub(super) struct Field<'a> {
    pub(super) path: Vec<Value>,
    pub(super) schema: &'a Value,
}

impl Field<'_> {
    /// As helm writes the path.
    pub(super) fn pointer(&self) -> String {
        pointer(&self.path)
    }

    /// The type that the value must have.
    pub(super) fn kind(&self) -> &str {
        self.schema["type"].as_str().unwrap_or_default()
    }

    /// What helm says of a name that a record does not have.
    pub(super) fn said_of_others(&self) -> &str {
        self.schema["additionalProperties"]["const"].as_str().unwrap_or_default()
    }

    pub(super) fn is_element(&self) -> bool {
        self.path.last() == Some(&Value::from(0))
    }

    /// The names of a record's fields.
    fn names(&self) -> BTreeSet<&str> {
        let names = self.schema["properties"].as_object().into_iter().flat_map(Map::keys).map(String::as_str);
        names.filter(|name| *name != GLOBAL).collect()
    }
}

/// As helm writes a path.
pub(super) fn pointer(path: &[Value]) -> String {
    let steps = path.iter().map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned));
    steps.map(|step| format!("/{step}")).collect()
}

impl Schema {
    /// Of the chart in this folder.
    pub(super) fn read(chart: &Path) -> Result<Self, Error> {
        let file = chart.join("values.schema.json");
        Self::parse(&read(&file)?).map_err(|error| Error::Unreadable(file, error.to_string()))
    }

    pub(super) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        Ok(Self { value: serde_json::from_str(text)?, text: text.to_owned() })
    }

    /// Every field but the whole, a record before its fields.
    pub(super) fn fields(&self) -> Vec<Field<'_>> {
        let mut found = Vec::new();
        collect(&self.value, &[], &mut found);
        found
    }

    /// Those that have no fields of their own.
    pub(super) fn leaves(&self) -> Vec<Field<'_>> {
        let is_leaf = |field: &Field<'_>| {
            let of_element = &field.schema["items"]["properties"];
            field.schema["properties"].is_null()
                && of_element.is_null()
                && !field.is_element()
                && field.path != [GLOBAL]
        };
        self.fields().into_iter().filter(is_leaf).collect()
    }

    /// Those that have fields of their own, the whole too.
    pub(super) fn records(&self) -> Vec<Field<'_>> {
        let whole = Field { path: Vec::new(), schema: &self.value };
        let fields = self.fields().into_iter().filter(|field| !field.schema["properties"].is_null());
        std::iter::once(whole).chain(fields).collect()
    }

    /// Records whose three lists of names differ: properties, what helm says of another name, and what must be there.
    pub(super) fn differing_names(&self) -> Vec<String> {
        let differ = |record: &Field<'_>| {
            let names = record.names();
            let said = record.said_of_others();
            let said: BTreeSet<&str> = said.strip_prefix(NAMES).unwrap_or(said).split(", ").collect();
            let required = record.schema["required"].as_array();
            let required: BTreeSet<&str> = required.into_iter().flatten().filter_map(Value::as_str).collect();
            said != names || (!record.is_element() && required != names)
        };
        let records = self.records();
        let wrong = records.iter().filter(|record| differ(record));
        let misordered = order::misordered(&self.text).unwrap_or_else(|error| vec![error.to_string()]);
        wrong.map(|record| format!("{}: names differ", record.pointer())).chain(misordered).collect()
    }

    /// What limits values, as `POINTER KEYWORD`: patterns, least and most, no value twice.
    pub(super) fn limits(&self) -> BTreeSet<String> {
        const NO_LIMITS: [&str; 5] = ["type", "properties", "additionalProperties", "required", "items"];
        let mut found = BTreeSet::new();
        for field in self.fields() {
            let keywords = field.schema.as_object().into_iter().flat_map(Map::keys);
            let limits = keywords.filter(|keyword| !NO_LIMITS.contains(&keyword.as_str()));
            found.extend(limits.map(|keyword| format!("{} {keyword}", field.pointer())));
        }
        found
    }
}

fn collect<'a>(schema: &'a Value, at: &[Value], found: &mut Vec<Field<'a>>) {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let fields = properties.map(|(name, schema)| (Value::from(name.as_str()), schema));
    let element = schema.get("items").map(|schema| (Value::from(0), schema));
    for (step, schema) in fields.chain(element) {
        let path: Vec<Value> = at.iter().cloned().chain([step]).collect();
        found.push(Field { path: path.clone(), schema });
        collect(schema, &path, found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> Value {
        json!({
            "additionalProperties": {"const": "under one of these names: list, log"},
            "required": ["log", "list"],
            "properties": {
                "global": {"type": "object"},
                "log": {"type": "string", "pattern": "a"},
                "list": {"type": "array", "minItems": 1, "items": {
                    "type": "object",
                    "additionalProperties": {"const": "under one of these names: name"},
                    "required": [],
                    "properties": {"name": {"type": "string"}},
                }},
            },
        })
    }

    fn schema(value: &Value) -> Schema {
        Schema::parse(&value.to_string()).unwrap()
    }

    fn pointers(fields: &[Field<'_>]) -> BTreeSet<String> {
        fields.iter().map(Field::pointer).collect()
    }

    #[test]
    fn fields_are_leaves_or_records() {
        let schema = schema(&sample());
        assert_eq!(
            pointers(&schema.leaves()),
            BTreeSet::from(["/log".to_owned(), "/list/0/name".to_owned()])
        );
        assert_eq!(pointers(&schema.records()), BTreeSet::from([String::new(), "/list/0".to_owned()]));
    }

    #[test]
    fn three_equal_lists_of_names_pass() {
        assert_eq!(schema(&sample()).differing_names(), [""; 0]);
    }

    #[test]
    fn a_name_that_one_list_lacks_is_found() {
        let mut changed = sample();
        changed["required"] = json!(["log"]);
        assert_eq!(schema(&changed).differing_names(), [": names differ"]);
        let mut changed = sample();
        changed["properties"]["list"]["items"]["additionalProperties"]["const"] =
            json!("under one of these names: nam");
        assert_eq!(schema(&changed).differing_names()[0], "/list/0: names differ");
    }

    #[test]
    fn limits_are_what_refuses_a_value() {
        let limits = schema(&sample()).limits();
        assert_eq!(limits, BTreeSet::from(["/list minItems".to_owned(), "/log pattern".to_owned()]));
    }
}
