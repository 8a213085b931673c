//! The order of names, which a map of JSON does not keep.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// helm's own, which every chart's values may have.
pub(super) const GLOBAL: &str = "global";

/// A schema, as far as the order of its names goes.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Ordered {
    properties: Properties,
    items: Option<Box<Ordered>>,
    #[serde(rename = "additionalProperties")]
    others: Others,
}

/// What helm says of a name that is not allowed.
#[derive(Deserialize, Default)]
struct Others {
    #[serde(default, rename = "const")]
    said: String,
}

#[derive(Default)]
struct Properties(Vec<(String, Ordered)>);

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Properties;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fields by their names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Properties, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == GLOBAL {
                map.next_value::<IgnoredAny>()?;
            } else {
                fields.push((name, map.next_value()?));
            }
        }
        Ok(Properties(fields))
    }
}

/// Records of which helm lists the names in another order than the schema.
pub(super) fn misordered(schema: &str) -> Result<Vec<String>, serde_json::Error> {
    let mut found = Vec::new();
    look(&serde_json::from_str(schema)?, "", &mut found);
    Ok(found)
}

fn look(record: &Ordered, at: &str, found: &mut Vec<String>) {
    let names: Vec<&str> = record.properties.0.iter().map(|(name, _)| name.as_str()).collect();
    if !names.is_empty() && !record.others.said.ends_with(&format!(": {}", names.join(", "))) {
        found.push(format!("{at}: names are listed in another order"));
    }
    for (name, field) in &record.properties.0 {
        look(field, &format!("{at}/{name}"), found);
    }
    if let Some(element) = &record.items {
        look(element, &format!("{at}/0"), found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_another_order_are_found_at_any_depth() {
        let schema = |said: &str| {
            format!(
                r#"{{"properties": {{"z": {{"type": "string"}}, "a": {{"items": {{"properties": {{"y": {{}}, "b": {{}}}},
                "additionalProperties": {{"const": "names: {said}"}}}}}}}}, "additionalProperties": {{"const": "names: z, a"}}}}"#
            )
        };
        assert_eq!(misordered(&schema("y, b")).unwrap(), [""; 0]);
        assert_eq!(misordered(&schema("b, y")).unwrap(), ["/a/0: names are listed in another order"]);
    }
}
