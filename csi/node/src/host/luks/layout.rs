//! Where things stand on an encrypted disk.
//!
//! ```text
//!   0          32 KiB        2 MiB + 32 KiB      8 MiB                  16 MiB
//!   │ two headers │ key slots        │            │ a copy of all that │   │ data ...
//! ```
//!
//! The header is made in memory and written in an order that a power cut cannot harm: first [`begun`] over the blank disk's
//! first block, then everything behind it, and the first block of the header last. So long as the mark stands there, nobody
//! has had the volume, and the next staging begins anew.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use uuid::Uuid;

use crate::host::content::{BLOCK, begun};

/// JSON of each of the two headers, in bytes: cryptsetup's default (cryptsetup-luksFormat(8), `--luks2-metadata-size`), which
/// has room for the tokens.
pub(super) const JSON: u64 = (16 << 10) - BLOCK;
/// Bytes of the key slots: eight of 252 KiB, as a key of 512 bits takes 4,000 stripes (LUKS2 On-Disk Format, 3.2). cryptsetup's
/// default of 16 MiB leaves no room for a copy.
pub(super) const KEYSLOTS: u64 = 2 << 20;
/// Bytes of all that the header is.
pub(super) const HEADER: u64 = 2 * (JSON + BLOCK) + KEYSLOTS;
/// Where the copy of the header stands, in bytes.
pub(super) const COPY_AT: u64 = 8 << 20;
/// Where the data begins, in bytes: cryptsetup's default, and a multiple of what any disk writes at once.
pub(super) const DATA_AT: u64 = 16 << 20;

/// Bytes that are compared at once.
const PIECE: usize = 64 << 10;

/// Writes a header to a blank disk; see the module's text.
pub(super) fn write(disk: &File, header: &[u8], uuid: Uuid) -> io::Result<()> {
    let (first, rest) = header.split_at_checked(BLOCK as usize).ok_or(io::ErrorKind::UnexpectedEof)?;
    disk.write_all_at(&begun(uuid), 0)?;
    disk.sync_all()?;
    disk.write_all_at(rest, BLOCK)?;
    disk.sync_all()?;
    disk.write_all_at(first, 0)?;
    disk.sync_all()
}

/// Makes the copy what the header is.
pub(super) fn copy(disk: &File) -> io::Result<()> {
    let (mut header, mut copy) = (vec![0; PIECE], vec![0; PIECE]);
    let mut at = 0;
    while at < HEADER {
        let piece = PIECE.min(usize::try_from(HEADER - at).unwrap_or(PIECE));
        let (header, copy) = (&mut header[..piece], &mut copy[..piece]);
        disk.read_exact_at(header, at)?;
        disk.read_exact_at(copy, COPY_AT + at)?;
        if header != copy {
            disk.write_all_at(header, COPY_AT + at)?;
        }
        at += piece as u64;
    }
    disk.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_fills_what_the_format_gives_it() {
        assert_eq!(HEADER, 2_129_920);
        const { assert!(HEADER <= COPY_AT && COPY_AT + HEADER <= DATA_AT) };
        assert_eq!(KEYSLOTS / 258_048, 8);
    }

    #[test]
    fn a_copy_is_the_header_and_a_second_one_changes_nothing() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(DATA_AT).unwrap();
        let header: Vec<u8> = (0..HEADER).map(|n| (n % 251) as u8).collect();
        write(&file, &header, Uuid::nil()).unwrap();
        for _ in 0..2 {
            copy(&file).unwrap();
            let mut seen = vec![0; header.len()];
            file.read_exact_at(&mut seen, COPY_AT).unwrap();
            assert!(seen == header);
            file.read_exact_at(&mut seen, 0).unwrap();
            assert!(seen == header);
        }
        // A key slot that was changed since, and a copy that was torn.
        file.write_all_at(b"changed", 1 << 20).unwrap();
        file.write_all_at(b"torn", COPY_AT + HEADER - 4).unwrap();
        copy(&file).unwrap();
        let mut seen = vec![0; 4];
        file.read_exact_at(&mut seen, COPY_AT + HEADER - 4).unwrap();
        assert_ne!(seen, b"torn");
        file.read_exact_at(&mut seen, COPY_AT + (1 << 20)).unwrap();
        assert_eq!(seen, b"chan");
    }
}
