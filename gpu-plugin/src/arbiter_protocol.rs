//! What `libvcuda.so` and the node's arbiter say to each other over the socket of a container
//! ([`crate::container_paths::ARBITER`]): frames of [`FRAME`] bytes, numbers in the machine's byte order. A connection is one process on
//! one card.

/// Bytes of a frame.
pub const FRAME: usize = 32;

/// Version of the protocol, in the first frame.
pub const VERSION: u32 = 1;

/// A process to the arbiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// First: which card this is about, by its place in the limits.
    Join {
        /// [`VERSION`].
        version: u32,
        /// From 0 on.
        card: u32,
    },
    /// A launch waits.
    Want,
    /// The card has done everything that was launched, and nothing is launched until the next grant.
    Done {
        /// Of the last grant that has arrived.
        grant: u64,
        /// A launch waits.
        wants: bool,
    },
}

/// The arbiter to a process: how long it may launch from now on. A later one takes the place of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Counts up.
    pub grant: u64,
    /// For how long, in ns; 0: no more.
    pub length_ns: u64,
    /// Launches at most; 0: as many as fit.
    pub launches: u32,
    /// Work, in ns, that may be queued on the card at most.
    pub ahead_ns: u64,
}

const JOIN: u32 = 1;
const WANT: u32 = 2;
const DONE: u32 = 3;
const GRANT: u32 = 4;

impl Request {
    /// As it is sent.
    #[must_use]
    pub fn to_frame(self) -> [u8; FRAME] {
        match self {
            Self::Join { version, card } => frame(JOIN, version, card.into(), 0, 0),
            Self::Want => frame(WANT, 0, 0, 0, 0),
            Self::Done { grant, wants } => frame(DONE, wants.into(), grant, 0, 0),
        }
    }

    /// `None` if it is none.
    #[must_use]
    pub fn from_frame(bytes: &[u8; FRAME]) -> Option<Self> {
        match parts(bytes) {
            (JOIN, version, card, 0, 0) => Some(Self::Join { version, card: u32::try_from(card).ok()? }),
            (WANT, 0, 0, 0, 0) => Some(Self::Want),
            (DONE, wants @ (0 | 1), grant, 0, 0) => Some(Self::Done { grant, wants: wants == 1 }),
            _ => None,
        }
    }
}

impl Grant {
    /// As it is sent.
    #[must_use]
    pub fn to_frame(self) -> [u8; FRAME] {
        frame(GRANT, self.launches, self.grant, self.length_ns, self.ahead_ns)
    }

    /// `None` if it is none.
    #[must_use]
    pub fn from_frame(bytes: &[u8; FRAME]) -> Option<Self> {
        match parts(bytes) {
            (GRANT, launches, grant, length_ns, ahead_ns) => {
                Some(Self { grant, length_ns, launches, ahead_ns })
            }
            _ => None,
        }
    }
}

fn frame(kind: u32, small: u32, first: u64, second: u64, third: u64) -> [u8; FRAME] {
    let mut bytes = [0; FRAME];
    let (head, numbers) = bytes.split_at_mut(8);
    head[..4].copy_from_slice(&kind.to_ne_bytes());
    head[4..].copy_from_slice(&small.to_ne_bytes());
    for (at, number) in [first, second, third].into_iter().enumerate() {
        numbers[at * 8..at * 8 + 8].copy_from_slice(&number.to_ne_bytes());
    }
    bytes
}

fn parts(bytes: &[u8; FRAME]) -> (u32, u32, u64, u64, u64) {
    let small = |at: usize| u32::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte]));
    let large = |at: usize| u64::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte]));
    (small(0), small(4), large(8), large(16), large(24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_what_arrives() {
        for request in [
            Request::Join { version: VERSION, card: 3 },
            Request::Want,
            Request::Done { grant: 7, wants: true },
            Request::Done { grant: u64::MAX, wants: false },
        ] {
            assert_eq!(Request::from_frame(&request.to_frame()), Some(request));
            assert_eq!(Grant::from_frame(&request.to_frame()), None);
        }
        let grant = Grant { grant: 9, length_ns: 20, launches: 1, ahead_ns: u64::MAX };
        assert_eq!(Grant::from_frame(&grant.to_frame()), Some(grant));
        assert_eq!(Request::from_frame(&grant.to_frame()), None);
    }

    #[test]
    fn what_is_no_frame_of_ours_is_none() {
        let mut done = Request::Done { grant: 1, wants: false }.to_frame();
        done[4] = 2;
        assert_eq!(Request::from_frame(&done), None);
        let mut card = Request::Join { version: VERSION, card: 0 }.to_frame();
        card[15] = 1;
        assert_eq!(Request::from_frame(&card), None, "a card beyond u32");
        assert_eq!((Request::from_frame(&[0; FRAME]), Grant::from_frame(&[0xff; FRAME])), (None, None));
    }
}
