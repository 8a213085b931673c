//! What a container may use: the limits file that the plugin writes and `libvcuda.so` reads.

use serde::{Deserialize, Serialize};

use crate::card::CardId;
use crate::names::{CORE_PER_CARD, MAX_CARDS_PER_NODE};

/// Version of the file's format.
pub const VERSION: u32 = 1;

/// Size of the file at most. The largest that the plugin writes, with 16 cards and the longest names, has less than 5 KiB.
pub const MAX_BYTES: u64 = 64 << 10;

/// Memory of a card at most, in MiB: 16 TiB, far beyond any card that there is.
pub const MAX_MEMORY_MIB: u64 = 16 << 20;

/// A container's limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// [`VERSION`].
    pub version: u32,
    /// The pod's uid.
    pub pod_uid: String,
    /// The pod's namespace.
    pub pod_namespace: String,
    /// The pod's name.
    pub pod_name: String,
    /// The container's name in the pod.
    pub container: String,
    /// Memory that a full card has no room for is host memory.
    pub virtual_memory: bool,
    /// Compute that nobody else of the card wants may be used beyond the share.
    pub work_conserving: bool,
    /// In the order in which the container numbers them.
    pub cards: Vec<CardLimit>,
}

/// What a container may use of one card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardLimit {
    /// The number under which the container sees the card.
    pub index: u32,
    /// NVML's UUID.
    pub uuid: CardId,
    /// Compute, in percent of the card.
    pub core_percent: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// What each CUDA context is charged with, in MiB.
    pub context_mib: u64,
}

/// Limits that must not be gone by.
#[derive(Debug, thiserror::Error)]
pub enum LimitsError {
    /// A file that is too long.
    #[error("size: {0} bytes is not allowed; allowed: at most {MAX_BYTES}")]
    Size(usize),
    /// No JSON of this form: cut off, a field too many or too few, a value of another kind.
    #[error("not limits of version {VERSION}: {0}")]
    Form(#[from] serde_json::Error),
    /// A value that is out of its range.
    #[error("{field}: {value} is not allowed; allowed: {allowed}")]
    Value {
        /// Where.
        field: String,
        /// What is there.
        value: String,
        /// What may be there.
        allowed: String,
    },
}

/// Of any version.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Limits {
    /// Reads the file's content; everything in it is checked.
    pub fn parse(text: &[u8]) -> Result<Self, LimitsError> {
        if text.len() as u64 > MAX_BYTES {
            return Err(LimitsError::Size(text.len()));
        }
        // The version first: another one may have other fields, and the version is what is wrong then.
        let Versioned { version } = serde_json::from_slice(text)?;
        allow(version == VERSION, "version", version, VERSION)?;
        let limits: Self = serde_json::from_slice(text)?;
        limits.check()?;
        Ok(limits)
    }

    fn check(&self) -> Result<(), LimitsError> {
        let count = self.cards.len();
        let fits = (1..=MAX_CARDS_PER_NODE as usize).contains(&count);
        allow(fits, "cards", format!("{count} cards"), format!("1 to {MAX_CARDS_PER_NODE}"))?;
        for (place, card) in self.cards.iter().enumerate() {
            let field = |name: &str| format!("cards[{place}].{name}");
            let core = (1..=CORE_PER_CARD).contains(&card.core_percent);
            allow(core, field("core_percent"), card.core_percent, format!("1 to {CORE_PER_CARD}"))?;
            let memory = (1..=MAX_MEMORY_MIB).contains(&card.memory_mib);
            let allowed = format!("1 to {MAX_MEMORY_MIB}");
            allow(memory, field("memory_mib"), card.memory_mib, allowed)?;
            let context = card.context_mib <= MAX_MEMORY_MIB;
            let allowed = format!("at most {MAX_MEMORY_MIB}");
            allow(context, field("context_mib"), card.context_mib, allowed)?;
            let before = self.cards.iter().take(place);
            let first = before.into_iter().all(|other| other.uuid != card.uuid);
            allow(first, field("uuid"), &card.uuid, "each card once")?;
        }
        Ok(())
    }
}

fn allow(
    allowed: bool,
    field: impl Into<String>,
    value: impl ToString,
    what: impl ToString,
) -> Result<(), LimitsError> {
    if allowed {
        return Ok(());
    }
    Err(LimitsError::Value { field: field.into(), value: value.to_string(), allowed: what.to_string() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn good() -> Value {
        let card = |n: u32| json!({"index": n, "uuid": format!("GPU-{n}"), "core_percent": 30, "memory_mib": 200, "context_mib": 0});
        json!({"version": 1, "pod_uid": "u", "pod_namespace": "n", "pod_name": "p", "container": "c",
            "virtual_memory": false, "work_conserving": true, "cards": [card(0), card(1)]})
    }

    #[test]
    fn what_is_written_is_read_and_nothing_that_is_cut_off() {
        let limits = Limits::parse(good().to_string().as_bytes()).unwrap();
        assert_eq!((limits.cards.len(), limits.cards[1].memory_mib, limits.work_conserving), (2, 200, true));
        let text = serde_json::to_vec_pretty(&limits).unwrap();
        assert_eq!(Limits::parse(&text).unwrap(), limits);
        for end in 0..text.len() {
            assert!(Limits::parse(&text[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn each_wrong_value_is_named_with_what_is_allowed() {
        for (at, value, error) in [
            ("/version", json!(2), "version: 2 is not allowed; allowed: 1"),
            ("/cards/1/core_percent", json!(0), "cards[1].core_percent: 0 is not allowed; allowed: 1 to 100"),
            (
                "/cards/0/core_percent",
                json!(101),
                "cards[0].core_percent: 101 is not allowed; allowed: 1 to 100",
            ),
            (
                "/cards/0/memory_mib",
                json!(0),
                "cards[0].memory_mib: 0 is not allowed; allowed: 1 to 16777216",
            ),
            (
                "/cards/0/memory_mib",
                json!(u64::MAX),
                "cards[0].memory_mib: 18446744073709551615 is not allowed; allowed: 1 to 16777216",
            ),
            (
                "/cards/1/context_mib",
                json!(1_u64 << 40),
                "cards[1].context_mib: 1099511627776 is not allowed; allowed: at most 16777216",
            ),
            ("/cards/1/uuid", json!("GPU-0"), "cards[1].uuid: GPU-0 is not allowed; allowed: each card once"),
            ("/cards", json!([]), "cards: 0 cards is not allowed; allowed: 1 to 16"),
        ] {
            let mut limits = good();
            *limits.pointer_mut(at).unwrap() = value;
            assert_eq!(Limits::parse(limits.to_string().as_bytes()).unwrap_err().to_string(), error);
        }
        for (at, value) in
            [("/cards/0/uuid", json!("../x")), ("/cards/0/memory_mib", json!(-1)), ("/pod_uid", json!(7))]
        {
            let mut limits = good();
            *limits.pointer_mut(at).unwrap() = value;
            assert!(Limits::parse(limits.to_string().as_bytes()).is_err(), "{at}");
        }
        let mut more = good();
        more["cards"][0]["unlimited"] = json!(true);
        let error = Limits::parse(more.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains("unknown field `unlimited`"), "{error}");
        let long = vec![b' '; MAX_BYTES as usize + 1];
        assert!(matches!(Limits::parse(&long), Err(LimitsError::Size(65537))));
    }
}
