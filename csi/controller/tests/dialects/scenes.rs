//! The operations: each begins with what it needs, made while the base was spoken, and is judged in the dialect.

use std::time::Duration;

use second_cloud::HOME;
use tokio::time::sleep;

use crate::call::Call;
use crate::judge;
use crate::rig::Rig;
use crate::sidecar::until_ok;

/// Long enough for every order to end.
const LONG: Duration = Duration::from_secs(1800);

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Publish,
    Unpublish,
    Delete,
    Publish3,
    Unpublish3,
    Delete3,
    Life,
}

impl Operation {
    pub(crate) const ALL: [Self; 8] = [
        Self::Create,
        Self::Publish,
        Self::Unpublish,
        Self::Delete,
        Self::Publish3,
        Self::Unpublish3,
        Self::Delete3,
        Self::Life,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Publish => "publish",
            Self::Unpublish => "unpublish",
            Self::Delete => "delete",
            Self::Publish3 => "publish3",
            Self::Unpublish3 => "unpublish3",
            Self::Delete3 => "delete3",
            Self::Life => "life",
        }
    }
}

/// What the operation breaks.
pub(crate) async fn run(rig: &mut Rig, operation: Operation) -> Vec<String> {
    if std::env::var_os("DIALECT").is_some() {
        eprintln!("  {}", operation.name());
    }
    match operation {
        Operation::Create => create(rig).await,
        Operation::Publish => publish(rig, 1).await,
        Operation::Publish3 => publish(rig, 3).await,
        Operation::Unpublish => unpublish(rig, 1).await,
        Operation::Unpublish3 => unpublish(rig, 3).await,
        Operation::Delete => delete(rig, 1).await,
        Operation::Delete3 => delete(rig, 3).await,
        Operation::Life => life(rig).await,
    }
    std::mem::take(&mut rig.broken)
}

fn names(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("pvc-0f3f1d9e-0acf-4a0e-a5d4-8fb1f43e62e{number}")).collect()
}

fn node(number: usize) -> String {
    format!("{HOME}.172.16.0.{}", 6 + number)
}

fn publishes(volumes: &[String]) -> Vec<Call> {
    let call = |(at, volume): (usize, &String)| Call::Publish { volume: volume.clone(), node: node(at) };
    volumes.iter().enumerate().map(call).collect()
}

fn unpublishes(volumes: &[String]) -> Vec<Call> {
    let call = |(at, volume): (usize, &String)| Call::Unpublish { volume: volume.clone(), node: node(at) };
    volumes.iter().enumerate().map(call).collect()
}

fn deletes(volumes: &[String]) -> Vec<Call> {
    volumes.iter().map(|volume| Call::Delete { volume: volume.clone() }).collect()
}

/// Volumes that are there, attached or not, and long since; then the dialect begins.
async fn before(rig: &mut Rig, count: usize, attached: bool) -> Vec<String> {
    let controller = rig.controller();
    let mut volumes = Vec::new();
    for name in names(count) {
        let made = until_ok(rig, &controller, vec![Call::Create { name }]).await;
        volumes.extend(made.into_iter().flatten());
    }
    if attached {
        for call in publishes(&volumes) {
            until_ok(rig, &controller, vec![call]).await;
        }
    }
    sleep(LONG).await;
    rig.speak(&names(count));
    volumes
}

/// The calls, and all of them again, to the same controller and to another one: what was done is done.
async fn thrice(rig: &mut Rig, calls: Vec<Call>) -> Vec<String> {
    let controller = rig.controller();
    let done: Vec<String> = until_ok(rig, &controller, calls.clone()).await.into_iter().flatten().collect();
    rig.again = true;
    for other in [false, true] {
        let controller = if other { rig.controller() } else { controller.clone() };
        if done.len() == calls.len() && !rig.over {
            until_ok(rig, &controller, calls.clone()).await;
        }
    }
    done
}

async fn create(rig: &mut Rig) {
    rig.speak(&names(1));
    let calls = names(1).into_iter().map(|name| Call::Create { name }).collect();
    let made = thrice(rig, calls).await;
    sleep(LONG).await;
    judge::end(rig, &names(1), !made.is_empty());
}

async fn publish(rig: &mut Rig, count: usize) {
    let volumes = before(rig, count, false).await;
    thrice(rig, publishes(&volumes)).await;
    judge::end(rig, &names(count), true);
}

async fn unpublish(rig: &mut Rig, count: usize) {
    let volumes = before(rig, count, true).await;
    thrice(rig, unpublishes(&volumes)).await;
    judge::end(rig, &names(count), true);
}

async fn delete(rig: &mut Rig, count: usize) {
    let volumes = before(rig, count, false).await;
    thrice(rig, deletes(&volumes)).await;
    judge::end(rig, &names(count), true);
}

/// A volume's whole life, each step with another controller.
async fn life(rig: &mut Rig) {
    rig.speak(&names(1));
    let name = names(1).remove(0);
    let controller = rig.controller();
    let made = until_ok(rig, &controller, vec![Call::Create { name }]).await;
    let made: Vec<String> = made.into_iter().flatten().collect();
    for calls in [publishes(&made), unpublishes(&made), deletes(&made)] {
        if !rig.over {
            let controller = rig.controller();
            until_ok(rig, &controller, calls).await;
        }
    }
    sleep(LONG).await;
    judge::end(rig, &names(1), false);
}
