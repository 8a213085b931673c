//! The decision that travels in a pod's annotation: what a user could forge there is no decision.
//!
//! An input is lines: the pod's containers as [`asks`] reads them, then the annotation.

use ideal_gpu::ask::{Amounts, ContainerAsk, Phase, PodAsk, Share};
use ideal_gpu::card::CardId;
use ideal_gpu::decision::Decision;
use ideal_gpu::plan::Plan;

/// The pod that the annotation is on.
const UID: &str = "u1";

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (lines, annotation) = text.split_once("\n\n").unwrap_or((text, ""));
    let ask = PodAsk { containers: lines.lines().filter_map(container).collect() };
    if let Ok(decision) = Decision::parse(annotation, UID) {
        assert_eq!(
            Decision::parse(&decision.to_text(), UID).ok().as_ref(),
            Some(&decision),
            "written and read"
        );
        assert!(Decision::parse(annotation, "u2").is_err(), "a decision copied to another pod is none");
        // Whatever it says, what it does not say is not granted, and nothing panics.
        for name in decision.containers() {
            granted(&decision, name);
        }
    }
    let Ok(decision) = Decision::about(annotation, UID, &ask) else { return };
    assert_eq!(decision.charge().len(), Plan::of(&ask).needs.len());
    for container in &ask.containers {
        let Some((cards, share, from)) = decision.part(&container.name) else {
            panic!("{} asks for cards and has no part", container.name);
        };
        assert!(from.len() >= cards, "{cards} out of {}", from.len());
        // Of several containers of one name, which the API server never lets in, one has the part.
        let same = |other: &&ContainerAsk| other.name == container.name;
        let asked =
            ask.containers.iter().filter(same).any(|it| it.cards as usize == cards && it.share == share);
        assert!(asked, "{} gets what it asks for", container.name);
    }
}

/// What a container is granted: as many different cards of its own as were decided.
fn granted(decision: &Decision, name: &str) {
    let Some((cards, share, from)) = decision.part(name) else { return };
    let from: Vec<CardId> = from.into_iter().cloned().collect();
    let first = &from[..cards.min(from.len())];
    if let Ok(granted) = decision.grant(name, first) {
        assert!(granted == share && first.len() == cards);
        let twice = first.iter().enumerate().any(|(at, card)| first[..at].contains(card));
        assert!(!twice, "one card twice: {first:?}");
    }
    let Ok(other) = CardId::parse("GPU-other") else { return };
    if !from.contains(&other) {
        let foreign: Vec<CardId> = (0..cards.min(from.len())).map(|_| other.clone()).collect();
        assert!(cards == 0 || decision.grant(name, &foreign).is_err(), "a card that was not decided");
    }
}

/// A line `name phase gpu core memory whole`, `-` for a resource that is not named.
pub(crate) fn container(line: &str) -> Option<ContainerAsk> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let phase = match words.next()? {
        "i" => Phase::Init,
        "s" => Phase::Sidecar,
        _ => Phase::App,
    };
    let mut amount = || words.next().and_then(|word| word.parse().ok());
    let amounts = Amounts { gpu: amount(), core: amount(), memory: amount(), whole: amount() };
    let ask = match amounts.parse(name, phase) {
        Ok(ask) => ask?,
        Err(bad) => {
            assert!(bad.container == name && !bad.resource.is_empty() && !bad.allowed.is_empty(), "{bad}");
            return None;
        }
    };
    assert!((1..=16).contains(&ask.cards), "{ask:?}");
    if let Share::Slice { core, memory_mib } = ask.share {
        assert!((1..=100).contains(&core) && memory_mib > 0, "{ask:?}");
    }
    Some(ask)
}
