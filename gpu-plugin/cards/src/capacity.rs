//! What the node says about a card: memory times overcommitment, and the label.

use std::fmt;
use std::str::FromStr;

use ideal_gpu::card::Card;

use crate::driver::Found;

/// How many times a card's memory is offered, in hundredths: 1 to 10 times. Above 1 slices spill into the host's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overcommit(u32);

/// A text that is no factor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("memory overcommitment: {0:?} is not allowed; allowed: 1 to 10 with at most two decimals, e.g. 1.5")]
pub struct BadOvercommit(pub String);

impl Overcommit {
    /// Memory as it is.
    pub const NONE: Self = Self(100);

    /// MiB that are offered for `mib` of a card. Rounded down.
    pub fn of(self, mib: u64) -> u64 {
        mib.saturating_mul(u64::from(self.0)) / 100
    }
}

impl FromStr for Overcommit {
    type Err = BadOvercommit;

    fn from_str(text: &str) -> Result<Self, BadOvercommit> {
        let bad = || BadOvercommit(text.to_owned());
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits =
            |text: &str| !text.is_empty() && text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(decimals) {
            return Err(bad());
        }
        let whole: u32 = whole.parse().map_err(|_| bad())?;
        let decimals: u32 = format!("{decimals:0<2}").parse().map_err(|_| bad())?;
        let hundredths = whole * 100 + decimals;
        if !(100..=1000).contains(&hundredths) {
            return Err(bad());
        }
        Ok(Self(hundredths))
    }
}

impl fmt::Display for Overcommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl Found {
    /// The card as the scheduler hears of it.
    pub fn to_card(&self, healthy: bool, overcommit: Overcommit) -> Card {
        Card {
            id: self.id.clone(),
            model: self.model.clone(),
            memory_mib: overcommit.of(self.memory_mib),
            index: self.index,
            numa: self.numa,
            healthy,
            mig: self.mig,
        }
    }
}

/// A model as the value of a node label: blanks as dashes (ECK user guide 4.11), and whatever else Kubernetes does not take.
pub fn label_value(model: &str) -> String {
    /// The most that Kubernetes takes: <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>.
    const LONGEST: usize = 63;
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let text: String = model.trim().chars().map(plain).take(LONGEST).collect();
    text.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overcommitment_is_read_and_multiplied_exactly() {
        for (text, mib, offered) in
            [("1", 81559, 81559), ("1.5", 81559, 122_338), ("10.00", 3, 30), ("1.05", 100, 105)]
        {
            assert_eq!(text.parse::<Overcommit>().unwrap().of(mib), offered, "{text}");
        }
        for bad in ["", "0.99", "10.01", "1.234", "-1", "1,5", "NaN", ".5", "1.", "１"] {
            assert!(bad.parse::<Overcommit>().is_err(), "{bad}");
        }
        assert_eq!("1.5".parse::<Overcommit>().unwrap().to_string(), "1.50");
        assert_eq!(Overcommit::NONE.of(u64::MAX), u64::MAX / 100, "no overflow, however wrong the memory");
    }

    #[test]
    fn a_model_is_a_label_that_kubernetes_takes() {
        for (model, label) in [
            ("NVIDIA GeForce RTX 3060", "NVIDIA-GeForce-RTX-3060"),
            ("Quadro RTX 6000/8000 (Q)", "Quadro-RTX-6000-8000--Q"),
            ("  ", ""),
        ] {
            assert_eq!(label_value(model), label);
        }
        assert_eq!(label_value(&"é a".repeat(60)).len(), 61, "cut, and ends in a letter");
    }
}
