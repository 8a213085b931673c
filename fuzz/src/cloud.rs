//! What the cloud answers. An input is the operation (1 byte), the HTTP status (1 byte, out of [`HTTP`]) and the body.

use std::fmt::Debug;
use std::time::Duration;

use ecx::api::*;
use ecx::decode::{Reply, decode};
use ecx::{Error, Profile};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::input::Input;

const HTTP: [u16; 10] = [200, 204, 301, 400, 401, 403, 404, 429, 500, 503];

/// The disk that was asked for.
const ASKED: &str = "cd-cfebko79upsq2iuo7lkg";

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let op = Op::ALL[usize::from(input.byte()) % Op::ALL.len()];
    let http = HTTP[usize::from(input.byte()) % HTTP.len()];
    let body = input.rest();
    match op {
        Op::CreateDisk | Op::CreateDiskFromSnapshot | Op::DeleteDisk | Op::ResizeDisk | Op::ModifyDisk => {
            drop(check::<OrderReply>(op, http, body));
        }
        Op::GetDisk => {
            if let Some(disk) = check::<Disk>(op, http, body) {
                one(disk);
            }
        }
        Op::FindDiskByName | Op::ListDisks => {
            if let Some(list) = check::<DiskList>(op, http, body) {
                list.disk_list.into_iter().for_each(one);
            }
        }
        Op::AttachDisk | Op::DetachDisk => drop(check::<JobReply>(op, http, body)),
        Op::GetJob => drop(check::<Job>(op, http, body)),
        Op::GetOrder => drop(check::<Order>(op, http, body)),
        Op::CreateSnapshot | Op::DeleteSnapshot => drop(check::<SnapshotReply>(op, http, body)),
        Op::ListSnapshots => drop(check::<SnapshotList>(op, http, body)),
        Op::ListDiskTypes => drop(check::<DiskTypes>(op, http, body)),
        Op::CheckStock => drop(check::<Stock>(op, http, body)),
        Op::UpdateDisk => drop(check::<Empty>(op, http, body)),
        Op::ListInstances => drop(check::<InstanceList>(op, http, body)),
    }
}

/// Reads the reply. A success is one by HTTP and by the envelope's own word; whatever else came is an error of the right kind.
fn check<T>(op: Op, http: u16, body: &[u8]) -> Option<T>
where
    T: DeserializeOwned + Serialize + PartialEq + Debug,
{
    let ok_codes = Profile::default().ok_codes;
    let pause = Some(Duration::from_secs(1));
    let reply = Reply { http, body, retry_after: pause, request_id: "r-1" };
    match decode::<T>(op, &reply, &ok_codes) {
        Ok(value) => {
            assert!((200..300).contains(&http), "{http} is no success");
            let envelope: Value = serde_json::from_slice(body).unwrap_or_default();
            let word = |key: &str| match envelope.get(key) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                _ => None,
            };
            let said = word("statusCode").or_else(|| word("code")).unwrap_or_default();
            assert!(ok_codes.contains(&said), "{said:?} is no success");
            let told =
                ["returnObj", "data"].iter().any(|key| envelope.get(key).is_some_and(|v| !v.is_null()));
            assert!(told || !op.reads(), "a success that tells nothing");
            let body = json!({"statusCode": 800, "returnObj": value}).to_string();
            let again = Reply { http: 200, body: body.as_bytes(), ..reply };
            assert_eq!(decode::<T>(op, &again, &ok_codes).as_ref(), Ok(&value), "written and read");
            Some(value)
        }
        Err(error) => {
            failed(http, body, &error);
            None
        }
    }
}

fn failed(http: u16, body: &[u8], error: &Error) {
    assert!(
        error.retryable() || !error.outcome_unknown(),
        "an unknown outcome is never a final failure: {error:?}"
    );
    assert_eq!(http == 429, matches!(error, Error::Throttled { .. }) && http == 429, "{error:?}");
    let object = matches!(serde_json::from_slice(body), Ok(Value::Object(_)));
    let success = (200..300).contains(&http);
    assert!(
        object || !success || matches!(error, Error::Unreadable(_)),
        "no envelope, no verdict: {error:?}"
    );
}

/// A disk, and what it would be taken for if another had been asked for.
fn one(disk: Disk) {
    assert!(disk.size_bytes() >= disk.disk_size, "no size wraps around");
    let asked = disk.disk_id == ASKED;
    assert_eq!(disk.clone().about(ASKED).is_ok(), asked, "never another disk than the one asked for");
    let held = disk.attachments.first().map(|attachment| attachment.instance_id.as_str());
    assert!(held.is_none_or(|instance| disk.holders().contains(&instance)));
    let free = disk.disk_status.group() == Group::Settled;
    let word = disk.disk_status.as_str().to_ascii_lowercase();
    assert!(
        !free || ["available", "detached"].contains(&word.as_str()),
        "free only by its own word: {word:?}"
    );
}
