//! What is said of an assumption.

use ecx::Error;
use serde::Serialize;

/// What became of an assumption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Seen, and as it was assumed.
    Fits,
    /// Seen, and otherwise.
    Differs,
    /// Not seen.
    Unknown,
}

impl Verdict {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fits => "fits",
            Self::Differs => "differs",
            Self::Unknown => "unknown",
        }
    }
}

/// One assumption of the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What became of it.
    pub verdict: Verdict,
    /// The assumption.
    pub assumption: &'static str,
    /// What was seen, or why nothing was.
    pub seen: String,
}

/// The longest text of the cloud's that is repeated, in characters.
const LONGEST: usize = 160;

impl Line {
    pub(super) fn fits(assumption: &'static str, seen: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fits, assumption, seen: seen.into() }
    }

    pub(super) fn differs(assumption: &'static str, seen: impl Into<String>) -> Self {
        Self { verdict: Verdict::Differs, assumption, seen: seen.into() }
    }

    pub(super) fn unknown(assumption: &'static str, why: impl Into<String>) -> Self {
        Self { verdict: Verdict::Unknown, assumption, seen: why.into() }
    }

    /// Fits if `fits`, and differs if not.
    pub(super) fn of(assumption: &'static str, fits: bool, seen: impl Into<String>) -> Self {
        if fits { Self::fits(assumption, seen) } else { Self::differs(assumption, seen) }
    }

    /// Of a question that was not answered as it should be. What may be otherwise the next time tells nothing of the cloud.
    pub(super) fn unanswered(assumption: &'static str, error: &Error) -> Self {
        let passing = matches!(
            error,
            Error::NoReply(_)
                | Error::Server(_)
                | Error::Throttled { .. }
                | Error::Auth(_)
                | Error::Denied(_)
                | Error::InProgress(_)
        );
        let verdict = if passing { Verdict::Unknown } else { Verdict::Differs };
        Self { verdict, assumption, seen: brief(&error.to_string()) }
    }
}

/// A text of the cloud's on one line, cut where it is long.
pub(super) fn brief(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut cut: String = line.chars().take(LONGEST).collect();
    if cut.len() < line.len() {
        cut.push('…');
    }
    cut
}

/// One line for each assumption, of what all regions say of it: one that differs is enough, and one that fits where the others say
/// nothing.
pub(super) fn merged(regions: &[(String, Vec<Line>)]) -> Vec<Line> {
    let mut all: Vec<Line> = Vec::new();
    for (region, line) in
        regions.iter().flat_map(|(region, lines)| lines.iter().map(move |line| (region, line)))
    {
        let seen = format!("{region}: {}", line.seen);
        let line = Line { seen, ..line.clone() };
        let Some(known) = all.iter_mut().find(|known| known.assumption == line.assumption) else {
            all.push(line);
            continue;
        };
        let rank = |verdict| match verdict {
            Verdict::Differs => 2,
            Verdict::Fits => 1,
            Verdict::Unknown => 0,
        };
        if rank(line.verdict) > rank(known.verdict) {
            *known = line;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_region_that_differs_outweighs_all_that_fit() {
        let lines = [
            ("a-1".to_owned(), vec![Line::unknown("x", "no disk"), Line::unknown("y", "no disk")]),
            ("b-1".to_owned(), vec![Line::fits("x", "20"), Line::fits("y", "1")]),
            ("c-1".to_owned(), vec![Line::differs("x", "null"), Line::unknown("y", "no disk")]),
        ];
        let merged = merged(&lines);
        assert_eq!(merged, [Line::differs("x", "c-1: null"), Line::fits("y", "b-1: 1")]);
    }

    #[test]
    fn a_text_of_the_clouds_is_one_line() {
        assert_eq!(brief("<html>\n  <body>"), "<html> <body>");
        assert_eq!(brief(&"ä".repeat(200)).chars().count(), LONGEST + 1);
    }
}
