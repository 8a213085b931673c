//! Every dialect of the second cloud: something of it is named, or it stands here with the reason why nothing can be.

use eckctl::args::Format;
use second_cloud::DIALECTS;

use crate::dialects::checked;
use crate::trial::{args, tried};

/// Dialects of which nothing differs, each group with its reason.
const UNNAMED: &[(&str, &[&str])] = &[
    ("it is what the client assumes", &["base"]),
    (
        "one request goes wrong and no other: that is the weather and not the cloud",
        &[
            "create-reply-lost",
            "restore-reply-lost",
            "detach-reply-lost",
            "refund-reply-lost",
            "resize-reply-lost",
            "snapshot-reply-lost",
            "unsnapshot-reply-lost",
            "detach-reply-empty",
            "refund-reply-empty",
            "list-reply-of-8-mib",
            "info-reply-without-end",
            "detach-done-and-refused-by-an-unknown-word",
            "refund-done-and-refused-by-an-unknown-word",
            "gateway-fails-now-and-then",
            "redirected-to-a-login",
            "a-page-with-200",
            "throttled-for-50-minutes",
            "create-lost-then-denied",
            "info-denied-once",
            "refund-says-an-unknown-900",
        ],
    ),
    (
        "it takes longer, and less than the client waits: the line that fits tells how long",
        &[
            "create-begins-after-30-s",
            "create-unseen-for-20-s",
            "refund-begins-after-30-s",
            "refund-unseen-for-20-s",
            "refunded-disk-shown-for-2-min",
            "resize-begins-after-30-s",
            "resize-unseen-for-20-s",
            "snapshot-begins-after-30-s",
            "snapshots-lag-20-s",
            "attach-begins-after-20-s",
            "attach-unseen-for-20-s",
            "detach-begins-after-20-s",
            "detach-held-by-the-guest-for-3-min",
        ],
    ),
    (
        "the paper has both, and the client takes both",
        &[
            "create-tells-only-an-order",
            "list-total-is-text",
            "instance-not-told",
            "source-not-told",
            "source-is-null",
            "state-in-upper-case",
            "states-of-the-other-list",
            "refund-order-says-12-and-13",
            "no-disk-is-not-found",
            "no-disk-is-bc-0008",
        ],
    ),
    (
        "the job says otherwise than the disk, whose word counts; only that of an attach is asked",
        &["detach-done-and-said-to-fail"],
    ),
    (
        "it shows only where there is more than one snapshot, a cluster, or a machine that is replaced",
        &[
            "snapshots-with-one-token-again-and-again",
            "machine-replaced",
            "machine-replaced-and-listed-as-deleted",
            "another-clusters-disk-of-the-name",
        ],
    ),
];

#[tokio::test(start_paused = true)]
async fn every_dialect_is_named_or_has_a_reason() {
    let (mut wrong, mut named) = (Vec::new(), 0);
    let reason = |name: &str| UNNAMED.iter().find(|(_, dialects)| dialects.contains(&name)).map(|row| row.0);
    for (name, dialect) in DIALECTS.iter().flat_map(|family| family.iter()) {
        let mut differs = checked(dialect()).await.with("differs");
        if differs.is_empty() {
            differs = tried(dialect(), &args(Format::Json), None).await.0.with("differs");
        }
        named += usize::from(!differs.is_empty());
        match reason(name) {
            None if differs.is_empty() => wrong.push(format!("{name}: nothing is named")),
            Some(reason) if !differs.is_empty() => {
                wrong.push(format!("{name}: {reason}? {}", differs.join("; ")));
            }
            None | Some(_) => {}
        }
    }
    let unnamed: usize = UNNAMED.iter().map(|(_, dialects)| dialects.len()).sum();
    println!("{named} dialects are named, {unnamed} have a reason");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let all: usize = DIALECTS.iter().map(|family| family.len()).sum();
    assert_eq!(named + unnamed, all, "a reason is of no dialect, or of one twice");
}
