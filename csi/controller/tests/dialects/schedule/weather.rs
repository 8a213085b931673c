//! What a cloud has beside its dialect: outages of operations and regions, and keys that change.

use rand::Rng as _;
use rand::rngs::SmallRng;
use second_cloud::{Dialect, Fault, HOME, Op, REGIONS, Wrong};

/// Dialects in which a controller that is killed after its order, or an answer that is lost, leaves nothing by which anybody could
/// know of the disk, or that a dead one never was usable and no person need be asked (`hopeless.rs` has the same cells).
pub(super) const UNFAIR: &[&str] = &[
    "tokens-ignored-and-create-begins-late",
    "tokens-forgotten-and-create-unseen",
    "by-name-omits-one-that-it-counts",
    "create-fails-and-leaves-a-dead-disk",
];

/// Operations that an outage may be of.
const OPS: [Op; 12] = [
    Op::NewDisk,
    Op::Refund,
    Op::Info,
    Op::ByName,
    Op::List,
    Op::Attach,
    Op::Detach,
    Op::Resize,
    Op::Job,
    Op::Order,
    Op::Machines,
    Op::NewSnapshot,
];

/// The dialect, and in three of four schedules up to three outages; in one of eight other keys from some request on.
pub(super) fn add_to(rng: &mut SmallRng, name: &str, mut dialect: Dialect) -> Dialect {
    if rng.random_range(0..4) > 0 {
        for _ in 0..rng.random_range(1..=3) {
            let outage = outage(rng, name);
            dialect.faults.push(outage);
        }
    }
    if dialect.keys_rotate_after.is_none() && rng.random_range(0..8) == 0 {
        dialect.keys_rotate_after = Some(rng.random_range(1..200));
    }
    dialect
}

/// Some requests, one after the other, of an operation, of a region, or of all.
fn outage(rng: &mut SmallRng, name: &str) -> Fault {
    let op = rng.random_bool(0.6).then(|| OPS[rng.random_range(0..OPS.len())]);
    let region = [None, Some(HOME), Some(REGIONS[1]), Some(REGIONS[2])][rng.random_range(0..4)];
    let what = match rng.random_range(0..7) {
        // A cloud that does not know its tokens, and of whose order nothing is told, sells two disks to anybody.
        0 | 1 if !name.starts_with("tokens-") => Wrong::Lost,
        2 => Wrong::Html(502),
        3 => Wrong::Hangs,
        4 => Wrong::RetryAfter(2),
        5 => Wrong::Refused((403, "900", "CTIAM_0005")),
        _ => Wrong::Dropped,
    };
    // What is refused is not sent again by itself: a request a call, and no schedule has patience for a dozen calls.
    let most = if matches!(what, Wrong::Refused(_)) { 6 } else { 12 };
    Fault { op, region, skip: rng.random_range(0..150), count: rng.random_range(1..=most), what }
}
