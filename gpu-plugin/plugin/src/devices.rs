//! The list of a resource's devices, as the kubelet hears it; and whether ids that it names are of that list.

use ideal_gpu::card::Card;
use proto::deviceplugin::v1beta1 as pb;

use crate::context::PluginContext;
use crate::error::DeviceIdError;
use crate::resource::Resource;

/// Every device of every card: ill ones too, so that the kubelet knows them when they hold a container.
pub(crate) fn list(resource: Resource, cards: &[Card]) -> Vec<pb::Device> {
    cards.iter().flat_map(|card| resource.ids(&card.id).into_iter().map(|id| device(id, card))).collect()
}

fn device(id: String, card: &Card) -> pb::Device {
    let node = |numa: u32| pb::TopologyInfo { nodes: vec![pb::NumaNode { id: i64::from(numa) }] };
    let health = if card.usable() { "Healthy" } else { "Unhealthy" };
    pb::Device { id, health: health.to_owned(), topology: card.numa.map(node) }
}

/// Ids of a request, all of them of cards that are known.
pub(crate) fn known<'a>(
    context: &PluginContext,
    resource: Resource,
    ids: impl IntoIterator<Item = &'a String>,
) -> Result<(), DeviceIdError> {
    let snapshot = context.gpu_watch.snapshot.borrow();
    let known = |id: &String| resource.card(id).is_some_and(|card| snapshot.minors.contains_key(&card));
    match ids.into_iter().find(|id| !known(id)) {
        Some(id) => Err(DeviceIdError::Unknown { resource: resource.name(), id: id.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ideal_gpu::card::CardId;

    use super::*;

    #[test]
    fn a_card_is_five_slots_or_one_whole_and_ill_when_it_is_ill_or_cut_by_mig() {
        let card = |n: u32| Card {
            id: CardId::parse(&format!("GPU-{n}")).unwrap(),
            model: "T4".into(),
            memory_mib: 15_360,
            index: n,
            numa: (n == 0).then_some(1),
            healthy: n != 1,
            mig: n == 2,
        };
        let cards = [card(0), card(1), card(2)];
        let slots = list(Resource::Slices, &cards);
        assert_eq!(slots.len(), 15);
        assert_eq!(slots[4].id, "4-GPU-0");
        assert_eq!(slots[0].topology.as_ref().unwrap().nodes[0].id, 1);
        assert!(slots[5].topology.is_none());
        let whole: Vec<_> = list(Resource::Whole, &cards).into_iter().map(|d| (d.id, d.health)).collect();
        let wanted = [("GPU-0", "Healthy"), ("GPU-1", "Unhealthy"), ("GPU-2", "Unhealthy")];
        assert_eq!(whole, wanted.map(|(id, health)| (id.to_owned(), health.to_owned())));
    }
}
