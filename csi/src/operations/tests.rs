use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::*;

/// What the operations of these tests share: how many were started, and when they may end.
#[derive(Default)]
struct Counted {
    started: AtomicUsize,
    gate: Notify,
}

/// None of these operations fails by itself.
#[derive(Debug, thiserror::Error)]
enum Never {}

impl GrpcCode for Never {
    fn code(&self) -> Code {
        match *self {}
    }
}

#[derive(Debug, PartialEq)]
struct Attach {
    volume: &'static str,
    node: &'static str,
}

impl Operation<Counted> for Attach {
    type Output = &'static str;
    type Error = Never;
    const NAME: &'static str = "attach";

    fn key(&self) -> String {
        self.volume.to_owned()
    }

    fn on_conflict(_: bool) -> OnConflict {
        OnConflict::Abort
    }

    async fn run(self: Arc<Self>, context: Arc<Counted>) -> Result<&'static str, Never> {
        context.started.fetch_add(1, Ordering::SeqCst);
        context.gate.notified().await;
        Ok(self.node)
    }
}

#[derive(Debug, PartialEq)]
struct Detach(&'static str);

impl Operation<Counted> for Detach {
    type Output = usize;
    type Error = Never;
    const NAME: &'static str = "detach";

    fn key(&self) -> String {
        self.0.to_owned()
    }

    fn on_conflict(_: bool) -> OnConflict {
        OnConflict::Wait
    }

    async fn run(self: Arc<Self>, _: Arc<Counted>) -> Result<usize, Never> {
        Ok(4)
    }
}

/// Works on several volumes at once.
#[derive(Debug, PartialEq)]
struct Group(&'static [&'static str]);

impl Operation<Counted> for Group {
    type Output = usize;
    type Error = Never;
    const NAME: &'static str = "group";

    fn key(&self) -> String {
        "group".to_owned()
    }

    fn more_keys(&self) -> Vec<String> {
        self.0.iter().map(|volume| (*volume).to_owned()).collect()
    }

    fn on_conflict(_: bool) -> OnConflict {
        OnConflict::Wait
    }

    async fn run(self: Arc<Self>, context: Arc<Counted>) -> Result<usize, Never> {
        context.gate.notified().await;
        Ok(self.0.len())
    }
}

#[derive(Debug, PartialEq)]
struct Panics;

impl Operation<Counted> for Panics {
    type Output = ();
    type Error = Never;
    const NAME: &'static str = "panics";

    fn key(&self) -> String {
        "cd-1".to_owned()
    }

    fn on_conflict(_: bool) -> OnConflict {
        OnConflict::Wait
    }

    async fn run(self: Arc<Self>, _: Arc<Counted>) -> Result<(), Never> {
        blocking(|| panic!("bug")).await
    }
}

fn table() -> Operations<Counted> {
    Operations::new(Arc::default())
}

fn spawn<O: Operation<Counted>>(
    table: &Operations<Counted>,
    operation: O,
) -> tokio::task::JoinHandle<Result<O::Output, Status>> {
    let table = table.clone();
    tokio::spawn(async move { table.run(operation).await })
}

async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

const TO_A: Attach = Attach { volume: "cd-1", node: "a" };
const TO_B: Attach = Attach { volume: "cd-1", node: "b" };

#[tokio::test(start_paused = true)]
async fn a_hundred_retries_are_one_operation() {
    let table = table();
    let callers: Vec<_> = (0..100).map(|_| spawn(&table, TO_A)).collect();
    a_moment().await;
    table.context().gate.notify_one();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), "a");
    }
    assert_eq!(table.context().started.load(Ordering::SeqCst), 1);
    assert_eq!(table.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_leaves_the_work_and_its_lock() {
    let table = table();
    assert!(tokio::time::timeout(Duration::from_millis(5), table.run(TO_A)).await.is_err());
    assert_eq!(table.running(), 1);

    let conflict = table.run(TO_B).await.unwrap_err();
    assert_eq!(conflict.code(), Code::Aborted);
    let running = Interrupted::Conflict { key: "cd-1".into(), running: "attach" };
    assert_eq!(conflict.message(), running.to_string());
    assert_eq!(table.run(Detach("cd-2")).await.unwrap(), 4);

    let joined = spawn(&table, TO_A);
    let waits = spawn(&table, Detach("cd-1"));
    a_moment().await;
    assert!(!waits.is_finished());
    table.context().gate.notify_one();
    assert_eq!(joined.await.unwrap().unwrap(), "a");
    assert_eq!(waits.await.unwrap().unwrap(), 4);
    assert_eq!(table.context().started.load(Ordering::SeqCst), 1);
    table.idle().await;
}

#[tokio::test]
async fn a_panic_frees_the_place_and_is_an_unknown_outcome() {
    let table = table();
    let lost = table.run(Panics).await.unwrap_err();
    assert_eq!((lost.code(), lost.message()), (Code::Unavailable, Interrupted::Lost.to_string().as_str()));
    assert_eq!(table.run(Detach("cd-1")).await.unwrap(), 4);
    assert_eq!(table.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_operation_with_several_keys_waits_for_each_and_holds_them_all() {
    let table = table();
    let first = spawn(&table, TO_A);
    a_moment().await;
    let group = spawn(&table, Group(&["cd-0", "cd-1"]));
    let retry = spawn(&table, Group(&["cd-0", "cd-1"]));
    a_moment().await;
    // It waits for cd-1 and holds cd-0 meanwhile.
    assert_eq!(table.run(Attach { volume: "cd-0", node: "a" }).await.unwrap_err().code(), Code::Aborted);
    table.context().gate.notify_one();
    assert_eq!(first.await.unwrap().unwrap(), "a");
    a_moment().await;
    let waits = spawn(&table, Detach("cd-1"));
    a_moment().await;
    assert!(!waits.is_finished() && !group.is_finished());
    table.context().gate.notify_one();
    assert_eq!((group.await.unwrap().unwrap(), retry.await.unwrap().unwrap()), (2, 2));
    assert_eq!(waits.await.unwrap().unwrap(), 4);
    table.idle().await;
}
