//! The budget against clouds that enforce a rate, in paused time.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::*;

/// As the profile has them.
const LIMITS: Limits = Limits { start: 10.0, floor: 0.5, ceiling: 100.0, burst: 20.0 };

/// Never grows.
const FIXED: Limits = Limits { ceiling: 10.0, ..LIMITS };

/// A gateway that lets `rate` requests a second pass, and `burst` at once.
struct Gateway {
    rate: Mutex<f64>,
    burst: f64,
    bucket: Mutex<(f64, Instant)>,
    passed: AtomicU64,
    refused: AtomicU64,
}

impl Gateway {
    fn new(rate: f64, burst: f64) -> Self {
        let bucket = Mutex::new((burst, Instant::now()));
        Self { rate: Mutex::new(rate), burst, bucket, passed: AtomicU64::new(0), refused: AtomicU64::new(0) }
    }

    fn take(&self) -> bool {
        let mut bucket = self.bucket.lock();
        let gained = bucket.1.elapsed().as_secs_f64() * *self.rate.lock();
        *bucket = ((bucket.0 + gained).min(self.burst), Instant::now());
        let passes = bucket.0 >= 1.0;
        if passes {
            bucket.0 -= 1.0;
        }
        let count = if passes { &self.passed } else { &self.refused };
        count.fetch_add(1, Ordering::Relaxed);
        passes
    }
}

/// Fifty callers that ask without end, each a question at a time that is answered after `latency`.
fn load(budget: &Arc<Budget>, gateway: &Arc<Gateway>, latency: Duration) {
    for _ in 0..50 {
        let (budget, gateway) = (Arc::clone(budget), Arc::clone(gateway));
        tokio::spawn(async move {
            loop {
                budget.turn(Priority::Normal).await;
                tokio::time::sleep(latency / 2).await;
                let passes = gateway.take();
                tokio::time::sleep(latency / 2).await;
                if passes { budget.succeeded() } else { budget.throttled(None) }
            }
        });
    }
}

/// Requests that passed and that were refused in the next `seconds`.
async fn count(gateway: &Gateway, seconds: u64) -> (f64, f64) {
    let read = || [&gateway.passed, &gateway.refused].map(|count| count.load(Ordering::Relaxed) as f64);
    let before = read();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let after = read();
    (after[0] - before[0], after[1] - before[1])
}

