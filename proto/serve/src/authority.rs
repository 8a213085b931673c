//! Takes requests of clients that send a socket's path as `:authority`.
//!
//! The kubelet's client of the plugin registration API names no authority (pkg/kubelet/pluginmanager/operationexecutor), so grpc-go
//! sends the path that it dials, percent-encoded: `%2Fvar%2Flib%2Fkubelet%2F…`. RFC 3986 knows no such host, and h2 answers
//! PROTOCOL_ERROR before anybody else sees the request. Here the name is replaced on its way in; nothing asks for it on a unix
//! socket. Strings of HPACK (RFC 7541) need not be decoded for that, only stepped over.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::server::Connected;

/// What a client of HTTP/2 sends first, in bytes (RFC 9113, 3.4).
const PREFACE: usize = 24;

/// A frame's head: length (3), type, flags, stream (4) (RFC 9113, 4.1).
const HEAD: usize = 9;

/// Type of a HEADERS frame, and its flags (RFC 9113, 6.2).
const HEADERS: u8 = 1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// The longest payload that a server takes which has not said otherwise (RFC 9113, 4.2).
const LONGEST: usize = 1 << 14;

/// Index of `:authority` in HPACK's static table.
const AUTHORITY: usize = 1;

/// What it becomes: a string of HPACK as it is, with its length before it. The kubelet's other clients send the same.
const LOCALHOST: &[u8] = b"\x09localhost";

/// Where in the stream of frames the reader is.
enum At {
    /// So many bytes go through unseen.
    Through(usize),
    /// A frame's head, or a whole HEADERS frame, as far as it has come.
    Frame(Vec<u8>),
}

/// Replaces authorities in what a client sends.
struct Rewriter(At);

impl Rewriter {
    fn feed(&mut self, mut input: &[u8], output: &mut Vec<u8>) {
        while !input.is_empty() {
            match &mut self.0 {
                At::Through(0) => self.0 = At::Frame(Vec::new()),
                At::Through(left) => {
                    let (now, later) = input.split_at(input.len().min(*left));
                    output.extend_from_slice(now);
                    (*left, input) = (*left - now.len(), later);
                }
                At::Frame(frame) => {
                    let (now, later) = input.split_at(input.len().min(wanted(frame) - frame.len()));
                    frame.extend_from_slice(now);
                    input = later;
                    if frame.len() == wanted(frame) {
                        let through = if is_headers(frame) { 0 } else { length(frame) };
                        match rewritten(frame) {
                            Some(new) => output.extend_from_slice(&new),
                            None => output.extend_from_slice(frame),
                        }
                        self.0 = At::Through(through);
                    }
                }
            }
        }
    }
}

/// The payload's length as the head tells it.
fn length(head: &[u8]) -> usize {
    head.iter().take(3).fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

/// Whether it is a HEADERS frame that can be rewritten: complete, not padded, and not too long.
fn is_headers(head: &[u8]) -> bool {
    head.len() >= HEAD
        && head[3] == HEADERS
        && head[4] & (END_HEADERS | PADDED) == END_HEADERS
        && length(head) <= LONGEST
}

/// Bytes that must be there before anything can be decided.
fn wanted(frame: &[u8]) -> usize {
    if is_headers(frame) { HEAD + length(frame) } else { HEAD }
}

/// The frame with another authority; `None` if there is nothing to replace, or if it is none that we understand: then the server
/// judges it as it came.
fn rewritten(frame: &[u8]) -> Option<Vec<u8>> {
    if !is_headers(frame) {
        return None;
    }
    let start = HEAD + if frame[4] & PRIORITY == 0 { 0 } else { 5 };
    let mut fields = Fields { block: frame.get(start..)?, at: 0 };
    let value = fields.authority()?;
    let (before, after) = (start + value.start, start + value.end);
    // A name that is shorter than ours stays: the sender's and our table of names must not differ the other way.
    if after - before < LOCALHOST.len() {
        return None;
    }
    let mut new = [&frame[..before], LOCALHOST, &frame[after..]].concat();
    let length = u32::try_from(new.len() - HEAD).ok()?.to_be_bytes();
    new[..3].copy_from_slice(&length[1..]);
    Some(new)
}

/// The fields of a header block.
struct Fields<'a> {
    block: &'a [u8],
    at: usize,
}

