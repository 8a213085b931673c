//! Regions in which a volume may have been ordered although nobody knows it: a reply was lost, or the order was never seen to end. And the
//! orders that the cloud took: accepted is not begun, so a retry waits for them and sends none anew. A cloud that does not know its own
//! client tokens would sell a second disk.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use eck_csi::recent::{ORDERS, Recent};
use eck_csi::volume::Region;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::accepted::handle::Handle;

/// So long an order that the cloud took is waited for, if it is neither seen to end nor tells of its end. After that it is sent again with
/// the same token: a cloud that has lost an order must not keep a claim waiting for ever.
const HELD: Duration = Duration::from_secs(3600);

/// An order that the cloud took.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) region: Region,
    pub(crate) handle: Handle,
    /// The disk, where the answer names it.
    pub(crate) disk: Option<String>,
    /// Of its token.
    pub(crate) number: u32,
    /// When.
    pub(crate) at: Instant,
}

/// By the volume's name. A new controller knows of none: what it asks again is asked for the same region, as long as the outcome is
/// open (the provisioner chooses another only after RESOURCE_EXHAUSTED). So of a claim that nobody asks for any more it is forgotten.
#[derive(Default)]
pub(crate) struct OpenOrders(Mutex<Recent<String, BTreeMap<Region, Option<Placed>>, ORDERS>>);

impl OpenOrders {
    /// Where the volume may be on order.
    pub(crate) fn of(&self, name: &str) -> BTreeSet<Region> {
        self.0.lock().get(name).map(|orders| orders.keys().cloned().collect()).unwrap_or_default()
    }

    /// The order that is to be waited for.
    pub(crate) fn placed(&self, name: &str) -> Option<Placed> {
        let mut orders = self.0.lock();
        let placed = orders.get(name)?.values().flatten().find(|order| order.at.elapsed() < HELD);
        placed.cloned()
    }

    /// An order is sent; true if one was open there before.
    pub(crate) fn sent(&self, name: &str, region: &Region) -> bool {
        self.0.lock().entry(name.to_owned(), BTreeMap::default).insert(region.clone(), None).is_some()
    }

    /// The cloud took it.
    pub(crate) fn took(&self, name: &str, order: Placed) {
        let mut orders = self.0.lock();
        orders.entry(name.to_owned(), BTreeMap::default).insert(order.region.clone(), Some(order));
    }

    /// The only order that was sent there was refused, or has failed.
    pub(crate) fn refused(&self, name: &str, region: &Region) {
        let mut orders = self.0.lock();
        if let Some(regions) = orders.get(name) {
            regions.remove(region);
            if regions.is_empty() {
                orders.remove(name);
            }
        }
    }

    /// The volume is there, or it is known that no order is open.
    pub(crate) fn closed(&self, name: &str) {
        self.0.lock().remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_open_until_it_was_refused_or_the_volume_is_there() {
        let (orders, region) = (OpenOrders::default(), |code| Region::parse("region", code).unwrap());
        assert!(!orders.sent("pvc-1", &region("a-1")));
        assert!(orders.sent("pvc-1", &region("a-1")), "the second order there");
        orders.sent("pvc-1", &region("b-1"));
        orders.refused("pvc-1", &region("b-1"));
        assert_eq!(orders.of("pvc-1"), BTreeSet::from([region("a-1")]));
        orders.closed("pvc-1");
        assert!(orders.of("pvc-1").is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_that_the_cloud_took_is_waited_for_until_it_failed_or_an_hour_has_gone() {
        let (orders, region) = (OpenOrders::default(), Region::parse("region", "a-1").unwrap());
        let order = || Placed {
            region: region.clone(),
            handle: Handle::Order("o-1".to_owned()),
            disk: None,
            number: 1,
            at: Instant::now(),
        };
        orders.sent("pvc-1", &region);
        assert!(orders.placed("pvc-1").is_none(), "sent is not taken");
        orders.took("pvc-1", order());
        assert_eq!(orders.placed("pvc-1").map(|order| order.number), Some(1));
        tokio::time::advance(HELD).await;
        assert!(orders.placed("pvc-1").is_none(), "for ever");
        assert!(orders.sent("pvc-1", &region), "it may still be there");
        orders.took("pvc-1", order());
        orders.refused("pvc-1", &region);
        assert!(orders.placed("pvc-1").is_none() && orders.of("pvc-1").is_empty());
    }
}
