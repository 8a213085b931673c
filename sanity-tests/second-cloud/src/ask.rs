//! A request as it came over the wire: which operation of ECX-API B.3 it is, and its fields.

use serde_json::{Map, Value};

/// The operations, by their numbers in ECX-API B.3; 18 is the change of a disk's description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Op {
    NewDisk,
    NewFromSnapshot,
    Refund,
    Info,
    ByName,
    List,
    Attach,
    Detach,
    Resize,
    Job,
    Order,
    NewSnapshot,
    DropSnapshot,
    ListSnapshots,
    Types,
    Demand,
    Machines,
    Update,
}

const PATHS: [(&str, &str, Op); 18] = [
    ("POST", "/v4/ebs/new-ebs", Op::NewDisk),
    ("POST", "/v4/ebs/new-from-snapshot-ebs-snap", Op::NewFromSnapshot),
    ("POST", "/v4/ebs/refund-ebs", Op::Refund),
    ("GET", "/v4/ebs/info-ebs", Op::Info),
    ("GET", "/v4/ebs/list-by-name-ebs", Op::ByName),
    ("GET", "/v4/ebs/list-ebs", Op::List),
    ("POST", "/v4/ebs/attach-ebs", Op::Attach),
    ("POST", "/v4/ebs/detach-ebs", Op::Detach),
    ("POST", "/v4/ebs/resize-ebs", Op::Resize),
    ("GET", "/v4/job/info", Op::Job),
    ("GET", "/v4/ecs/order/query-uuid", Op::Order),
    ("POST", "/v4/ebs_snapshot/create-ebs-snap", Op::NewSnapshot),
    ("POST", "/v4/ebs_snapshot/delete-ebs-snap", Op::DropSnapshot),
    ("GET", "/v4/ebs_snapshot/list-ebs-snap", Op::ListSnapshots),
    ("GET", "/v4/ebs/list-disk-type", Op::Types),
    ("GET", "/v4/region/check-demand", Op::Demand),
    ("POST", "/v4/ecs/list-instances", Op::Machines),
    ("POST", "/v4/ebs/update-attr-ebs", Op::Update),
];

impl Op {
    /// Whether it orders a disk.
    pub(crate) fn makes_disks(self) -> bool {
        matches!(self, Self::NewDisk | Self::NewFromSnapshot)
    }

    /// Whether it changes something.
    pub fn writes(self) -> bool {
        use Op::*;
        match self {
            NewDisk | NewFromSnapshot | Refund | Attach | Detach | Resize | NewSnapshot | DropSnapshot
            | Update => true,
            Info | ByName | List | Job | Order | ListSnapshots | Types | Demand | Machines => false,
        }
    }
}

/// A request.
pub(crate) struct Ask {
    pub(crate) op: Op,
    fields: Map<String, Value>,
}

impl Ask {
    /// `None` for what is no operation, or has no JSON object as its body.
    pub(crate) fn parse(method: &str, target: &str, body: &[u8]) -> Option<Self> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (_, _, op) = PATHS.into_iter().find(|(verb, known, _)| *verb == method && *known == path)?;
        let fields = match method {
            "GET" => pairs(query),
            _ => serde_json::from_slice::<Value>(body).ok()?.as_object()?.clone(),
        };
        Some(Self { op, fields })
    }

    /// A field as text; empty if it was not sent.
    pub(crate) fn text(&self, key: &str) -> String {
        match self.fields.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        }
    }

    /// A field as a number, `otherwise` if it is none.
    pub(crate) fn number(&self, key: &str, otherwise: u64) -> u64 {
        self.text(key).parse().unwrap_or(otherwise)
    }

    /// A field that is true or false, `otherwise` if it was not sent.
    pub(crate) fn flag(&self, key: &str, otherwise: bool) -> bool {
        self.fields.get(key).and_then(Value::as_bool).unwrap_or(otherwise)
    }

    /// The pairs of a disk's labels.
    pub(crate) fn labels(&self) -> Vec<(String, String)> {
        let list = self.fields.get("labels").and_then(Value::as_array).cloned().unwrap_or_default();
        let word = |label: &Value, key: &str| label[key].as_str().unwrap_or_default().to_owned();
        list.iter().map(|label| (word(label, "key"), word(label, "value"))).collect()
    }

    /// The first of a list of texts.
    pub(crate) fn first(&self, key: &str) -> String {
        self.fields.get(key).and_then(|list| list[0].as_str()).unwrap_or_default().to_owned()
    }

    /// All that was sent but the token: two requests are the same if this is.
    pub(crate) fn said(&self) -> String {
        let mut fields = self.fields.clone();
        fields.remove("clientToken");
        format!("{:?} {}", self.op, Value::Object(fields))
    }
}

fn pairs(query: &str) -> Map<String, Value> {
    let pair = |word: &str| {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        (key.to_owned(), Value::String(decoded(value)))
    };
    query.split('&').filter(|word| !word.is_empty()).map(pair).collect()
}

/// RFC 3986's `%XX`.
fn decoded(value: &str) -> String {
    let mut parts = value.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let hex = part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match hex {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(&part.as_bytes()[2..]);
            }
            None => bytes.extend_from_slice(part.as_bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
