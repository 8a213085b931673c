//! The cloud's profile, a file of the operator's.

use std::time::Duration;

use ecx::Profile;
use ecx::api::Op;
use ecx::throttle::Budget;

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(profile) = toml::from_str::<Profile>(text) else { return };
    // A pause never ends the program, whether the profile was checked or not.
    let mut pause = profile.poll.next(None);
    for _ in 0..8 {
        pause = profile.poll.next(Some(pause));
        assert!(pause <= Duration::from_millis(profile.poll.max_ms.max(profile.poll.first_ms)));
    }
    if let Err(bad) = profile.check() {
        assert!(!bad.field.is_empty() && !bad.allowed.is_empty());
        return;
    }
    let Ok(written) = toml::to_string(&profile) else { return };
    assert_eq!(toml::from_str::<Profile>(&written).as_ref(), Ok(&profile), "written and read");
    let budget = Budget::new(profile.limits());
    budget.throttled(Some(profile.poll.give_up()));
    assert!(budget.rate() > 0.0 && budget.rate() <= profile.rate_per_second);
    assert!(
        Op::ALL.iter().all(|op| !profile.has(*op)
            || profile.paths.contains_key(op)
            || profile.path(*op).starts_with('/'))
    );
}
