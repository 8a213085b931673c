use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::*;

#[derive(Debug, PartialEq)]
enum Ask {
    Attach(&'static str),
    Detach,
}

impl Request for Ask {
    fn name(&self) -> &'static str {
        match self {
            Self::Attach(_) => "attach",
            Self::Detach => "detach",
        }
    }

    fn rule(&self, _running: &Self) -> Rule {
        match self {
            Self::Attach(_) => Rule::Abort,
            Self::Detach => Rule::Wait,
        }
    }
}

type Table = Operations<Ask, usize>;

#[tokio::test(start_paused = true)]
async fn a_hundred_retries_are_one_operation() {
    let table = Table::default();
    let started = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(Notify::new());
    let mut callers = Vec::new();
    for _ in 0..100 {
        let (table, started, gate) = (table.clone(), Arc::clone(&started), Arc::clone(&gate));
        callers.push(tokio::spawn(async move {
            let work = |_| async move {
                started.fetch_add(1, Ordering::SeqCst);
                gate.notified().await;
                7
            };
            table.run("cd-1", Ask::Attach("a"), work).await
        }));
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    gate.notify_one();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Ok(7));
    }
    assert_eq!(started.load(Ordering::SeqCst), 1);
    assert_eq!(table.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_leaves_the_work_and_its_lock() {
    let table = Table::default();
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let work = |_| async move {
        held.notified().await;
        1
    };
    let call = table.run("cd-1", Ask::Attach("a"), work);
    assert!(tokio::time::timeout(Duration::from_millis(5), call).await.is_err());
    assert_eq!(table.running(), 1);

    let conflict = table.run("cd-1", Ask::Attach("b"), |_| async { 2 }).await;
    assert_eq!(conflict, Err(Interrupted::Conflict { key: "cd-1".into(), running: "attach".into() }));
    assert_eq!(table.run("cd-2", Ask::Attach("b"), |_| async { 3 }).await, Ok(3));

    let joined = tokio::spawn({
        let table = table.clone();
        async move { table.run("cd-1", Ask::Attach("a"), |_| async { 99 }).await }
    });
    let waits = tokio::spawn({
        let table = table.clone();
        async move { table.run("cd-1", Ask::Detach, |_| async { 4 }).await }
    });
    tokio::time::sleep(Duration::from_millis(1)).await;
    gate.notify_one();
    assert_eq!(joined.await.unwrap(), Ok(1));
    assert_eq!(waits.await.unwrap(), Ok(4));
    table.idle().await;
}

#[tokio::test]
async fn a_panic_frees_the_place_and_is_an_unknown_outcome() {
    let table = Table::default();
    let lost = table.run("cd-1", Ask::Detach, |_| async { panic!("bug") }).await;
    assert_eq!(lost, Err(Interrupted::Lost));
    assert_eq!(table.run("cd-1", Ask::Detach, |_| async { 5 }).await, Ok(5));
}
