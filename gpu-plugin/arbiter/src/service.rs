//! The sockets of the containers, and the clock.
//!
//! Each container has a socket of its own in a folder that is mounted into it, so who connects is known by where. A connection is one
//! process on one card; it ends with the process, and the turns that it had with it.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ideal_gpu::arbiter_protocol::{FRAME, Grant, Request, VERSION};
use ideal_gpu::container_paths::ARBITER_SOCKET;
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

use crate::account::Time;
use crate::container::{MemberId, Shares};
use crate::turns::Turns;

/// How long a process may take to say which card it is about.
const JOIN: Duration = Duration::from_secs(5);

/// Connections of one container at most: far more processes than work on one card.
const CONNECTIONS: usize = 1024;

/// So many frames of one connection are read at once; then it waits for [`REST`]. A process that means well sends two a turn.
const FRAMES: u32 = 16;

const REST: Duration = Duration::from_millis(1);

/// Why the arbiter, or a container's socket, is not there.
#[derive(Debug, thiserror::Error)]
pub enum ArbiterError {
    /// A thread of it.
    #[error("a thread of the arbiter cannot start")]
    Thread(#[source] std::io::Error),
    /// The socket.
    #[error("the arbiter cannot listen at {path}")]
    Listen {
        /// Where.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// The arbiter of the node. Clones share everything.
#[derive(Clone)]
pub struct Arbiter {
    shared: Arc<Shared>,
    runtime: Handle,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    began: Instant,
}

#[derive(Default)]
struct State {
    turns: Turns,
    sockets: BTreeMap<String, CancellationToken>,
    connections: BTreeMap<MemberId, Connection>,
    last_member: u64,
    /// When the clock's thread decides next.
    armed: Option<Time>,
}

struct Connection {
    container: String,
    writes: OwnedWriteHalf,
    ends: CancellationToken,
}

impl Arbiter {
    /// Starts its threads. They live as long as the process.
    pub fn start() -> Result<Self, ArbiterError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(ArbiterError::Thread)?;
        let handle = runtime.handle().clone();
        let shared =
            Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), began: Instant::now() });
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned()).stack_size(256 << 10);
        let clock = Arc::clone(&shared);
        thread("arbiter-clock").spawn(move || clock.run_clock()).map_err(ArbiterError::Thread)?;
        let serve = move || runtime.block_on(std::future::pending::<()>());
        thread("arbiter").spawn(serve).map_err(ArbiterError::Thread)?;
        Ok(Self { shared, runtime: handle })
    }

    /// Serves a container in this folder, from now on with these shares. What was served there before begins anew.
    pub fn serve(&self, container: &str, folder: &Path, shares: Shares) -> Result<(), ArbiterError> {
        self.forget(container);
        let _in_runtime = self.runtime.enter();
        let listener = listen(folder).map_err(|source| {
            let path = folder.join(ARBITER_SOCKET).display().to_string();
            ArbiterError::Listen { path, source }
        })?;
        let token = CancellationToken::new();
        self.shared.change(|state, now| {
            state.turns.register(container, shares, now);
            state.sockets.insert(container.to_owned(), token.clone());
        });
        let accepting = accept(Arc::clone(&self.shared), listener, container.to_owned(), token.clone());
        self.runtime.spawn(token.run_until_cancelled_owned(accepting));
        Ok(())
    }

    /// The container is gone.
    pub fn forget(&self, container: &str) {
        self.shared.change(|state, now| {
            if let Some(token) = state.sockets.remove(container) {
                token.cancel();
            }
            state.connections.retain(|_, connection| connection.container != container);
            state.turns.remove(container, now);
        });
    }
}

