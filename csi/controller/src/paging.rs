//! Pages of what lies in regions: sorted by region and id, so that a page which begins after something that is gone by then
//! still begins at the right place.

use eck_csi::field::BadField;
use eck_csi::volume::Region;

use crate::error::ReadError;

/// Takes the field `max_entries`; 0 for all.
pub(crate) fn max(value: i32) -> Result<usize, BadField> {
    usize::try_from(value).map_err(|_| BadField::new("max_entries", value, "0 (all) or a positive number"))
}

/// Takes the field `starting_token`, which is `<region>/<id>` of the last one of the page before; `parse` knows those of `rpc`.
pub(crate) fn after<T>(
    token: &str,
    rpc: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, ReadError> {
    if token.is_empty() {
        return Ok(None);
    }
    let allowed = format!("empty, or a next_token of an earlier {rpc}");
    parse(token).map(Some).ok_or_else(|| ReadError::Token(BadField::new("starting_token", token, allowed)))
}

/// The page of at most `max` that begins after that one, and the token of the next.
pub(crate) fn cut<T>(
    mut found: Vec<(Region, T)>,
    id: impl Fn(&T) -> &str,
    max: usize,
    after: Option<(&Region, &str)>,
) -> (Vec<(Region, T)>, String) {
    found.sort_by(|(ra, a), (rb, b)| (ra, id(a)).cmp(&(rb, id(b))));
    if let Some(last) = after {
        found.retain(|(region, one)| (region, id(one)) > last);
    }
    let more = max != 0 && found.len() > max;
    if more {
        found.truncate(max);
    }
    let last = found.last().filter(|_| more);
    let token = last.map(|(region, one)| format!("{region}/{}", id(one))).unwrap_or_default();
    (found, token)
}
