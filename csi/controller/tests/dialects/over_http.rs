//! A volume's life with the client's own HTTP code, before a cloud on a socket: broken connections, halves of a body, redirects and odd pages
//! are real here. The cloud's time is ours times [`SPEED`], and what the client waits for is shorter by as much.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eck_csi::cluster::ClusterIdentity;
use eck_csi::volume::Region;
use eck_csi_controller::driver::Driver;
use eck_csi_controller::service::Controller;
use ecx::profile::Poll;
use ecx::{Client, Connection, Credentials, Profile};
use futures::StreamExt as _;
use second_cloud::{Cloud, Dialect, HOME, REGIONS, Served, World};

use crate::call::{Call, From, Place, Told};
use crate::hopeless::HOPELESS;

/// Seconds of the cloud's in one of ours.
const SPEED: u32 = 20;

/// A call that is not OK by then never is.
const IN_TIME: Duration = Duration::from_secs(60);

/// Lives at the same time: they wait more than they work.
const AT_ONCE: usize = 16;

/// A pause that the cloud asks for is of our time, and longer than this test.
const TOO_LONG: &str = "throttled-for-50-minutes";

const NAME: &str = "pvc-0f3f1d9e-0acf-4a0e-a5d4-8fb1f43e62e1";

/// A cloud, and a controller that reaches it by HTTP.
struct Stage {
    name: &'static str,
    cloud: Arc<Cloud>,
    served: Served,
    controller: Controller,
}

impl Stage {
    async fn new(name: &'static str, dialect: Dialect) -> Self {
        let cloud = Arc::new(Cloud::new(&dialect));
        let served = Served::start(Arc::clone(&cloud), SPEED).await.unwrap();
        cloud.speak(dialect, &[NAME]);
        let shorter = |ms: u64| ms / u64::from(SPEED);
        let default = Profile::default();
        let Poll { first_ms, factor, max_ms, give_up_ms } = default.poll;
        let profile = Profile {
            base_url: served.url().to_owned(),
            reads_lag_ms: shorter(default.reads_lag_ms),
            http_timeout_ms: shorter(default.http_timeout_ms),
            poll: Poll {
                first_ms: shorter(first_ms),
                factor,
                max_ms: shorter(max_ms),
                give_up_ms: shorter(give_up_ms),
            },
            rate_per_second: default.max_rate_per_second,
            burst: default.max_rate_per_second,
            ..default
        };
        let credentials = Credentials::new(&cloud.key(), "sk");
        let client = Arc::new(Client::new(profile, credentials, &Connection::new(true)).unwrap());
        let regions = REGIONS.iter().map(|code| Region::parse("region", code).unwrap()).collect();
        let driver = Driver::new(client, ClusterIdentity::of("test"), regions);
        Self { name, cloud, served, controller: Controller::new(Arc::new(driver)) }
    }

    fn truth(&self) -> World {
        self.cloud.truth(self.served.now())
    }

    /// Whether a call of the kind may be refused for ever.
    fn is_hopeless(&self, kind: &str) -> bool {
        HOPELESS.iter().any(|row| row.dialect == self.name && row.calls.contains(&kind))
    }

    /// What the call tells when it is OK, which is judged by the truth of that moment; `None` where it need not be.
    async fn until_ok(&self, call: Call, true_now: impl Fn(&World) -> bool) -> Result<Option<Told>, String> {
        if self.is_hopeless(call.kind()) {
            return Ok(None);
        }
        let began = Instant::now();
        loop {
            let left = IN_TIME.saturating_sub(began.elapsed());
            let ended = tokio::time::timeout(left, call.clone().send(self.controller.clone())).await;
            match ended.map_err(|_| format!("{}: {} does not end", self.name, call.kind()))? {
                Ok(told) if true_now(&self.truth()) => return Ok(Some(told)),
                Ok(_) => return Err(format!("{}: {} is OK and it is not so", self.name, call.kind())),
                Err(_) if began.elapsed() < IN_TIME => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(status) => return Err(format!("{}: {} is never OK: {status}", self.name, call.kind())),
            }
        }
    }

    async fn life(&self) -> Result<(), String> {
        let create = Call::Create { name: NAME.to_owned(), from: From::Nothing, place: Place::Home };
        let one = |world: &World| {
            world.disks.iter().filter(|disk| disk.bought && disk.exists() && disk.asked == NAME).count() == 1
        };
        let Some(Told::Id(volume)) = self.until_ok(create, one).await? else { return Ok(()) };
        let (machine, node) = (format!("evm-ours-{HOME}-6"), format!("{HOME}.172.16.0.6"));
        let holder = |world: &World| world.disk(&volume).and_then(|disk| disk.holder.clone());
        let publish = Call::Publish { volume: volume.clone(), node: node.clone() };
        self.until_ok(publish, |world| holder(world).as_ref() == Some(&machine)).await?;
        let unpublish = Call::Unpublish { volume: volume.clone(), node };
        self.until_ok(unpublish, |world| holder(world).is_none()).await?;
        let gone = |world: &World| world.disk(&volume).is_none_or(|disk| !disk.exists());
        self.until_ok(Call::Delete { volume: volume.clone() }, gone).await?;
        Ok(())
    }
}

async fn life((name, dialect): (&'static str, Dialect)) -> Result<(), String> {
    let stage = Stage::new(name, dialect).await;
    stage.life().await?;
    let bought = stage.truth().disks.iter().filter(|disk| disk.bought).count();
    if bought > 1 { Err(format!("{name}: {bought} disks were bought")) } else { Ok(()) }
}

/// Lives in all dialects of these families but one; what is wrong.
pub(crate) async fn lives(families: &[&[second_cloud::Named]]) -> Vec<String> {
    let dialects = families.iter().flat_map(|family| family.iter()).filter(|(name, _)| *name != TOO_LONG);
    let dialects = dialects.map(|(name, make)| (*name, make()));
    let lives = futures::stream::iter(dialects.map(life)).buffer_unordered(AT_ONCE);
    lives.filter_map(async |ended| ended.err()).collect().await
}
