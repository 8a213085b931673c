//! The look-up of a disk by its name (op 5).

use ecx::Error;
use ecx::api::{Disk, FindDiskByName, Op};
use serde_json::Value;

use super::ask::Ask;
use super::line::{Line, brief};
use super::page::Page;

const FINDS: &str = "a disk is found by its name (op 5)";
const NONE: &str = "for a name that no disk has, `diskList` is there and empty (op 5)";

/// A name that nothing has.
const NOBODY: &str = "eck-cloud-check-has-no-such-disk";

/// Looks for the newest of the disks, and for one that is not there.
pub(super) async fn check(ask: &Ask<'_>, disks: &[Disk]) -> Vec<Line> {
    let found = match disks.iter().find(|disk| !disk.disk_name.is_empty()) {
        None => Line::unknown(FINDS, "no disk with a name in the region"),
        Some(disk) => match find(ask, &disk.disk_name).await {
            Ok(page) => finds(disk, &page),
            Err(error) => Line::unanswered(FINDS, &error),
        },
    };
    let none = match find(ask, NOBODY).await {
        Ok(page) => none(&page),
        Err(error) => Line::unanswered(NONE, &error),
    };
    vec![found, none]
}

async fn find(ask: &Ask<'_>, name: &str) -> Result<Page, Error> {
    let query = FindDiskByName { region_id: ask.region.clone(), disk_name: name.to_owned() };
    let told = ask.client.told(Op::FindDiskByName, &query).await?;
    Ok(Page::of(&told.payload, "diskList"))
}

/// What a page without its list is, if it is one.
fn keyless(page: &Page) -> Option<String> {
    match &page.list {
        Some(Value::Array(_)) => None,
        Some(Value::Null) if page.total == Some(0) => None,
        Some(other) => Some(format!("`diskList` is {}", brief(&other.to_string()))),
        None => Some(format!("no such key in the reply; there is: {}", brief(&page.keys))),
    }
}

fn finds(disk: &Disk, page: &Page) -> Line {
    if let Some(seen) = keyless(page) {
        return Line::differs(FINDS, seen);
    }
    let (name, id) = (brief(&disk.disk_name), &disk.disk_id);
    match page.records.iter().find(|one| one["diskID"] == id.as_str()) {
        None => {
            let found = page.records.len();
            Line::differs(FINDS, format!("{id} is not among the {found} of the name {name:?}"))
        }
        Some(one) if one["diskName"] != disk.disk_name.as_str() => {
            let told = brief(&one["diskName"].to_string());
            Line::differs(FINDS, format!("{id} is found by {name:?}, and its name is told as {told}"))
        }
        Some(_) => Line::fits(FINDS, format!("{id} by {name:?}, one of {}", page.records.len())),
    }
}

fn none(page: &Page) -> Line {
    match keyless(page) {
        Some(seen) => Line::differs(NONE, seen),
        None => Line::of(NONE, page.records.is_empty(), format!("{} disks", page.records.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_check::line::Verdict::*;
    use serde_json::json;

    fn disk() -> Disk {
        Disk { disk_id: "cd-1".into(), disk_name: "pvc-1".into(), ..Disk::default() }
    }

    fn page(payload: Value) -> Page {
        Page::of(&payload, "diskList")
    }

    #[test]
    fn the_disk_itself_must_be_found() {
        let found = |list: Value| finds(&disk(), &page(json!({ "diskList": list }))).verdict;
        assert_eq!(found(json!([{"diskID": "cd-1", "diskName": "pvc-1"}])), Fits);
        assert_eq!(found(json!([{"diskID": "cd-2", "diskName": "pvc-1"}])), Differs);
        assert_eq!(found(json!([{"diskID": "cd-1"}])), Differs);
        assert_eq!(found(json!([])), Differs);
        assert_eq!(finds(&disk(), &page(json!({"disks": []}))).verdict, Differs);
    }

    #[test]
    fn none_is_an_empty_list_and_nothing_else() {
        assert_eq!(none(&page(json!({"diskList": []}))).verdict, Fits);
        for odd in
            [json!({}), json!({"disks": []}), json!([]), json!({"diskList": null}), json!({"diskList": [{}]})]
        {
            assert_eq!(none(&page(odd.clone())).verdict, Differs, "{odd}");
        }
    }
}
