//! CRC-32C (Castagnoli), the checksum of ext4's and XFS's superblocks.

/// The polynomial, bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// Goes on from `crc` over the bytes, without the final inversion.
pub(super) fn crc32c(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, byte| {
        let bits = crc ^ u32::from(*byte);
        (0..8).fold(bits, |bits, _| if bits & 1 == 1 { bits >> 1 ^ POLYNOMIAL } else { bits >> 1 })
    })
}

#[test]
fn the_published_check_value() {
    assert_eq!(!crc32c(!0, b"123456789"), 0xe306_9283);
}