impl Fields<'_> {
    /// Where the value of the authority stands, its length included.
    fn authority(&mut self) -> Option<std::ops::Range<usize>> {
        while let Some(first) = self.block.get(self.at).copied() {
            let (bits, has_value) = match first {
                0x80.. => (7, false),
                0x40.. => (6, true),
                0x20.. => (5, false),
                _ => (4, true),
            };
            let index = self.integer(bits)?;
            if !has_value {
                continue;
            }
            if index == 0 {
                self.string()?;
            }
            let from = self.at;
            self.string()?;
            if index == AUTHORITY {
                return Some(from..self.at);
            }
        }
        None
    }

    /// An integer with a prefix of so many bits (RFC 7541, 5.1).
    fn integer(&mut self, bits: u32) -> Option<usize> {
        let mask = (1_usize << bits) - 1;
        let mut value = usize::from(self.next()?) & mask;
        if value < mask {
            return Some(value);
        }
        for shift in (0..=14).step_by(7) {
            let byte = usize::from(self.next()?);
            value += (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Steps over a string.
    fn string(&mut self) -> Option<()> {
        let length = self.integer(7)?;
        self.at = self.at.checked_add(length).filter(|at| *at <= self.block.len())?;
        Some(())
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.block.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }
}

/// A connection whose client's authorities are replaced.
pub struct Tolerant<S> {
    inner: S,
    rewriter: Rewriter,
    /// Rewritten and not read yet, from here on.
    ready: Vec<u8>,
    read: usize,
}

impl<S> Tolerant<S> {
    /// A connection that was just accepted.
    pub fn new(inner: S) -> Self {
        Self { inner, rewriter: Rewriter(At::Through(PREFACE)), ready: Vec::new(), read: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tolerant<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.read == this.ready.len() {
            let mut bytes = [0; 1024];
            let mut came = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.inner).poll_read(context, &mut came))?;
            if came.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.ready.clear();
            this.read = 0;
            this.rewriter.feed(came.filled(), &mut this.ready);
        }
        let left = &this.ready[this.read..];
        let now = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..now]);
        this.read += now;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tolerant<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// Connections as they are accepted, each [`Tolerant`].
pub fn tolerant(listener: UnixListenerStream) -> impl Stream<Item = io::Result<Tolerant<UnixStream>>> {
    listener.map(|connection| connection.map(Tolerant::new))
}

impl<S> Connected for Tolerant<S> {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As grpc-go sends it: method POST and scheme http by index, path and authority as literals.
    fn request(authority: &str) -> Vec<u8> {
        let literal = |index: u8, value: &str| {
            let length = u8::try_from(value.len()).unwrap();
            [&[0x40 | index, length], value.as_bytes()].concat()
        };
        let block = [&[0x83, 0x86], &literal(4, "/a/b")[..], &literal(1, authority), &[0xbe]].concat();
        let length = u8::try_from(block.len()).unwrap();
        [&[0, 0, length, HEADERS, END_HEADERS, 0, 0, 0, 1], &block[..]].concat()
    }

    fn fed(input: &[u8], piece: usize) -> Vec<u8> {
        let (mut rewriter, mut output) = (Rewriter(At::Through(PREFACE)), Vec::new());
        input.chunks(piece).for_each(|piece| rewriter.feed(piece, &mut output));
        output
    }

    #[test]
    fn a_path_becomes_localhost_and_nothing_else_changes_however_the_bytes_come() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let settings = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
        let data = vec![0, 0, 5, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0];
        let around = |request: Vec<u8>| [&preface[..], &settings, &request, &data, &settings].concat();
        let sent = around(request("%2Fvar%2Flib%2Fkubelet%2Fplugins_registry%2Fx.sock"));
        for piece in [1, 2, 7, 50, 4096] {
            assert_eq!(fed(&sent, piece), around(request("localhost")), "pieces of {piece}");
        }
        let short = around(request("a"));
        assert_eq!(fed(&short, 3), short);
    }

    #[test]
    fn what_is_not_understood_goes_through_as_it_came() {
        let mut padded = request("%2Fvar%2Flib%2Fkubelet");
        padded[4] |= PADDED;
        let mut torn = request("%2Fvar%2Flib%2Fkubelet");
        torn[2] -= 30;
        for frame in [padded, torn] {
            let sent = [&[0; PREFACE], &frame[..]].concat();
            let mut came = fed(&sent, 4096);
            came.truncate(frame.len());
            assert_eq!(came, sent[..frame.len()]);
        }
    }
}
