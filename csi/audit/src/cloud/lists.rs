//! A region's disks and machines, every page. A list that does not show all it says there is, or has a record that cannot be read, is
//! an error: what it leaves out is not gone, and nothing is to be told or done by it.

use std::collections::BTreeSet;

use eck_csi::volume::Region;
use ecx::api::{Disk, Instance, ListDisks, ListInstances};
use ecx::error::ApiMessage;
use ecx::{Client, Error};

/// Disks of one page (ecx/API.md B.8: at most 1000).
const DISKS: u32 = 1000;

/// Machines of one page (ecx/API.md B.8: 50 is safe in every pool).
const MACHINES: u32 = 50;

/// More pages no region has: a list without an end ends here.
const MAX_PAGES: u32 = 1000;

/// Every disk of the region.
pub(super) async fn disks(client: &Client, region: &Region) -> Result<Vec<Disk>, Error> {
    let (mut disks, mut next_token) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let query =
            ListDisks { region_id: region.to_string(), max_results: DISKS, next_token: next_token.clone() };
        let page = client.list_disks(&query).await?;
        readable("disks", page.unreadable.len())?;
        let nothing_new = page.disk_list.is_empty();
        disks.extend(page.disk_list);
        let token = page.next_token.filter(|token| !token.is_empty());
        if token.is_none() {
            let shown = disks.len() as u64;
            return match page.total_count {
                Some(total) if total > shown => {
                    Err(cut(format!("the list of disks shows {shown} of {total}")))
                }
                Some(_) | None => Ok(disks),
            };
        }
        if token == next_token || nothing_new {
            break;
        }
        next_token = token;
    }
    Err(cut("the list of disks has no end".to_owned()))
}

/// Every machine of the region that exists.
pub(super) async fn instances(client: &Client, region: &Region) -> Result<Vec<Instance>, Error> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for page_no in 1..=MAX_PAGES {
        let query = ListInstances {
            region_id: region.to_string(),
            page_no,
            page_size: MACHINES,
            keyword: None,
            instance_id_list: None,
        };
        let page = client.list_instances(&query).await?;
        readable("machines", page.unreadable.len())?;
        let (full, before) = (page.results.len() >= MACHINES as usize, seen.len());
        found.extend(page.results.into_iter().filter(|machine| seen.insert(machine.instance_id.clone())));
        if !page.total_count.map_or(full, |total| (seen.len() as u64) < total) {
            found.retain(Instance::exists);
            return Ok(found);
        }
        if seen.len() == before {
            return Err(cut(format!("page {page_no} of the list of machines shows no other one")));
        }
    }
    Err(cut("the list of machines has no end".to_owned()))
}

fn readable(of: &str, unreadable: usize) -> Result<(), Error> {
    if unreadable == 0 {
        return Ok(());
    }
    Err(cut(format!("the list of {of} has {unreadable} records that cannot be read")))
}

fn cut(message: String) -> Error {
    Error::Unreadable(ApiMessage { code: "list".to_owned(), message, ..ApiMessage::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted_cloud::scripted;

    fn cloud(pages: &[&str]) -> (Client, Region) {
        let pages = pages.iter().map(|page| (200, format!(r#"{{"statusCode":800,"returnObj":{page}}}"#)));
        (scripted(pages), Region::parse("region", "fj-xiamen-4").unwrap())
    }

    /// How many disks are seen, or why none.
    async fn disks_of(pages: &[&str]) -> Result<usize, String> {
        let (client, region) = cloud(pages);
        disks(&client, &region).await.map(|disks| disks.len()).map_err(|error| error.to_string())
    }

    /// How many machines are seen, or why none.
    async fn machines_of(pages: &[&str]) -> Result<usize, String> {
        let (client, region) = cloud(pages);
        instances(&client, &region).await.map(|found| found.len()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_whole_list_of_disks_is_read_to_its_end() {
        let pages = [
            r#"{"diskList":[{"diskID":"cd-1"}],"totalCount":2,"nextToken":"a"}"#,
            r#"{"diskList":[{"diskID":"cd-2"}],"totalCount":2}"#,
        ];
        assert_eq!(disks_of(&pages).await, Ok(2));
        assert_eq!(disks_of(&[r#"{"diskList":[]}"#]).await, Ok(0));
    }

    #[tokio::test]
    async fn a_list_of_disks_that_is_cut_odd_or_endless_is_an_error() {
        let cut = disks_of(&[r#"{"diskList":[{"diskID":"cd-1"}],"totalCount":2}"#]).await;
        assert!(cut.unwrap_err().contains("shows 1 of 2"));
        let odd = disks_of(&[r#"{"diskList":[{"diskID":"cd-1"},{}],"totalCount":2}"#]).await;
        assert!(odd.unwrap_err().contains("1 records that cannot be read"));
        let page = r#"{"diskList":[{"diskID":"cd-1"}],"nextToken":"a"}"#;
        assert!(disks_of(&[page, page]).await.unwrap_err().contains("no end"));
    }

    #[tokio::test]
    async fn a_list_of_machines_is_read_to_its_end_or_is_an_error() {
        let first = r#"{"results":[{"instanceID":"evm-1"}],"totalCount":2}"#;
        let second = r#"{"results":[{"instanceID":"evm-2","instanceStatus":"released"}],"totalCount":2}"#;
        assert_eq!(machines_of(&[first, second]).await, Ok(1), "one is gone");
        assert!(machines_of(&[first, first]).await.unwrap_err().contains("shows no other one"));
        let odd = machines_of(&[r#"{"results":[{}],"totalCount":1}"#]).await;
        assert!(odd.unwrap_err().contains("1 records that cannot be read"));
    }
}
