//! Pages of a list as they came, and the way through all of them.

use ecx::Error;
use ecx::api::{ListDisks, Op};
use ecx::decode::Told;
use serde_json::Value;

use super::ask::Ask;

/// Pages after which a list is called endless.
const PAGES: usize = 100;

/// A page as it came.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Page {
    /// What stood under the list's key; `None` without the key.
    pub(super) list: Option<Value>,
    /// The keys that there were, or what was no object.
    pub(super) keys: String,
    /// The records.
    pub(super) records: Vec<Value>,
    /// How many there are in all.
    pub(super) total: Option<u64>,
    /// To go on.
    pub(super) token: Option<String>,
}

impl Page {
    /// With its list under `key`.
    pub(super) fn of(payload: &Value, key: &str) -> Self {
        let list = payload.get(key).cloned();
        let keys = payload.as_object().map_or_else(
            || payload.to_string(),
            |all| all.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        );
        let records = list.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
        Self {
            list,
            keys,
            records,
            total: number(&payload["totalCount"]),
            token: text(&payload["nextToken"]),
        }
    }
}

/// How a way through a list ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum End {
    /// A page told no token to go on.
    Last,
    /// The same token came again.
    Repeats(String),
    /// There was no end.
    Endless,
    /// A page was not answered.
    Failed(Error),
}

/// All pages of a list of disks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Walk {
    /// The pages.
    pub(super) pages: Vec<Page>,
    /// How it ended.
    pub(super) end: End,
}

impl Walk {
    /// All records.
    pub(super) fn records(&self) -> Vec<&Value> {
        self.pages.iter().flat_map(|page| &page.records).collect()
    }

    /// What the first page tells in all.
    pub(super) fn total(&self) -> Option<u64> {
        self.pages.first().and_then(|page| page.total)
    }
}

/// One page of a region's disks.
pub(super) async fn disks(ask: &Ask<'_>, most: u32, token: Option<String>) -> Result<(Page, Told), Error> {
    let query = ListDisks { region_id: ask.region.clone(), max_results: most, next_token: token };
    let told = ask.client.told(Op::ListDisks, &query).await?;
    Ok((Page::of(&told.payload, "diskList"), told))
}

/// All disks of a region, `first` being the first page.
pub(super) async fn walk(ask: &Ask<'_>, first: Page) -> Walk {
    let (mut pages, mut tokens) = (vec![first], Vec::new());
    let end = loop {
        let Some(token) = pages.last().and_then(|page| page.token.clone()) else { break End::Last };
        if tokens.contains(&token) {
            break End::Repeats(token);
        }
        if pages.len() >= PAGES {
            break End::Endless;
        }
        tokens.push(token.clone());
        match disks(ask, super::ask::MOST, Some(token)).await {
            Ok((page, _)) => pages.push(page),
            Err(error) => break End::Failed(error),
        }
    };
    Walk { pages, end }
}

/// A number, also as text.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A text that is there and not empty, also as a number.
pub(super) fn text(value: &Value) -> Option<String> {
    let told = value.as_str().map(str::to_owned).or_else(|| value.as_number().map(ToString::to_string));
    told.filter(|text| !text.is_empty())
}
