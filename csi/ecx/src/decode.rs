//! Reads any of the envelopes seen on the platform (ecx/API.md §2.3).

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::Op;
use crate::error::{ApiMessage, Error};

/// What is known of a reply besides its body.
#[derive(Debug, Clone)]
pub struct Reply<'a> {
    /// HTTP status.
    pub http: u16,
    /// The body's bytes.
    pub body: &'a [u8],
    /// `Retry-After`, if it came.
    pub retry_after: Option<Duration>,
    /// Our request id.
    pub request_id: &'a str,
}

/// A success as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// `statusCode`, or the `code` in its place.
    pub status: Value,
    /// The key under which the payload lay: `returnObj` or `data`.
    pub key: &'static str,
    /// What was asked for, in whatever shape.
    pub payload: Value,
}

/// The payload of a success of `op`, or the error that the reply means. An order in progress is [`Error::InProgress`].
pub fn decode<T: DeserializeOwned>(op: Op, reply: &Reply<'_>, ok_codes: &[String]) -> Result<T, Error> {
    let Told { status, key, payload } = told(op, reply, ok_codes)?;
    // A write's absent payload reads as an empty object: every field of its reply is optional.
    let payload = if payload.is_null() { Value::Object(serde_json::Map::new()) } else { payload };
    T::deserialize(&payload).map_err(|e| {
        let (code, request_id) = (text_of(&status).unwrap_or_default(), reply.request_id.into());
        let message = format!("`{key}` cannot be read: {e}; {}", there_is(&payload));
        Error::Unreadable(ApiMessage { code, message, request_id, order_id: None })
    })
}

/// What came in the place of what was expected: keys, no values.
fn there_is(payload: &Value) -> String {
    match payload {
        Value::Object(fields) if fields.is_empty() => "it is an empty object".to_owned(),
        Value::Object(fields) => {
            let keys: Vec<&str> = fields.keys().take(KEYS).map(String::as_str).collect();
            format!("there is: {}", keys.join(", "))
        }
        Value::Array(_) => "it is a list".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => "it is one value".to_owned(),
    }
}

/// So many keys of a reply are told.
const KEYS: usize = 20;

/// A word or number of an envelope, as text.
fn text_of(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned).or_else(|| value.as_number().map(ToString::to_string))
}

