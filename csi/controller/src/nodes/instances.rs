//! A region's machines, every page of them: whether an address is one machine's alone is only known when all have been read.

use std::collections::BTreeSet;

use eck_csi::volume::Region;
use ecx::api::{Instance, ListInstances};
use ecx::error::ApiMessage;
use ecx::{Client, Error};

/// Machines of one page (ecx/API.md B.8: 50 is safe in every pool).
const PAGE: u32 = 50;

/// More pages no region has: a list without an end ends here.
const MAX_PAGES: u32 = 1000;

/// Which machines are asked for.
pub(super) enum Which {
    All,
    /// Those that a word fits, by the cloud's filter: more may come.
    Keyword(String),
    /// The one with this id; more may come.
    Id(String),
}

/// The machines that exist, by the cloud's word. An error if the list does not show all.
pub(super) async fn read(client: &Client, region: &Region, which: &Which) -> Result<Vec<Instance>, Error> {
    let (keyword, instance_id_list) = match which {
        Which::All => (None, None),
        Which::Keyword(word) => (Some(word.clone()), None),
        Which::Id(id) => (None, Some(id.clone())),
    };
    let (mut found, mut seen, mut unreadable) = (Vec::new(), BTreeSet::new(), 0);
    for page_no in 1..=MAX_PAGES {
        let query = ListInstances {
            region_id: region.to_string(),
            page_no,
            page_size: PAGE,
            keyword: keyword.clone(),
            instance_id_list: instance_id_list.clone(),
        };
        let page = client.list_instances(&query).await?;
        let shown = page.results.len() + page.unreadable.len();
        let before = seen.len();
        unreadable += page.unreadable.len();
        found.extend(page.results.into_iter().filter(|machine| seen.insert(machine.instance_id.clone())));
        let read = (seen.len() + unreadable) as u64;
        let more = page.total_count.map_or(shown >= PAGE as usize, |total| read < total);
        if !more {
            if unreadable > 0 {
                return Err(cut(region, format!("{unreadable} records that cannot be read")));
            }
            found.retain(Instance::exists);
            return Ok(found);
        }
        if seen.len() == before {
            return Err(cut(
                region,
                format!("page {page_no} without another machine, and more that it does not show"),
            ));
        }
    }
    Err(cut(region, "no end".to_owned()))
}

fn cut(region: &Region, what: String) -> Error {
    let message = format!("the list of machines of {region} has {what}");
    Error::Unreadable(ApiMessage { code: "list".to_owned(), message, ..ApiMessage::default() })
}
