//! A region's disks. A list that does not show all it says there is, or has a record that cannot be read, tells of what it shows, and by
//! what it leaves out nothing is to be told or done: that is not gone.

use eck_csi::volume::Region;
use ecx::api::Disk;
use ecx::{Client, Error};

/// The disks of a region, as its list shows them.
pub(super) struct Seen {
    pub(super) disks: Vec<Disk>,
    /// What the list does not show, by its own word.
    pub(super) left_out: Option<String>,
}

/// The disks of the region.
pub(super) async fn disks(client: &Client, region: &Region) -> Result<Seen, Error> {
    let all = client.list_all_disks(region.as_str()).await?;
    let left_out = match all.total_count {
        _ if all.unreadable > 0 => {
            Some(format!("the list of disks has {} records that cannot be read", all.unreadable))
        }
        Some(total) if !all.is_whole() => {
            Some(format!("the list of disks shows {} of {total}", all.disks.len()))
        }
        Some(_) | None => None,
    };
    Ok(Seen { disks: all.disks, left_out })
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

    /// How many disks are seen and what is left out, or why none.
    async fn disks_of(pages: &[&str]) -> Result<(usize, Option<String>), String> {
        let (client, region) = cloud(pages);
        let seen = disks(&client, &region).await.map_err(|error| error.to_string())?;
        Ok((seen.disks.len(), seen.left_out))
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
        assert_eq!(disks_of(&pages).await, Ok((2, None)));
        assert_eq!(disks_of(&[r#"{"diskList":[]}"#]).await, Ok((0, None)));
    }

    #[tokio::test]
    async fn a_list_of_disks_that_is_cut_or_odd_tells_what_it_shows_and_that_it_is() {
        let cut = disks_of(&[r#"{"diskList":[{"diskID":"cd-1"}],"totalCount":2}"#]).await;
        assert_eq!(cut, Ok((1, Some("the list of disks shows 1 of 2".to_owned()))));
        let odd = disks_of(&[r#"{"diskList":[{"diskID":"cd-1"},{}],"totalCount":2}"#]).await;
        assert_eq!(odd, Ok((1, Some("the list of disks has 1 records that cannot be read".to_owned()))));
    }

    #[tokio::test]
    async fn a_list_of_disks_without_an_end_is_an_error() {
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
