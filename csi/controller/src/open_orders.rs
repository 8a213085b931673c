//! Regions in which a volume may have been ordered although nobody knows it: a reply was lost, or the order was never seen to end.

use std::collections::{BTreeSet, HashMap};

use eck_csi::volume::Region;
use parking_lot::Mutex;

/// By the volume's name. A new controller knows of none: what it asks again is asked for the same region, as long as the outcome is
/// open (the provisioner chooses another only after RESOURCE_EXHAUSTED).
#[derive(Default)]
pub(crate) struct OpenOrders(Mutex<HashMap<String, BTreeSet<Region>>>);

impl OpenOrders {
    /// Where the volume may be on order.
    pub(crate) fn of(&self, name: &str) -> BTreeSet<Region> {
        self.0.lock().get(name).cloned().unwrap_or_default()
    }

    /// An order is sent; true if one was open there before.
    pub(crate) fn sent(&self, name: &str, region: &Region) -> bool {
        !self.0.lock().entry(name.to_owned()).or_default().insert(region.clone())
    }

    /// The only order that was sent there was refused.
    pub(crate) fn refused(&self, name: &str, region: &Region) {
        let mut orders = self.0.lock();
        if let Some(regions) = orders.get_mut(name) {
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
}
