//! The profile of a cloud that was looked at.

use std::collections::BTreeSet;

use ecx::Profile;

use super::agree::{HELD, SAME};
use super::disk_list::{END, KEY, TOTAL};
use super::line::{Line, Verdict};
use super::machine::TWINS;
use super::offer::TYPES;

/// What else was seen of a cloud.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The types of disks.
    pub(super) types: BTreeSet<String>,
    /// The VPCs of the machines.
    pub(super) vpcs: BTreeSet<String>,
}

/// The profile as TOML: the settings that are not the default's, and as comments those that a person must choose or prove.
pub(super) fn fitting(profile: &Profile, lines: &[Line], all_answer: bool, names: &Names) -> String {
    let mut text = "# The ECX profile (--ecx-profile): what is not the default\n".to_owned();
    text.push_str(&changed(profile));
    let verdict =
        |assumption| lines.iter().find(|line| line.assumption == assumption).map(|line| line.verdict);
    let differs = |assumption| verdict(assumption) == Some(Verdict::Differs);
    let whole = [KEY, END, TOTAL, SAME, HELD].iter().all(|one| verdict(*one) == Some(Verdict::Fits));
    if whole && all_answer && !profile.lists_are_proof {
        text.push_str("# The lists are whole here and tell what op 4 tells. Whether they are as new was not seen: if ECX says so,\n");
        text.push_str("# lists_are_proof = true\n");
    }
    if profile.lists_are_proof && !whole {
        text.push_str("# lists_are_proof = true is not borne out: see above\n");
    }
    for (assumption, key, choice) in [(TYPES, "default_disk_type", &names.types), (TWINS, "vpc", &names.vpcs)]
    {
        if differs(assumption) && !choice.is_empty() {
            let choice: Vec<String> = choice.iter().map(|one| format!("{one:?}")).collect();
            text.push_str(&format!("# choose: {key} = {}\n", choice.join(" or ")));
        }
    }
    text
}

/// The settings that are not the default's.
fn changed(profile: &Profile) -> String {
    let table = |profile: &Profile| toml::Table::try_from(profile).unwrap_or_default();
    let default = table(&Profile::default());
    let mut own = table(profile);
    own.retain(|key, value| default.get(key) != Some(value));
    own.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Vec<Line> {
        [KEY, END, TOTAL, SAME, HELD].map(|assumption| Line::fits(assumption, "")).into()
    }

    fn text(lines: &[Line]) -> String {
        let names = Names { types: ["SSD".into()].into(), vpcs: ["a".into(), "b".into()].into() };
        fitting(&Profile::default(), lines, true, &names)
    }

    #[test]
    fn what_is_written_is_the_profile_again() {
        let mut profile = Profile { region_key: "nodeCode".into(), ..Profile::default() };
        profile.paths.insert(ecx::api::Op::GetDisk, "/v1/disk".into());
        let text = fitting(&profile, &whole(), true, &Names::default());
        assert_eq!(toml::from_str::<Profile>(&text), Ok(profile));
        assert_eq!(changed(&Profile::default()), "");
    }

    #[test]
    fn lists_are_offered_as_proof_only_if_nothing_is_missing() {
        assert!(text(&whole()).contains("# lists_are_proof = true"));
        for at in 0..whole().len() {
            let mut lines = whole();
            lines[at].verdict = Verdict::Unknown;
            assert!(!text(&lines).contains("lists_are_proof"), "{}", lines[at].assumption);
        }
        let lines = fitting(&Profile::default(), &whole(), false, &Names::default());
        assert!(!lines.contains("lists_are_proof"));
    }

    #[test]
    fn what_must_be_chosen_is_named_with_its_values() {
        let lines = [Line::differs(TYPES, ""), Line::differs(TWINS, "")];
        assert!(
            text(&lines).contains("# choose: default_disk_type = \"SSD\"\n# choose: vpc = \"a\" or \"b\"\n")
        );
        assert!(!text(&whole()).contains("choose"));
    }
}