#[tokio::test(start_paused = true)]
async fn it_settles_near_the_clouds_limit_with_few_refusals() {
    for limit in [2.0, 10.0, 60.0] {
        for burst in [limit, 20.0] {
            for ms in [20, 400] {
                let (budget, gateway) = (Arc::new(Budget::new(LIMITS)), Arc::new(Gateway::new(limit, burst)));
                load(&budget, &gateway, Duration::from_millis(ms));
                let (_, searching) = count(&gateway, 60).await;
                let (passed, refused) = count(&gateway, 120).await;
                let (used, share) = (passed / 120.0 / limit, refused / passed);
                let told = format!("{limit}/s, burst {burst}, {ms} ms: {used:.3} used, {share:.4} refused");
                assert!(used > 0.85 && share < 0.06 && searching <= 40.0, "{told}, {searching} before");
                assert!((0.7 * limit..1.5 * limit).contains(&budget.rate()), "{told}: {}", budget.rate());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn it_follows_a_limit_that_falls_and_one_that_is_raised() {
    let (budget, gateway) = (Arc::new(Budget::new(LIMITS)), Arc::new(Gateway::new(30.0, 30.0)));
    load(&budget, &gateway, Duration::from_millis(50));
    for (limit, seconds) in [(30.0, 120), (6.0, 60), (40.0, 120), (15.0, 60)] {
        *gateway.rate.lock() = limit;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let rate = budget.rate();
        assert!((0.7 * limit..1.5 * limit).contains(&rate), "{limit}/s: {rate}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_of_the_cloud_it_grows_to_the_ceiling_and_not_beyond() {
    let (budget, gateway) = (Arc::new(Budget::new(LIMITS)), Arc::new(Gateway::new(1e6, 1e6)));
    load(&budget, &gateway, Duration::from_millis(100));
    let (passed, _) = count(&gateway, 20).await;
    assert!(passed > 3.0 * 10.0 * 20.0, "{passed}: a fixed rate lets 220 pass");
    let (passed, _) = count(&gateway, 60).await;
    assert!(budget.rate() <= LIMITS.ceiling && passed <= 60.5 * LIMITS.ceiling + LIMITS.burst, "{passed}");
}

#[tokio::test(start_paused = true)]
async fn it_never_falls_below_the_floor_and_comes_back() {
    let budget = Budget::new(LIMITS);
    for _ in 0..100 {
        budget.throttled(Some(Duration::from_secs(1)));
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert!((budget.rate() - LIMITS.floor).abs() < 1e-9, "{}", budget.rate());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_stand_in_line_learns_nothing() {
    let budget = Budget::new(LIMITS);
    for _ in 0..100 {
        budget.turn(Priority::Normal).await;
        budget.succeeded();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!((budget.rate() - LIMITS.start).abs() < 1e-9, "{}", budget.rate());
}

#[tokio::test(start_paused = true)]
async fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
    let budget = Budget::new(FIXED);
    let start = Instant::now();
    for _ in 0..20 {
        budget.turn(Priority::Normal).await;
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    for _ in 0..10 {
        budget.turn(Priority::Normal).await;
    }
    let elapsed = start.elapsed().as_millis();
    assert!((990..=1020).contains(&elapsed), "{elapsed}");
}

#[tokio::test(start_paused = true)]
async fn one_flight_of_refusals_counts_once_and_holds_everybody() {
    let budget = Budget::new(LIMITS);
    budget.throttled(Some(Duration::from_secs(3)));
    budget.throttled(Some(Duration::from_secs(3)));
    assert!((budget.rate() - 5.0).abs() < 1e-9, "{}", budget.rate());
    let start = Instant::now();
    budget.turn(Priority::Normal).await;
    assert!(start.elapsed() >= Duration::from_secs(3));
    budget.turn(Priority::Normal).await;
    assert!(start.elapsed() >= Duration::from_millis(3390), "what was held goes at the rate, not at once");
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_in_line_is_passed_over() {
    let budget = Arc::new(Budget::new(Limits { burst: 1.0, ..FIXED }));
    budget.turn(Priority::Normal).await;
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let budget = Arc::clone(&budget);
            tokio::spawn(async move { budget.turn(Priority::Normal).await })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(budget.in_line(), 3);
    waiting[0].abort();
    waiting[1].abort();
    let start = Instant::now();
    for waiting in waiting {
        drop(waiting.await);
    }
    assert!(start.elapsed() < Duration::from_millis(110) && budget.in_line() == 0, "{:?}", start.elapsed());
}

/// Requests of low priority without end, from so many callers.
fn low(budget: &Arc<Budget>, callers: usize) -> Arc<AtomicU64> {
    let sent = Arc::new(AtomicU64::new(0));
    for _ in 0..callers {
        let (budget, sent) = (Arc::clone(budget), Arc::clone(&sent));
        tokio::spawn(async move {
            loop {
                budget.turn(Priority::Low).await;
                sent.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    sent
}

#[tokio::test(start_paused = true)]
async fn low_priority_has_what_others_leave_and_keeps_nobody_waiting() {
    let budget = Arc::new(Budget::new(FIXED));
    let sent = low(&budget, 20);
    tokio::time::sleep(Duration::from_secs(10)).await;
    // Half of the burst, and all of the rate.
    let alone = sent.load(Ordering::Relaxed);
    assert!((105..=112).contains(&alone), "{alone}");
    // What is kept of the burst goes at once.
    for _ in 0..9 {
        let began = Instant::now();
        budget.turn(Priority::Normal).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn low_priority_has_a_small_share_whatever_others_do() {
    let budget = Arc::new(Budget::new(FIXED));
    let gateway = Arc::new(Gateway::new(1000.0, 1000.0));
    load(&budget, &gateway, Duration::from_millis(10));
    let sent = low(&budget, 20);
    tokio::time::sleep(Duration::from_secs(100)).await;
    let low = sent.load(Ordering::Relaxed);
    assert!((45..=55).contains(&low), "{low} of a thousand");
}
