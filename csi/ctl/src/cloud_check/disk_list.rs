//! The list of disks: its key, its pages, its total.

use ecx::Error;
use serde_json::Value;

use super::line::{Line, brief};
use super::page::{End, Page, Walk};

pub(super) const KEY: &str = "disks are listed under `diskList` (op 6)";
const MOST: &str = "a page holds no more than `maxResults`, and tells how to go on (op 6)";
pub(super) const END: &str = "the pages of disks come to an end (op 6)";
pub(super) const TOTAL: &str = "`totalCount` is as many disks as the list shows (op 6)";

/// Disks of the page that is asked to be small.
pub(super) const FEW: u32 = 2;

/// What the list is like, read to its end and once more in a small page.
pub(super) fn judge(walk: &Walk, few: &Result<Page, Error>) -> Vec<Line> {
    vec![key(walk), most(walk, few), end(walk), total(walk)]
}

/// What is said where the list cannot be read at all.
pub(super) fn unread(error: &Error) -> Vec<Line> {
    let later = [MOST, END, TOTAL].map(|assumption| Line::unknown(assumption, "the list cannot be read"));
    [vec![Line::unanswered(KEY, error)], later.into()].concat()
}

/// Whether every page has its list.
pub(super) fn has_its_key(walk: &Walk) -> bool {
    walk.pages.iter().all(|page| match &page.list {
        Some(Value::Array(_)) => true,
        Some(Value::Null) => page.total == Some(0),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) | None => false,
    })
}

fn key(walk: &Walk) -> Line {
    let odd = walk.pages.iter().find(|page| !matches!(page.list, Some(Value::Array(_))));
    let seen = match odd.map(|page| (&page.list, &page.keys, page.total)) {
        None => format!("{} disks", walk.records().len()),
        Some((Some(list), _, total)) => {
            let total = total.map_or("no totalCount".to_owned(), |total| format!("a totalCount of {total}"));
            format!("`diskList` is {}, with {total}", brief(&list.to_string()))
        }
        Some((None, keys, _)) => format!("no such key in the reply; there is: {}", brief(keys)),
    };
    Line::of(KEY, has_its_key(walk), seen)
}

fn most(walk: &Walk, few: &Result<Page, Error>) -> Line {
    let (all, asked) = (walk.records().len(), FEW as usize);
    let page = match few {
        Ok(page) => page,
        Err(error) => return Line::unanswered(MOST, error),
    };
    let shown = page.records.len();
    if shown > asked {
        return Line::differs(MOST, format!("{shown} disks where {asked} were asked for"));
    }
    if all <= asked {
        return Line::unknown(MOST, format!("{all} disks in the region; more than {asked} are needed"));
    }
    let first = walk.pages.first().map_or(0, |page| page.records.len());
    if walk.pages.len() > 1 && walk.end == End::Last && first < super::ask::MOST as usize {
        return Line::differs(MOST, format!("pages of {first} where {} were asked for", super::ask::MOST));
    }
    let token = if page.token.is_some() { "with" } else { "without" };
    Line::of(MOST, shown == asked && page.token.is_some(), format!("{shown} of {all}, {token} nextToken"))
}

fn end(walk: &Walk) -> Line {
    let pages = walk.pages.len();
    match &walk.end {
        End::Last if !has_its_key(walk) => Line::unknown(END, "no list of disks is seen"),
        End::Last => Line::fits(END, format!("{pages} pages")),
        End::Repeats(token) => {
            Line::differs(END, format!("nextToken {:?} comes again and again", brief(token)))
        }
        End::Endless => Line::differs(END, format!("no end after {pages} pages")),
        End::Failed(error) => Line::unanswered(END, error),
    }
}

fn total(walk: &Walk) -> Line {
    let shown = walk.records().len();
    if !has_its_key(walk) || walk.end != End::Last {
        return Line::unknown(TOTAL, "the list is not whole");
    }
    match walk.total() {
        None => Line::differs(TOTAL, format!("no totalCount; {shown} disks are shown")),
        Some(total) => {
            let fits = usize::try_from(total) == Ok(shown);
            Line::of(TOTAL, fits, format!("totalCount {total}, {shown} shown"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_check::line::Verdict::{self, *};
    use serde_json::json;

    fn walk(payload: Value) -> Walk {
        Walk { pages: vec![Page::of(&payload, "diskList")], end: End::Last }
    }

    fn verdicts(walk: &Walk, few: Value) -> Vec<Verdict> {
        judge(walk, &Ok(Page::of(&few, "diskList"))).iter().map(|line| line.verdict).collect()
    }

    #[test]
    fn a_whole_list_fits_throughout() {
        let all = walk(json!({"diskList": [{}, {}, {}], "totalCount": 3}));
        let few = json!({"diskList": [{}, {}], "totalCount": 3, "nextToken": "2"});
        assert_eq!(verdicts(&all, few), [Fits; 4]);
    }

    #[test]
    fn of_a_region_without_disks_the_pages_are_not_known() {
        for none in [json!({"diskList": [], "totalCount": 0}), json!({"diskList": null, "totalCount": 0})] {
            assert_eq!(verdicts(&walk(none.clone()), none), [Fits, Unknown, Fits, Fits]);
        }
    }

    #[test]
    fn a_reply_without_its_list_is_told_by_the_keys_that_it_has() {
        let other = walk(json!({"disks": [{}], "totalCount": 1}));
        assert_eq!(key(&other).seen, "no such key in the reply; there is: disks, totalCount");
        assert_eq!(verdicts(&other, json!({})), [Differs, Unknown, Unknown, Unknown]);
        assert_eq!(key(&walk(json!([]))).verdict, Differs);
        assert_eq!(key(&walk(json!({"diskList": null, "totalCount": 3}))).verdict, Differs);
    }

    #[test]
    fn a_total_that_is_not_what_is_shown_differs() {
        let all = |total: Value| walk(json!({"diskList": [{}, {}, {}], "totalCount": total}));
        assert_eq!(total(&all(json!(4))).seen, "totalCount 4, 3 shown");
        assert_eq!(total(&all(json!(4))).verdict, Differs);
        assert_eq!(total(&all(Value::Null)).verdict, Differs);
    }

    #[test]
    fn a_page_larger_than_asked_for_differs() {
        let all = walk(json!({"diskList": [{}, {}, {}], "totalCount": 3}));
        assert_eq!(verdicts(&all, json!({"diskList": [{}, {}, {}]}))[1], Differs);
        assert_eq!(verdicts(&all, json!({"diskList": [{}, {}]}))[1], Differs);
    }

    #[test]
    fn a_token_that_comes_again_differs() {
        let walk = Walk { end: End::Repeats("again".into()), ..walk(json!({"diskList": [{}]})) };
        assert_eq!(end(&walk).verdict, Differs);
        assert_eq!(total(&walk).verdict, Unknown);
    }
}
