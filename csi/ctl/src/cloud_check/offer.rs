//! What a region offers: types of disks, stock, snapshots (op 15, 16, 14).

use ecx::Error;
use ecx::api::{CheckStock, ListDiskTypes, ListSnapshots, Op};
use serde_json::Value;

use super::ask::{Ask, MOST};
use super::line::{Line, brief};

pub(super) const TYPES: &str = "the default type is among `diskTypeList` (op 15)";
const STOCK: &str = "the stock is told by `satisfied` (op 16)";
const SNAPSHOTS: &str = "snapshots are listed under `snapshotList` (op 14)";

/// Asks for the three. What is offered is a help only, but a wrong default type is no disk at all.
pub(super) async fn check(ask: &Ask<'_>) -> (Vec<Line>, Vec<String>) {
    let (region_id, profile) = (ask.region.clone(), ask.client.profile());
    let types = ask.client.told(Op::ListDiskTypes, &ListDiskTypes { region_id: region_id.clone() }).await;
    let types = types.map(|told| told.payload);
    let stock = CheckStock {
        region_id: region_id.clone(),
        product_type: "ebs".to_owned(),
        ebs_type: profile.default_disk_type.clone(),
        ebs_size: profile.min_size_gib,
    };
    let stock = ask.client.told(Op::CheckStock, &stock).await.map(|told| told.payload);
    let query = ListSnapshots { region_id, max_results: MOST, ..ListSnapshots::default() };
    let snapshots = ask.client.told(Op::ListSnapshots, &query).await.map(|told| told.payload);
    let names = types.as_ref().ok().and_then(names).unwrap_or_default();
    let lines =
        vec![default_type(&types, &profile.default_disk_type), satisfied(&stock), snapshot_list(&snapshots)];
    (lines, names)
}

/// The names of the types.
fn names(payload: &Value) -> Option<Vec<String>> {
    let list = payload["diskTypeList"].as_array()?;
    Some(list.iter().filter_map(|one| one["diskType"].as_str().map(str::to_owned)).collect())
}

fn default_type(types: &Result<Value, Error>, default: &str) -> Line {
    match types.as_ref().map(|payload| (names(payload), payload)) {
        Err(error) => Line::unanswered(TYPES, error),
        Ok((None, payload)) => {
            Line::differs(TYPES, format!("no list under that key: {}", brief(&payload.to_string())))
        }
        Ok((Some(names), _)) => {
            let fits = names.iter().any(|name| name == default);
            Line::of(TYPES, fits, format!("{default}; there are: {}", brief(&names.join(", "))))
        }
    }
}

fn satisfied(stock: &Result<Value, Error>) -> Line {
    match stock {
        Err(error) => Line::unanswered(STOCK, error),
        Ok(told) => Line::of(STOCK, told["satisfied"].is_boolean(), brief(&told.to_string())),
    }
}

fn snapshot_list(snapshots: &Result<Value, Error>) -> Line {
    let told = match snapshots {
        Err(error) => return Line::unanswered(SNAPSHOTS, error),
        Ok(told) => told,
    };
    match told["snapshotList"].as_array() {
        Some(list) => Line::fits(SNAPSHOTS, format!("{} snapshots", list.len())),
        None => Line::differs(SNAPSHOTS, format!("no list under that key: {}", brief(&told.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_check::line::Verdict::*;
    use serde_json::json;

    #[test]
    fn a_default_type_that_is_not_offered_differs() {
        let types = Ok(json!({"diskTypeList": [{"diskType": "SSD"}, {"diskType": "SATA"}]}));
        assert_eq!(default_type(&types, "SSD").verdict, Fits);
        assert_eq!(default_type(&types, "SAS").seen, "SAS; there are: SSD, SATA");
        assert_eq!(default_type(&types, "SAS").verdict, Differs);
        assert_eq!(default_type(&Ok(json!({"types": []})), "SAS").verdict, Differs);
    }

    #[test]
    fn stock_and_snapshots_without_their_keys_differ() {
        assert_eq!(satisfied(&Ok(json!({"satisfied": false}))).verdict, Fits);
        assert_eq!(satisfied(&Ok(json!({}))).verdict, Differs);
        assert_eq!(snapshot_list(&Ok(json!({"snapshotList": []}))).verdict, Fits);
        assert_eq!(snapshot_list(&Ok(json!({"snapshots": []}))).verdict, Differs);
    }
}
