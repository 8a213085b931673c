//! Lists of a region, every page of them. What no region can have ends here: a list without an end, or one that shows nothing new.

use std::collections::BTreeSet;

use crate::api::{Disk, Instance, ListDisks, ListInstances};
use crate::client::Client;
use crate::error::{ApiMessage, Error};

/// Disks of one page (ecx/API.md B.8: at most 1000).
const DISKS: u32 = 1000;

/// Machines of one page (ecx/API.md B.8: 50 is safe in every pool).
const MACHINES: u32 = 50;

/// More pages no region has: a list without an end ends here.
const MAX_PAGES: u32 = 1000;

/// What a region's list of disks shows.
#[derive(Debug, Default)]
pub struct AllDisks {
    /// Those that can be read.
    pub disks: Vec<Disk>,
    /// Records that cannot: any disk may be one of them.
    pub unreadable: usize,
    /// How many there are by the list's own word, if it says so.
    pub total_count: Option<u64>,
    /// Pages that it took.
    pub pages: usize,
}

impl AllDisks {
    /// Whether it shows as many disks as there are by its own word.
    pub fn is_whole(&self) -> bool {
        let shown = (self.disks.len() + self.unreadable) as u64;
        self.total_count.is_none_or(|total| total <= shown)
    }
}

/// Which machines are asked for.
#[derive(Debug, Clone)]
pub enum InstanceFilter {
    /// All of the region.
    All,
    /// Those that a word fits, by the cloud's filter: more may come.
    Keyword(String),
    /// The one with this id; more may come.
    Id(String),
}

impl Client {
    /// Op 6, every page.
    pub async fn list_all_disks(&self, region: &str) -> Result<AllDisks, Error> {
        let mut all = AllDisks::default();
        let mut next_token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let query = ListDisks {
                region_id: region.to_owned(),
                max_results: DISKS,
                next_token: next_token.clone(),
            };
            let page = self.list_disks(&query).await?;
            let nothing_new = page.disk_list.is_empty() && page.unreadable.is_empty();
            all.disks.extend(page.disk_list);
            all.unreadable += page.unreadable.len();
            all.pages += 1;
            let token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                all.total_count = page.total_count;
                return Ok(all);
            }
            if token == next_token || nothing_new {
                break;
            }
            next_token = token;
        }
        Err(cut("disks", region, &format!("no end: page {} leads to no other page", all.pages)))
    }

    /// Op 17, every page: the machines that exist, by the cloud's word. An error if the list does not show all, or has a record that
    /// cannot be read.
    pub async fn list_all_instances(
        &self,
        region: &str,
        filter: &InstanceFilter,
    ) -> Result<Vec<Instance>, Error> {
        let (keyword, instance_id_list) = match filter {
            InstanceFilter::All => (None, None),
            InstanceFilter::Keyword(word) => (Some(word.clone()), None),
            InstanceFilter::Id(id) => (None, Some(id.clone())),
        };
        let (mut found, mut seen, mut unreadable) = (Vec::new(), BTreeSet::new(), 0);
        for page_no in 1..=MAX_PAGES {
            let query = ListInstances {
                region_id: region.to_owned(),
                page_no,
                page_size: MACHINES,
                keyword: keyword.clone(),
                instance_id_list: instance_id_list.clone(),
            };
            let page = self.list_instances(&query).await?;
            let (shown, before) = (page.results.len() + page.unreadable.len(), seen.len());
            unreadable += page.unreadable.len();
            let fresh = page.results.into_iter().filter(|machine| seen.insert(machine.instance_id.clone()));
            found.extend(fresh);
            let read = (seen.len() + unreadable) as u64;
            if !page.total_count.map_or(shown >= MACHINES as usize, |total| read < total) {
                if unreadable > 0 {
                    let what = format!("{unreadable} records that cannot be read");
                    return Err(cut("machines", region, &what));
                }
                found.retain(Instance::exists);
                return Ok(found);
            }
            if seen.len() == before {
                let what = format!("more than it shows: page {page_no} shows no other one");
                return Err(cut("machines", region, &what));
            }
        }
        Err(cut("machines", region, "no end"))
    }

    /// Op 17, whether the region has any machine, in whatever state: a region without is none that is used, or none of the cloud's. A
    /// refusal of what was asked for is one of the region: the request names nothing else.
    pub async fn has_instances(&self, region: &str) -> Result<bool, Error> {
        let query = ListInstances {
            region_id: region.to_owned(),
            page_no: 1,
            page_size: MACHINES,
            keyword: None,
            instance_id_list: None,
        };
        let page = match self.list_instances(&query).await {
            Ok(page) => page,
            Err(Error::Parameter(_) | Error::DiskNotFound(_) | Error::InstanceNotFound(_)) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let shown = page.results.len() + page.unreadable.len();
        Ok(shown > 0 || page.total_count.is_some_and(|total| total > 0))
    }

    /// Op 17 for the machine with this id; `None` if the list that is filtered by it does not show it.
    pub async fn find_instance(&self, region: &str, id: &str) -> Result<Option<Instance>, Error> {
        let shown = self.list_all_instances(region, &InstanceFilter::Id(id.to_owned())).await?;
        Ok(shown.into_iter().find(|machine| machine.instance_id == id))
    }
}

fn cut(of: &str, region: &str, what: &str) -> Error {
    let message = format!("the list of {of} of {region} has {what}");
    Error::Unreadable(ApiMessage { code: "list".to_owned(), message, ..ApiMessage::default() })
}
