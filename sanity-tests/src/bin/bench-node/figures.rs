//! Samples and what is said of them; goals and whether they are met.

use std::fmt;
use std::time::Duration;

/// Bytes.
pub(crate) const MIB: f64 = 1_048_576.0;

/// Samples, all in one unit.
#[derive(Debug, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    pub(crate) fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    pub(crate) fn push_ms(&mut self, time: Duration) {
        self.push(ms(time));
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest sample that `share` (0 to 1) of all do not exceed; of none, 0.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Counts what was wanted and what was not reached.
#[derive(Debug, Default)]
pub(crate) struct Goals {
    met: usize,
    missed: Vec<String>,
}

impl Goals {
    /// Notes a goal; gives the words that stand beside its result.
    pub(crate) fn note(&mut self, what: &str, goal: &str, holds: bool) -> String {
        if holds {
            self.met += 1;
            return format!("goal {goal}: met");
        }
        self.missed.push(what.to_owned());
        format!("goal {goal}: MISSED")
    }
}

impl fmt::Display for Goals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.missed.iter().try_for_each(|what| writeln!(f, "missed: {what}"))?;
        write!(f, "{} goals met, {} missed", self.met, self.missed.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let series = Series((1..=20).rev().map(f64::from).collect());
        assert_eq!((series.median(), series.quantile(0.95), series.quantile(1.0)), (10.0, 19.0, 20.0));
        assert_eq!(Series::default().median(), 0.0);
        assert_eq!(Series(vec![7.0]).quantile(0.95), 7.0);
    }
}
