//! A cloud of tests, which says what it is told to say.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ecx::transport::{Exchange, Incoming, Outgoing, Transport};
use ecx::{Client, Credentials, Profile};

/// HTTP statuses and bodies, in the order in which they are asked for.
struct Script(Mutex<VecDeque<(u16, String)>>);

impl Transport for Script {
    fn exchange(&self, _: Outgoing) -> Exchange<'_> {
        let (http, body) = self.0.lock().unwrap().pop_front().expect("one reply more is asked for");
        Box::pin(async move { Ok(Incoming { http, retry_after: None, body: body.into_bytes() }) })
    }

    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_767_225_600)
    }

    fn random(&self) -> u128 {
        1
    }
}

/// A client of a cloud that gives these replies.
pub(crate) fn scripted(replies: impl IntoIterator<Item = (u16, String)>) -> Client {
    let script = Script(Mutex::new(replies.into_iter().collect()));
    let profile = Profile { attempts: 1, ..Profile::default() };
    Client::over(Arc::new(script), profile, Credentials::new("ak", "sk"))
}
