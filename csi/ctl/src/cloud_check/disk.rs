//! What the record of a disk tells, field by field.

use eck_csi::volume::DiskId;
use ecx::api::{DiskState, Group};
use serde_json::Value;

use super::line::{Line, brief};
use super::page::text;

const ID: &str = "a disk's id is cd- and 20 of 0-9 and a-v (`diskID`)";
const NAME: &str = "a disk's name is told (`diskName`)";
const SIZE: &str = "a disk's size is a number of GiB (`diskSize`)";
const TYPE: &str = "a disk's type is told (`diskType`)";
const STATE: &str = "a disk's state is a known word (`diskStatus`)";
const MADE: &str = "when a disk was made is told in epoch milliseconds (`createTime`)";
const HOLDER: &str = "an attached disk tells its machine (`attachments` or `instanceID`)";
const ATTACHMENTS: &str = "an attached disk tells it in `attachments[].instanceID`";
const LABELS: &str = "a disk's labels are pairs of `key` and `value` (`labels`)";
const SOURCE: &str = "a disk made of a snapshot tells which (`volumeSourceID`)";

/// Of one record: as it should be, with what was seen; otherwise, or not to be seen in it.
enum Field {
    Right(String),
    Otherwise(String),
    Untold,
}

use Field::*;

/// An assumption, and how it is read in one record.
type Rule = (&'static str, fn(&Value) -> Field, &'static str);

/// The assumptions, and why nothing is known where no record tells.
const RULES: [Rule; 10] = [
    (ID, id, "no disk in the region"),
    (NAME, name, "no disk in the region"),
    (SIZE, size, "no disk in the region"),
    (TYPE, kind, "no disk in the region"),
    (STATE, state, "no disk in the region"),
    (MADE, made, "no disk in the region"),
    (HOLDER, holder, "no attached disk in the region"),
    (ATTACHMENTS, attachments, "no attached disk in the region"),
    (LABELS, labels, "no disk with labels in the region"),
    (SOURCE, source, "no disk tells one; whether one was made of a snapshot is not known"),
];

/// What the records tell: one that is otherwise is enough.
pub(super) fn judge(records: &[&Value]) -> Vec<Line> {
    RULES.map(|(assumption, read, none)| rule(records, assumption, read, none)).into()
}

fn rule(records: &[&Value], assumption: &'static str, read: fn(&Value) -> Field, none: &str) -> Line {
    let mut fits = None;
    for record in records {
        match read(record) {
            Otherwise(seen) => {
                let disk = text(&record["diskID"]).unwrap_or_else(|| "a disk without id".to_owned());
                return Line::differs(assumption, format!("{seen}, of {}", brief(&disk)));
            }
            Right(seen) => drop(fits.get_or_insert(seen)),
            Untold => {}
        }
    }
    match fits {
        Some(seen) => Line::fits(assumption, seen),
        None => Line::unknown(assumption, none),
    }
}

/// How a value is shown.
fn shown(value: &Value) -> String {
    if value.is_null() { "not told".to_owned() } else { brief(&value.to_string()) }
}

fn id(disk: &Value) -> Field {
    let Some(id) = disk["diskID"].as_str() else { return Otherwise(shown(&disk["diskID"])) };
    let xid = |rest: &str| rest.len() == 20 && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'v'));
    match DiskId::parse(id) {
        Some(_) if id.strip_prefix("cd-").is_some_and(xid) => Right(id.to_owned()),
        Some(_) => Otherwise("another form, which the driver takes".to_owned()),
        None => Otherwise("a form that the driver does not take".to_owned()),
    }
}

fn name(disk: &Value) -> Field {
    told(&disk["diskName"])
}

fn kind(disk: &Value) -> Field {
    told(&disk["diskType"])
}

fn told(value: &Value) -> Field {
    match value.as_str().filter(|text| !text.is_empty()) {
        Some(text) => Right(brief(text)),
        None => Otherwise(shown(value)),
    }
}

fn size(disk: &Value) -> Field {
    match disk["diskSize"].as_u64() {
        Some(size) if size > 0 => Right(size.to_string()),
        _ => Otherwise(shown(&disk["diskSize"])),
    }
}

/// The state, if it is a word.
fn word(disk: &Value) -> Option<DiskState> {
    disk["diskStatus"].as_str().map(DiskState::parse)
}

fn state(disk: &Value) -> Field {
    match word(disk) {
        None | Some(DiskState::Unknown(_)) => Otherwise(shown(&disk["diskStatus"])),
        Some(state) => Right(state.as_str().to_owned()),
    }
}

/// Epoch milliseconds are above this since 1973.
const FIRST_MILLISECOND: u64 = 100_000_000_000;

fn made(disk: &Value) -> Field {
    match disk["createTime"].as_u64() {
        Some(time) if time >= FIRST_MILLISECOND => Right(time.to_string()),
        Some(time) => Otherwise(format!("{time}, which are seconds")),
        None => Otherwise(shown(&disk["createTime"])),
    }
}

