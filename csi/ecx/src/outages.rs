//! Regions that do not work now: they hang, fail or let nobody in, whatever is asked. Their requests have low priority, so that what is asked
//! of them again and again costs the others nothing.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::error::Error;
use crate::throttle::Priority;

/// So many requests in a row must fail: one is lost now and then everywhere.
const IN_A_ROW: u32 = 2;

/// Requests in a row that have failed, by region; of those alone where the last one has.
#[derive(Default)]
pub(crate) struct Outages(Mutex<HashMap<String, u32>>);

impl Outages {
    /// The priority of a request to the region.
    pub(crate) fn priority(&self, region: &str) -> Priority {
        match self.0.lock().get(region) {
            Some(failed) if *failed >= IN_A_ROW => Priority::Low,
            Some(_) | None => Priority::Normal,
        }
    }

    /// A request to the region has ended.
    pub(crate) fn ended<T>(&self, region: &str, result: &Result<T, Error>) {
        let mut failed = self.0.lock();
        match result.as_ref().err().is_some_and(is_outage) {
            true => {
                let count = failed.entry(region.to_owned()).or_insert(0);
                *count = count.saturating_add(1);
            }
            false => {
                failed.remove(region);
            }
        }
    }
}

/// Whether the region as a whole does not work.
fn is_outage(error: &Error) -> bool {
    // These are of the account.
    let of_the_account = matches!(error, Error::Throttled { .. } | Error::Auth(_));
    !error.is_answer() && !of_the_account
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ApiMessage;

    #[test]
    fn a_region_that_fails_twice_in_a_row_has_low_priority_until_it_answers() {
        let outages = Outages::default();
        let (lost, answer) = (|| Err::<(), _>(Error::NoReply(ApiMessage::default())), Ok::<(), Error>(()));
        outages.ended("a-1", &lost());
        assert_eq!(outages.priority("a-1"), Priority::Normal);
        outages.ended("a-1", &lost());
        assert_eq!((outages.priority("a-1"), outages.priority("b-1")), (Priority::Low, Priority::Normal));
        // Whatever it answers, it works.
        outages.ended("a-1", &answer);
        assert_eq!(outages.priority("a-1"), Priority::Normal);
        outages.ended("a-1", &lost());
        outages.ended("a-1", &Err::<(), _>(Error::DiskNotFound(ApiMessage::default())));
        outages.ended("a-1", &lost());
        assert_eq!(outages.priority("a-1"), Priority::Normal);
    }
}
