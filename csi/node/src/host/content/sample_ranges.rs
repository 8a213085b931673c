//! Where a used disk cannot be all zero: every place of a superblock, its copies, and of the signs that other owners leave.

use std::ops::Range;

use super::types::{BLOCK, CHUNK};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// The start that is read whole: LUKS 2 keeps its second header at up to 4 MiB, and that header is 4 KiB at least.
const START: u64 = 4 * MIB + (64 << 10);
/// Disks are sold in whole GiB, and a quarter of that (XFS makes four groups) is a multiple of 256 MiB. So is a group of
/// ext4's with clusters. A disk that was grown since has its copies at such places as well.
const GRID: u64 = 256 * MIB;
/// What lies before a multiple of 1 GiB was once the end of the disk, with md 0.90 64 KiB away from it.
const OLD_END: u64 = 64 << 10;
/// XFS makes as many groups as there are processors on a disk that does not rotate, and not above this many here.
const XFS_GROUPS: u64 = 64;
/// Places for ordinary data, evenly spread.
const SAMPLES: u64 = 64;

/// Ranges in ascending order, apart from each other, multiples of [`BLOCK`] but for the device's end. They cost 228 reads for
/// 20 GiB, 611 for 100 GiB, 4,285 for 1 TiB and 4,442 (88 MiB) for 32 TiB, the largest disk of the cloud.
pub(in crate::host) fn sampled(size: u64) -> Vec<Range<u64>> {
    let mut places = vec![0..START, size.saturating_sub(CHUNK)..size];
    let blocks =
        ext_copies(size).chain(xfs_copies(size)).chain(grid(size)).chain(powers(size)).chain(samples(size));
    places.extend(blocks.map(|at| at..at + BLOCK));
    places.extend(old_ends(size));
    merged(places, size)
}

/// ext: groups 1, 3ⁿ, 5ⁿ, 7ⁿ hold a copy (sparse_super), and the last (sparse_super2), for each block size from 1 KiB to
/// 64 KiB. With blocks of 1 KiB the copy is the second KiB of what is read.
fn ext_copies(size: u64) -> impl Iterator<Item = u64> {
    (10..=16).flat_map(move |log| {
        let block = 1_u64 << log;
        // One block holds the group's bitmap, but a count of blocks is a 16-bit number (EXT2_MAX_BLOCKS_PER_GROUP).
        let group = (8 * block).min(65_528) * block;
        let powers = [3_u64, 5, 7].into_iter().flat_map(move |base| {
            std::iter::successors(Some(base), move |n| n.checked_mul(base))
                .take_while(move |n| *n <= size / group)
        });
        // A last group that is too small is left out, so the last may be the one before.
        let last = (size - 1) / group;
        [1, last, last.saturating_sub(1)].into_iter().chain(powers).map(move |n| n * group)
    })
}

/// XFS: every group starts with a copy. Groups 2 to 4 of the usual four; the second of any other number of groups; and
/// every group of the largest size, one block below 1 TiB.
fn xfs_copies(size: u64) -> impl Iterator<Item = u64> {
    let part = move |n: u64| (size / BLOCK).div_ceil(n) * BLOCK;
    let many = (2..=XFS_GROUPS).map(part).take_while(|at| *at >= GIB).chain([2, 4, 8].map(part));
    let largest = TIB - BLOCK;
    let quarters = [1, 2, 3].map(|n| n * part(4));
    many.chain(quarters).chain((1..=size / largest).map(move |n| n * largest))
}

fn grid(size: u64) -> impl Iterator<Item = u64> {
    (1..=(size.min(TIB) / GRID)).map(|n| n * GRID).chain((1..=size / TIB).map(|n| n * TIB))
}

fn old_ends(size: u64) -> impl Iterator<Item = Range<u64>> {
    let ends = (1..=(size.min(TIB) / GIB)).map(|n| n * GIB).chain((1..=size / TIB).map(|n| n * TIB));
    ends.map(|at| at - OLD_END..at)
}

/// The copies of btrfs (64 MiB, 256 GiB), OCFS2 (1 GiB, 4 GiB, …), and of ext4 with clusters of any size.
fn powers(size: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(MIB), |at| at.checked_mul(2)).take_while(move |at| *at < size)
}

fn samples(size: u64) -> impl Iterator<Item = u64> {
    (0..SAMPLES).map(move |n| size / (2 * SAMPLES) * (2 * n + 1))
}

/// Whole blocks within the device, sorted, what touches joined.
fn merged(places: Vec<Range<u64>>, size: u64) -> Vec<Range<u64>> {
    let aligned = |p: Range<u64>| p.start / BLOCK * BLOCK..p.end.next_multiple_of(BLOCK).min(size);
    let mut places: Vec<_> = places.into_iter().map(aligned).filter(|p| !p.is_empty()).collect();
    places.sort_unstable_by_key(|p| p.start);
    places.into_iter().fold(Vec::new(), |mut out: Vec<Range<u64>>, place| {
        match out.last_mut().filter(|last| place.start <= last.end) {
            Some(last) => last.end = last.end.max(place.end),
            None => out.push(place),
        }
        out
    })
}
