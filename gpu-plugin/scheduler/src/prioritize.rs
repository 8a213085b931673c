//! Prioritize: how well each node suits, 0 to 10, which is all that an extender may say.
//!
//! Eleven steps are few for a node of eight cards, where a slice more or less is a hundredth. So the steps are spread over the
//! scores that the candidates really have: the best gets 10, the worst 0, alike ones the same.

use ideal_gpu::place::{Policy, score};

use crate::cluster::Cluster;
use crate::pod::Request;

/// The highest score (`MaxExtenderPriority`).
const BEST: f64 = 10.0;

/// What is smaller is no difference: a millionth of a card.
const SAME: f64 = 1e-6;

/// Policies of the program's flags, for pods that name none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Over nodes.
    pub node: Policy,
    /// Over the cards of a node.
    pub card: Policy,
}

/// Every node's score, in the order of `names`.
pub(crate) fn prioritize<'n>(
    cluster: &Cluster,
    request: &Request,
    defaults: Defaults,
    names: impl Iterator<Item = &'n str>,
) -> Vec<(&'n str, i64)> {
    let policy = request.policies.node.unwrap_or(defaults.node);
    let card = request.policies.card.unwrap_or(defaults.card);
    let scores: Vec<(&str, Option<f64>)> = cluster.with_nodes(names, |name, node| {
        (name, node.and_then(|node| score(node, &request.plan, card, policy).ok()))
    });
    spread(&scores)
}

fn spread<'n>(scores: &[(&'n str, Option<f64>)]) -> Vec<(&'n str, i64)> {
    let known = || scores.iter().filter_map(|(_, score)| *score);
    let (low, high) =
        known().fold((f64::MAX, f64::MIN), |(low, high), score| (low.min(score), high.max(score)));
    let step = |score: f64| match high - low > SAME {
        true => (score - low) / (high - low) * BEST,
        false => score * BEST,
    };
    // 0 to 10: there is nothing to lose in the cast.
    let whole = |score: f64| step(score).clamp(0.0, BEST).round() as i64;
    scores.iter().map(|(name, score)| (*name, score.map_or(0, whole))).collect()
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn small_differences_are_seen_and_none_are_not_invented() {
        let nodes = [("full", Some(0.02)), ("mid", Some(0.015)), ("empty", Some(0.01)), ("none", None)];
        assert_eq!(spread(&nodes), [("full", 10), ("mid", 5), ("empty", 0), ("none", 0)]);
        assert_eq!(spread(&[("a", Some(0.5)), ("b", Some(0.5))]), [("a", 5), ("b", 5)]);
        assert_eq!(spread(&[]), []);
    }
}
