//! A LUKS2 header as cryptsetup shows it, parsed once.

use serde_json::Value;
use uuid::Uuid;

use super::layout::{COPY_AT, DATA_AT, HEADER, JSON, KEYSLOTS};

/// Type of the token that says: nobody has put anything into this volume yet. It is there from the header's making until the
/// file system is proven, so what it stands on may be formatted.
pub(super) const FRESH: &str = "eck-fresh";

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its identity.
    pub uuid: Uuid,
    /// The tokens that say that the volume was never used.
    pub fresh: Vec<u32>,
    /// It has this driver's own layout, with room for a copy of itself before the data.
    pub room: bool,
}

/// A header that cannot be taken, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadHeader(String);

impl Header {
    /// Reads the UUID and the metadata as `cryptsetup luksUUID` and `luksDump --dump-json-metadata` print them.
    pub fn parse(uuid: &str, json: &str) -> Result<Self, BadHeader> {
        let uuid =
            Uuid::parse_str(uuid.trim()).map_err(|e| BadHeader(format!("its UUID is {uuid:?}: {e}")))?;
        let root: Value =
            serde_json::from_str(json).map_err(|e| BadHeader(format!("its metadata is no JSON: {e}")))?;
        let mut fresh = Vec::new();
        for (id, token) in root["tokens"].as_object().into_iter().flatten() {
            let id =
                id.parse().map_err(|_| BadHeader(format!("it has a token {id:?}, which is no number")))?;
            if token["type"] == FRESH {
                fresh.push(id);
            }
        }
        Ok(Self { uuid, fresh, room: room(&root) })
    }
}

/// Whether header and data stand where this driver puts them.
fn room(root: &Value) -> bool {
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<u64>().ok());
    let (config, segments) = (&root["config"], root["segments"].as_object());
    let one = segments.filter(|all| all.len() == 1).and_then(|all| all.get("0"));
    let own = number(&config["json_size"]) == Some(JSON)
        && number(&config["keyslots_size"]) == Some(KEYSLOTS)
        && one.is_some_and(|data| data["type"] == "crypt" && number(&data["offset"]) == Some(DATA_AT));
    own && COPY_AT + HEADER <= DATA_AT
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "beae35d6-b83d-8856-a20d-29afa4e35c5c\n";

    fn json(tokens: &str, offset: &str) -> String {
        format!(
            r#"{{"keyslots":{{}},"tokens":{tokens},"segments":{{"0":{{"type":"crypt","offset":"{offset}","size":"dynamic"}}}},
                "config":{{"json_size":"12288","keyslots_size":"2097152"}}}}"#
        )
    }

    #[test]
    fn tokens_and_layout_are_read() {
        let tokens = r#"{"0":{"type":"eck-fresh","keyslots":[]},"4":{"type":"x"}}"#;
        let header = Header::parse(UUID, &json(tokens, "16777216")).unwrap();
        assert_eq!((header.fresh.as_slice(), header.room), (&[0][..], true));
        let used = Header::parse(UUID, &json("{}", "16777216")).unwrap();
        assert!(used.fresh.is_empty());
    }

    #[test]
    fn a_header_of_another_layout_leaves_no_room_for_a_copy() {
        assert!(!Header::parse(UUID, &json("{}", "8388608")).unwrap().room);
        assert!(!Header::parse(UUID, "{}").unwrap().room);
        let two = json("{}", "16777216").replace(r#""segments":{"#, r#""segments":{"1":{"type":"crypt"},"#);
        assert!(!Header::parse(UUID, &two).unwrap().room);
    }

    #[test]
    fn what_is_no_header_says_why() {
        assert!(Header::parse("luks", "{}").unwrap_err().to_string().contains("\"luks\""));
        assert!(Header::parse(UUID, "{").unwrap_err().to_string().contains("no JSON"));
        let odd = json(r#"{"one":{"type":"x"}}"#, "0");
        assert!(Header::parse(UUID, &odd).unwrap_err().to_string().contains("\"one\""));
    }
}
