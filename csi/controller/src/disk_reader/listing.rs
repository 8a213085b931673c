//! A region's list of disks, and what it proves. A list is a hint: it may be cut, lag behind, or leave a disk out. What it does not
//! show is asked for by itself.

use ecx::api::{Disk, Group};
use ecx::error::ApiMessage;
use ecx::lists::AllDisks;
use ecx::{Client, Error};

use super::question::Query;

/// What a region's list shows.
pub(super) struct Listing {
    pub(super) disks: Vec<Disk>,
    /// Records that cannot be read: any disk may be one of them.
    unreadable: usize,
    /// Pages that it took.
    pub(super) pages: usize,
    /// It shows as many disks as there are by its own word.
    whole: bool,
    /// What it does not show is gone: the profile says so of this cloud.
    proof: bool,
    /// Where it is from.
    region: String,
    /// It shows nothing at all, for this reason.
    useless: Option<Error>,
}

impl Listing {
    /// In place of one that the cloud could not give.
    pub(super) fn useless(error: Error) -> Self {
        let region = String::new();
        Self {
            disks: vec![],
            unreadable: 0,
            pages: 0,
            whole: false,
            proof: false,
            region,
            useless: Some(error),
        }
    }

    /// Every page of the region's list.
    pub(super) async fn read(client: &Client, region: &str) -> Result<Self, Error> {
        let all = client.list_all_disks(region).await?;
        let (whole, proof) = (all.is_whole(), client.profile().lists_are_proof);
        let AllDisks { disks, unreadable, pages, .. } = all;
        Ok(Self { disks, unreadable, pages, whole, proof, region: region.to_owned(), useless: None })
    }

    /// All of the region's disks; an error if the list does not show all.
    pub(super) fn all(&self) -> Result<Vec<Disk>, Error> {
        if let Some(error) = &self.useless {
            return Err(error.clone());
        }
        if self.whole {
            return Ok(self.disks.clone());
        }
        let (region, shown) = (&self.region, self.disks.len());
        Err(unreadable(format!("the list of disks of {region} shows {shown} and says that there are more")))
    }

    /// The answer to a question, if the list can give it.
    pub(super) fn answer(&self, query: &Query) -> Option<Result<Vec<Disk>, Error>> {
        let found: Vec<Disk> = match query {
            Query::All => return Some(self.all()),
            Query::Hint(id) | Query::Id(id) | Query::Proven(id) => self.fitting(|disk| disk.disk_id == *id),
            Query::Name(name) | Query::Shown(name) => self.fitting(|disk| disk.disk_name == *name),
        };
        let proves = self.proof && self.whole && self.unreadable == 0;
        let enough = proves
            || match query {
                Query::Hint(_) | Query::Shown(_) | Query::All => self.useless.is_none(),
                Query::Id(_) | Query::Name(_) => !found.is_empty(),
                // That something goes on is no end of anything.
                Query::Proven(_) => found.iter().any(|disk| disk.disk_status.group() == Group::Busy),
            };
        enough.then_some(Ok(found))
    }

    fn fitting(&self, fits: impl Fn(&Disk) -> bool) -> Vec<Disk> {
        self.disks.iter().filter(|disk| fits(disk)).cloned().collect()
    }
}

fn unreadable(message: String) -> Error {
    Error::Unreadable(ApiMessage { code: "list".to_owned(), message, ..ApiMessage::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ecx::api::DiskState;

    fn listing(states: &[DiskState]) -> Listing {
        let disk = |(n, state): (usize, &DiskState)| Disk {
            disk_id: format!("cd-{n}"),
            disk_name: format!("pvc-{n}"),
            disk_status: state.clone(),
            ..Disk::default()
        };
        let disks = states.iter().enumerate().map(disk).collect();
        let region = "a-1".to_owned();
        Listing { disks, unreadable: 0, pages: 1, whole: true, proof: false, region, useless: None }
    }

    fn told(listing: &Listing, query: Query) -> Option<usize> {
        listing.answer(&query).map(|answer| answer.unwrap().len())
    }

    #[test]
    fn a_disk_that_a_list_does_not_show_is_asked_for_by_itself() {
        let listing = listing(&[DiskState::Available]);
        assert_eq!(told(&listing, Query::Id("cd-0".into())), Some(1));
        assert_eq!(told(&listing, Query::Id("cd-1".into())), None);
        assert_eq!(told(&listing, Query::Name("pvc-1".into())), None);
        assert_eq!(told(&listing, Query::Hint("cd-1".into())), Some(0));
    }

    #[test]
    fn that_a_disk_is_at_rest_is_never_said_by_a_list() {
        let listing = listing(&[DiskState::Available, DiskState::Detaching, DiskState::InUse]);
        let proven = |n: usize| told(&listing, Query::Proven(format!("cd-{n}")));
        assert_eq!([proven(0), proven(1), proven(2), proven(3)], [None, Some(1), None, None]);
    }

    #[test]
    fn a_list_that_the_profile_calls_a_proof_is_one_if_it_is_whole_and_readable() {
        let proof = Listing { proof: true, ..listing(&[DiskState::Available]) };
        assert_eq!(told(&proof, Query::Proven("cd-0".into())), Some(1));
        assert_eq!(told(&proof, Query::Id("cd-1".into())), Some(0));
        let cut = Listing { whole: false, ..proof };
        assert_eq!(told(&cut, Query::Id("cd-1".into())), None);
        assert!(cut.answer(&Query::All).unwrap().is_err());
        let odd = Listing { whole: true, unreadable: 1, ..cut };
        assert_eq!(told(&odd, Query::Id("cd-1".into())), None);
    }

    #[test]
    fn without_a_list_each_disk_is_asked_for_by_itself() {
        let useless = Listing::useless(unreadable("no list".to_owned()));
        for query in [Query::Hint("cd-0".into()), Query::Id("cd-0".into()), Query::Name("pvc-0".into())] {
            assert_eq!(told(&useless, query), None);
        }
        assert!(useless.answer(&Query::All).unwrap().is_err());
    }
}
