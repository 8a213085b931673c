//! A region's disks. A list that does not show all it says there is, or has a record that cannot be read, is an error: what it leaves
//! out is not gone, and nothing is to be told or done by it.

use eck_csi::volume::Region;
use ecx::api::Disk;
use ecx::error::ApiMessage;
use ecx::{Client, Error};

/// Every disk of the region.
pub(super) async fn disks(client: &Client, region: &Region) -> Result<Vec<Disk>, Error> {
    let all = client.list_all_disks(region.as_str()).await?;
    if all.unreadable > 0 {
        return Err(cut(format!("the list of disks has {} records that cannot be read", all.unreadable)));
    }
    match all.total_count {
        Some(total) if !all.is_whole() => {
            Err(cut(format!("the list of disks shows {} of {total}", all.disks.len())))
        }
        Some(_) | None => Ok(all.disks),
    }
}

fn cut(message: String) -> Error {
    Error::Unreadable(ApiMessage { code: "list".to_owned(), message, ..ApiMessage::default() })
}

#[cfg(test)]
mod tests {
    use ecx::lists::InstanceFilter;

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
        let found = client.list_all_instances(region.as_str(), &InstanceFilter::All).await;
        found.map(|found| found.len()).map_err(|error| error.to_string())
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
