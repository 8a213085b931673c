//! Numbers that show whether they were written on purpose: the container's processes can write anything to their accounting file.

/// The part of a sealed number that says whether it is one.
const SEAL: u64 = (1 << 20) - 1;

/// Bytes, of which only whole MiB are ever charged, as they are written at an offset: the 20 bits below the MiB tell a number that
/// was written there from any other. So it stays one word, which is written whole; zeros are no number.
#[must_use]
pub fn seal(bytes: u64, at: usize) -> u64 {
    let bytes = bytes & !SEAL;
    bytes | mix(&[bytes, at as u64]) & SEAL | 1
}

/// The bytes of a sealed number; `None` if nobody wrote it there.
#[must_use]
pub fn unseal(word: u64, at: usize) -> Option<u64> {
    (seal(word, at) == word).then_some(word & !SEAL)
}

/// A number that depends on every bit of some (splitmix64: Steele, Lea, Flood 2014). Against damage, not against forgers.
#[must_use]
pub fn mix(words: &[u64]) -> u64 {
    words.iter().fold(0x9e37_79b9_7f4a_7c15, |sum: u64, word| {
        let sum = (sum ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let sum = (sum ^ (sum >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let sum = (sum ^ (sum >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        sum ^ (sum >> 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_nobody_wrote_there_is_none() {
        for mib in [0, 1, 300, 1 << 40] {
            let word = seal(mib << 20, 4160);
            assert_eq!((unseal(word, 4160), unseal(word, 4168)), (Some(mib << 20), None));
            for bit in 0..64 {
                assert_eq!(unseal(word ^ (1 << bit), 4160), None, "{mib} MiB, bit {bit}");
            }
        }
        assert_eq!((unseal(0, 64), unseal(u64::MAX, 64)), (None, None));
    }
}