/// A path of a socket has 107 bytes at most, unix(7), and that of a folder in a container's folder may have more.
fn listen(folder: &Path) -> std::io::Result<UnixListener> {
    fs::create_dir_all(folder)?;
    let open = fs::File::open(folder)?;
    let path = Path::new("/proc/self/fd").join(open.as_raw_fd().to_string()).join(ARBITER_SOCKET);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    // Whoever the container's processes are.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

async fn accept(shared: Arc<Shared>, listener: UnixListener, container: String, token: CancellationToken) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (shared, container, ends) = (Arc::clone(&shared), container.clone(), token.child_token());
                let serving = serve(shared, stream, container, ends.clone());
                tokio::spawn(ends.run_until_cancelled_owned(serving));
            }
            // No descriptor is free, or the process is gone already.
            Err(error) => {
                tracing::debug!(container, %error, "A process could not be accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// One connection, until it ends.
async fn serve(shared: Arc<Shared>, stream: UnixStream, container: String, ends: CancellationToken) {
    let (mut reads, writes) = stream.into_split();
    let joined = tokio::time::timeout(JOIN, read(&mut reads)).await;
    let Ok(Some(Request::Join { version: VERSION, card })) = joined else { return };
    let Some(member) = shared.join(container, card, writes, ends) else { return };
    // Also if this is cancelled.
    let _leaves = Leaves { shared: Arc::clone(&shared), member };
    let mut frames = 0;
    while let Some(request) = read(&mut reads).await {
        match request {
            Request::Join { .. } => return,
            Request::Want => shared.change(|state, now| state.turns.want(member, now)),
            Request::Done { grant, wants } => {
                shared.change(|state, now| state.turns.done(member, grant, wants, now));
            }
        }
        frames += 1;
        if frames % FRAMES == 0 {
            tokio::time::sleep(REST).await;
        }
    }
}

struct Leaves {
    shared: Arc<Shared>,
    member: MemberId,
}

impl Drop for Leaves {
    fn drop(&mut self) {
        self.shared.change(|state, now| {
            state.connections.remove(&self.member);
            state.turns.leave(self.member, now);
        });
    }
}

async fn read(reads: &mut OwnedReadHalf) -> Option<Request> {
    let mut frame = [0; FRAME];
    reads.read_exact(&mut frame).await.ok()?;
    Request::from_frame(&frame)
}

impl Shared {
    /// Nanoseconds since the arbiter began.
    fn now(&self) -> Time {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(Time::MAX)
    }

    fn join(
        &self,
        container: String,
        card: u32,
        writes: OwnedWriteHalf,
        ends: CancellationToken,
    ) -> Option<MemberId> {
        let mut state = self.state.lock();
        let connections = state.connections.values().filter(|other| other.container == container).count();
        let member = MemberId(state.last_member + 1);
        if connections >= CONNECTIONS || !state.turns.join(member, &container, usize::try_from(card).ok()?) {
            return None;
        }
        state.last_member = member.0;
        state.connections.insert(member, Connection { container, writes, ends });
        Some(member)
    }

    /// Something happened: what follows of it is sent.
    fn change(&self, change: impl FnOnce(&mut State, Time)) {
        let (mut state, now) = (self.state.lock(), self.now());
        change(&mut state, now);
        send(&mut state);
        let next = state.turns.next_at(now);
        if next.is_some_and(|next| state.armed.is_none_or(|armed| next < armed)) {
            state.armed = next;
            self.changed.notify_one();
        }
    }

    /// Decides when time alone is the reason, for ever.
    fn run_clock(&self) {
        let mut state = self.state.lock();
        loop {
            let now = self.now();
            state.turns.decide(now);
            send(&mut state);
            state.armed = state.turns.next_at(now);
            self.wait(&mut state);
        }
    }

    fn wait(&self, state: &mut MutexGuard<'_, State>) {
        loop {
            let Some(at) = state.armed else {
                self.changed.wait(state);
                continue;
            };
            let left = at.saturating_sub(self.now());
            if left == 0 || self.changed.wait_for(state, Duration::from_nanos(left)).timed_out() {
                return;
            }
        }
    }
}

fn send(state: &mut State) {
    for (member, grant) in state.turns.take_grants() {
        let Some(connection) = state.connections.get(&member) else { continue };
        if !sent(&connection.writes, grant) {
            // It does not read what it is sent, and is gone soon, or it means no good.
            connection.ends.cancel();
        }
    }
}

fn sent(writes: &OwnedWriteHalf, grant: Grant) -> bool {
    writes.try_write(&grant.to_frame()).is_ok_and(|bytes| bytes == FRAME)
}

#[cfg(test)]
mod tests;
