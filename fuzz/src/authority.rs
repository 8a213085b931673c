//! What a client of a unix socket sends: HTTP/2 whose `:authority` may be a path. However the bytes come in pieces, what goes on is the
//! same, and frames that are not understood go on as they came.
//!
//! An input is the length of the pieces (1 byte) and the bytes.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use serve::authority::Tolerant;
use tokio::io::{AsyncRead, ReadBuf};

use crate::input::Input;

/// What a client of HTTP/2 sends first, in bytes; a frame's head (RFC 9113).
const PREFACE: usize = 24;
const HEAD: usize = 9;
const HEADERS: u8 = 1;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let piece = usize::from(input.byte()) + 1;
    let sent = input.rest();
    let whole = through(sent, usize::MAX);
    assert_eq!(through(sent, piece), whole, "in pieces of {piece}");
    assert!(whole.len() <= sent.len(), "a name only gets shorter");
    let preface = sent.len().min(PREFACE);
    assert!(whole.starts_with(&sent[..preface]));
    if whole.len() != sent.len() || whole != sent {
        // A frame that has not come to its end yet is held back; then nothing but its beginning is missing.
        assert!(
            sent.starts_with(&whole) || headers(&sent[preface..]),
            "only a HEADERS frame is changed or held back"
        );
    }
    assert_eq!(
        frames(&whole[preface..]),
        frames(&whole[preface..]).min(frames(&sent[preface..])),
        "no frame is made"
    );
}

/// Whether there is a HEADERS frame, or the beginning of any.
fn headers(mut bytes: &[u8]) -> bool {
    while let Some(head) = bytes.get(..HEAD) {
        if head[3] == HEADERS {
            return true;
        }
        bytes = bytes.get(HEAD + length(head)..).unwrap_or_default();
    }
    !bytes.is_empty()
}

fn frames(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some(head) = bytes.get(..HEAD) {
        count += 1;
        bytes = bytes.get(HEAD + length(head)..).unwrap_or_default();
    }
    count
}

fn length(head: &[u8]) -> usize {
    head.iter().take(3).fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

/// A connection that gives its bytes in pieces.
struct Pieces<'a>(&'a [u8], usize);

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let now = self.0.len().min(self.1).min(buffer.remaining());
        let (given, left) = self.0.split_at(now);
        buffer.put_slice(given);
        self.0 = left;
        Poll::Ready(Ok(()))
    }
}

/// What the server reads of what was sent.
fn through(sent: &[u8], piece: usize) -> Vec<u8> {
    let mut connection = pin!(Tolerant::new(Pieces(sent, piece)));
    let (mut all, mut context) = (Vec::new(), Context::from_waker(Waker::noop()));
    loop {
        let mut bytes = [0; 700];
        let mut came = ReadBuf::new(&mut bytes);
        match connection.as_mut().poll_read(&mut context, &mut came) {
            Poll::Ready(Ok(())) if came.filled().is_empty() => return all,
            Poll::Ready(Ok(())) => all.extend_from_slice(came.filled()),
            Poll::Ready(Err(error)) => panic!("{error}"),
            Poll::Pending => panic!("bytes are always there"),
        }
    }
}