/// A success of `op` as it came, or the error that the reply means. A read that tells nothing is no success.
pub fn told(op: Op, reply: &Reply<'_>, ok_codes: &[String]) -> Result<Told, Error> {
    let said = |code: String, message: String| {
        let request_id = reply.request_id.into();
        ApiMessage { code, message, request_id, order_id: None }
    };
    let Ok(Value::Object(envelope)) = serde_json::from_slice::<Value>(reply.body) else {
        let text: String = String::from_utf8_lossy(reply.body).chars().take(200).collect();
        let said = said(format!("http {}", reply.http), text);
        return Err(match reply.http {
            200..=299 => Error::Unreadable(said),
            _ => Error::from_reply(reply.http, said, reply.retry_after),
        });
    };
    let text = |key: &str| envelope.get(key).and_then(text_of);
    let first =
        |keys: [&str; 3]| keys.iter().find_map(|key| text(key).filter(|t| !t.is_empty())).unwrap_or_default();
    let status = text("statusCode").or_else(|| text("code")).unwrap_or_default();
    let message = first(["description", "message", "reason"]);
    if !(200..300).contains(&reply.http) || !ok_codes.contains(&status) {
        let code = first(["errorCode", "error", "code"]);
        let order =
            envelope.get("returnObj").and_then(|told| told.get("masterOrderID")).and_then(Value::as_str);
        let said = ApiMessage { order_id: order.map(Box::from), ..said(code, message) };
        return Err(Error::from_reply(reply.http, said, reply.retry_after));
    }
    let key = if envelope.contains_key("returnObj") { "returnObj" } else { "data" };
    let payload = envelope.get(key).cloned().unwrap_or(Value::Null);
    if payload.is_null() && op.reads() {
        // "No disks" would be believed: a disk that is not told of counts as gone.
        return Err(Error::Unreadable(said(
            status,
            "a success without what was asked for in `returnObj` or `data`".to_owned(),
        )));
    }
    let status =
        ["statusCode", "code"].iter().find_map(|key| envelope.get(*key).filter(|told| !told.is_null()));
    let status = status.cloned().unwrap_or(Value::Null);
    Ok(Told { status, key, payload })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Disk, DiskList, DiskState, Group, InstanceList, OrderReply, SnapshotList};
    use crate::profile::Profile;
    use proptest::prelude::*;

    fn answer<T: DeserializeOwned>(op: Op, http: u16, body: &str) -> Result<T, Error> {
        let reply = Reply { http, body: body.as_bytes(), retry_after: None, request_id: "r-1" };
        decode(op, &reply, &Profile::default().ok_codes)
    }

    fn read<T: DeserializeOwned>(http: u16, body: &str) -> Result<T, Error> {
        answer(Op::GetDisk, http, body)
    }

    #[test]
    fn a_success_that_tells_nothing_is_no_answer_to_a_read() {
        for body in [r#"{"statusCode":800}"#, r#"{"statusCode":800,"returnObj":null}"#] {
            assert!(
                matches!(answer::<DiskList>(Op::ListDisks, 200, body), Err(Error::Unreadable(_))),
                "{body}"
            );
            assert!(matches!(answer::<Disk>(Op::GetDisk, 200, body), Err(Error::Unreadable(_))), "{body}");
            assert_eq!(answer::<OrderReply>(Op::DeleteDisk, 200, body), Ok(OrderReply::default()));
        }
        let none = r#"{"statusCode":800,"returnObj":{"diskList":null}}"#;
        assert_eq!(answer::<DiskList>(Op::ListDisks, 200, none), Ok(DiskList::default()));
    }

    #[test]
    fn a_reply_without_its_list_is_not_an_empty_list() {
        for told in [r#"{}"#, r#"[]"#, r#"{"disks":[]}"#, r#"{"diskList":{}}"#, r#"{"totalCount":0}"#] {
            let body = format!(r#"{{"statusCode":800,"returnObj":{told}}}"#);
            for op in [Op::ListDisks, Op::FindDiskByName] {
                assert!(matches!(answer::<DiskList>(op, 200, &body), Err(Error::Unreadable(_))), "{told}");
            }
            let instances = answer::<InstanceList>(Op::ListInstances, 200, &body);
            assert!(matches!(instances, Err(Error::Unreadable(_))), "{told}");
            let snapshots = answer::<SnapshotList>(Op::ListSnapshots, 200, &body);
            assert!(matches!(snapshots, Err(Error::Unreadable(_))), "{told}");
        }
    }

    #[test]
    fn a_record_that_cannot_be_read_hides_no_other() {
        let body = r#"{"statusCode":800,"returnObj":{"totalCount":"3","diskList":[
            {"diskID":"cd-1","diskSize":"20","createTime":"yesterday"}, {"diskStatus":"available"}, {"diskID":"cd-2","diskSize":[]}]}}"#;
        let list: DiskList = answer(Op::ListDisks, 200, body).unwrap();
        assert_eq!((list.total_count, list.disk_list.len(), list.unreadable.len()), (Some(3), 1, 2));
        assert_eq!((list.disk_list[0].disk_id.as_str(), list.disk_list[0].disk_size), ("cd-1", 20));
    }

    #[test]
    fn a_disk_without_state_is_not_free_and_is_no_other() {
        let disk: Disk = read(200, r#"{"statusCode":800,"returnObj":{"diskID":"cd-1"}}"#).unwrap();
        assert_eq!(disk.disk_status.group(), Group::Busy);
        assert_eq!(disk.clone().about("cd-1"), Ok(disk.clone()));
        assert!(matches!(disk.about("cd-2"), Err(Error::Unreadable(_))));
    }

    #[test]
    fn every_envelope_of_the_platform_is_read() {
        let disk = r#"{"diskID":"cd-1","diskStatus":"in-use","attachments":null,"new":1}"#;
        for envelope in [
            format!(r#"{{"statusCode":800,"returnObj":{disk}}}"#),
            format!(r#"{{"statusCode":"800","returnObj":{disk}}}"#),
            format!(r#"{{"statusCode":"200","returnObj":{disk}}}"#),
            format!(r#"{{"code":"core.ok","reason":"","data":{disk}}}"#),
        ] {
            let disk: Disk = read(200, &envelope).unwrap();
            assert_eq!((disk.disk_id.as_str(), disk.disk_status), ("cd-1", DiskState::InUse));
        }
    }

    #[test]
    fn what_was_told_is_told_as_it_came() {
        let body = r#"{"code":"core.ok","data":{"diskSize":"20"}}"#;
        let reply = Reply { http: 200, body: body.as_bytes(), retry_after: None, request_id: "r-1" };
        let told = told(Op::GetDisk, &reply, &Profile::default().ok_codes).unwrap();
        assert_eq!((told.status, told.key), (Value::from("core.ok"), "data"));
        assert_eq!(told.payload, serde_json::json!({"diskSize": "20"}));
    }

    #[test]
    fn an_order_in_progress_is_told_with_its_id() {
        let body =
            r#"{"statusCode":900,"errorCode":"ebs.order.inProgress","returnObj":{"masterOrderID":"o-1"}}"#;
        let Err(Error::InProgress(said)) = answer::<OrderReply>(Op::DeleteDisk, 200, body) else { panic!() };
        assert_eq!(said.order_id.as_deref(), Some("o-1"));
    }

    #[test]
    fn refusals_keep_the_clouds_words() {
        let body =
            r#"{"statusCode":900,"errorCode":"ebs.ebsInfo.dataDamaged","message":"m","description":"d"}"#;
        let Err(Error::DiskNotFound(said)) = read::<Disk>(200, body) else { panic!() };
        assert_eq!(said.to_string(), "d (ebs.ebsInfo.dataDamaged, request r-1)");
        assert!(matches!(read::<OrderReply>(502, "<html>bad gateway"), Err(Error::Server(_))));
        assert!(matches!(read::<OrderReply>(200, "<html>login"), Err(Error::Unreadable(_))));
        assert!(matches!(read::<OrderReply>(500, r#"{"statusCode":800}"#), Err(Error::Server(_))));
        assert!(matches!(
            read::<OrderReply>(400, r#"{"statusCode":"400","error":"BC_0001"}"#),
            Err(Error::Parameter(_))
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(http in 100u16..600, body in prop::collection::vec(any::<u8>(), 0..200)) {
            let reply = Reply { http, body: &body, retry_after: None, request_id: "r" };
            let _ = decode::<Disk>(Op::GetDisk, &reply, &Profile::default().ok_codes);
        }
    }
}