fn attached(disk: &Value) -> bool {
    word(disk).is_some_and(|state| state.group() == Group::Attached)
}

/// The machine that `attachments` tells.
fn attachment(disk: &Value) -> Option<String> {
    disk["attachments"].as_array()?.iter().find_map(|one| text(&one["instanceID"]))
}

fn holder(disk: &Value) -> Field {
    match attachment(disk).or_else(|| text(&disk["instanceID"])) {
        Some(machine) => Right(brief(&machine)),
        None if attached(disk) => Otherwise("neither is told".to_owned()),
        None => Untold,
    }
}

fn attachments(disk: &Value) -> Field {
    match attachment(disk) {
        Some(machine) => Right(brief(&machine)),
        None if attached(disk) => Otherwise(format!("attachments {}", shown(&disk["attachments"]))),
        None => Untold,
    }
}

fn labels(disk: &Value) -> Field {
    let labels = match &disk["labels"] {
        Value::Null => return Untold,
        Value::Array(labels) => labels,
        other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            return Otherwise(shown(other));
        }
    };
    match labels.iter().find(|one| !one["key"].is_string() || !one["value"].is_string()) {
        Some(odd) => Otherwise(shown(odd)),
        None if labels.is_empty() => Untold,
        None => Right(format!("{} labels", labels.len())),
    }
}

fn source(disk: &Value) -> Field {
    match &disk["volumeSourceID"] {
        Value::Null => Untold,
        Value::String(id) if id.is_empty() => Untold,
        Value::String(id) => Right(brief(id)),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Otherwise(shown(other))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_check::line::Verdict;
    use serde_json::json;

    fn whole() -> Value {
        json!({"diskID": "cd-cfebko79upsq2iuo7lkg", "diskName": "pvc-1", "diskSize": 20, "diskType": "SAS",
            "diskStatus": "in-use", "createTime": 1_676_081_790_000_u64, "instanceID": "evm-1",
            "attachments": [{"instanceID": "evm-1"}], "labels": [{"key": "a", "value": "b"}],
            "volumeSourceID": "cs-1"})
    }

    /// The assumptions from which a whole record, with `field` changed, differs.
    fn differs(field: &str, value: Value) -> Vec<&'static str> {
        let mut disk = whole();
        disk[field] = value;
        let lines = judge(&[&whole(), &disk]);
        lines.iter().filter(|line| line.verdict == Verdict::Differs).map(|line| line.assumption).collect()
    }

    #[test]
    fn a_whole_record_fits_throughout() {
        assert!(judge(&[&whole()]).iter().all(|line| line.verdict == Verdict::Fits));
    }

    #[test]
    fn without_a_disk_nothing_is_known() {
        assert!(judge(&[]).iter().all(|line| line.verdict == Verdict::Unknown));
    }

    #[test]
    fn a_field_that_is_otherwise_is_named_alone() {
        for id in ["vol-cfebko79upsq2iuo7lkg", "CD-CFEBKO79UPSQ2IUO7LKG", "cd-1", "cd/1"] {
            assert_eq!(differs("diskID", json!(id)), [ID], "{id}");
        }
        assert_eq!(differs("diskName", Value::Null), [NAME]);
        for size in [Value::Null, json!("20"), json!(0)] {
            assert_eq!(differs("diskSize", size.clone()), [SIZE], "{size}");
        }
        assert_eq!(differs("diskType", json!("")), [TYPE]);
        for time in [Value::Null, json!(1_676_081_790), json!("2023-02-11")] {
            assert_eq!(differs("createTime", time.clone()), [MADE], "{time}");
        }
        assert_eq!(differs("attachments", Value::Null), [ATTACHMENTS]);
        assert_eq!(differs("labels", json!({"a": "b"})), [LABELS]);
        assert_eq!(differs("labels", json!([{"labelKey": "a"}])), [LABELS]);
        assert_eq!(differs("volumeSourceID", json!({"id": 1})), [SOURCE]);
    }

    #[test]
    fn a_state_that_nobody_knows_differs_and_another_case_does_not() {
        assert_eq!(differs("diskStatus", json!("mounted")), [STATE]);
        assert!(differs("diskStatus", json!("IN-USE")).is_empty());
    }

    #[test]
    fn an_attached_disk_without_a_holder_differs() {
        let mut disk = whole();
        disk["attachments"] = Value::Null;
        disk["instanceID"] = json!("");
        let line = &judge(&[&disk])[6];
        assert_eq!(
            (line.verdict, line.seen.as_str()),
            (Verdict::Differs, "neither is told, of cd-cfebko79upsq2iuo7lkg")
        );
    }

    #[test]
    fn a_free_disk_tells_nothing_of_holders() {
        let mut disk = whole();
        disk["diskStatus"] = json!("available");
        disk["attachments"] = json!([]);
        disk["instanceID"] = Value::Null;
        assert_eq!(judge(&[&disk])[6].verdict, Verdict::Unknown);
    }
}
