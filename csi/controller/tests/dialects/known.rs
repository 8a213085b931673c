//! What the controller does not keep today, each with its number in the findings of issue 18. The list may only shrink: an
//! entry whose operation breaks nothing any more fails the test.

/// Operations that break something in a dialect.
pub(crate) struct Known {
    pub(crate) dialect: &'static str,
    pub(crate) operations: &'static [&'static str],
    pub(crate) finding: &'static str,
}

const fn row(finding: &'static str, dialect: &'static str, operations: &'static [&'static str]) -> Known {
    Known { finding, dialect, operations }
}

pub(crate) const KNOWN: &[Known] = &[
    row("C1", "one-region-hangs", &["create", "life"]),
    row("C1", "one-region-fails", &["create", "life"]),
    row("A1", "list-under-another-key", &["publish3", "unpublish3", "delete3"]),
    row("A1", "list-is-an-empty-object", &["publish3", "unpublish3", "delete3"]),
    row("A1", "list-is-an-empty-array", &["publish3", "unpublish3", "delete3"]),
    row("A1", "list-has-no-payload", &["publish3", "unpublish3", "delete3"]),
    row("A1", "list-is-null", &["publish3", "unpublish3", "delete3"]),
    row("A1", "list-of-ten-whatever-is-asked", &["publish3", "unpublish3", "delete3"]),
    row("C3", "list-with-one-token-again-and-again", &["publish3", "unpublish3", "delete3"]),
    row("A1", "list-omits-one-that-it-counts", &["unpublish3", "delete3"]),
    row("A1", "list-omits-one-and-does-not-count-it", &["unpublish3", "delete3"]),
    row("A1", "by-name-under-another-key", &["create", "life"]),
    row("A4", "machines-under-another-key", &["unpublish", "unpublish3"]),
    row("A4", "machine-pages-from-zero", &["unpublish", "unpublish3"]),
    row("C3", "machine-page-number-ignored", &["publish3", "unpublish3"]),
    row(
        "A3",
        "id-with-another-prefix",
        &["publish", "unpublish", "delete", "publish3", "unpublish3", "delete3", "life"],
    ),
    row(
        "A3",
        "id-in-upper-case",
        &["publish", "unpublish", "delete", "publish3", "unpublish3", "delete3", "life"],
    ),
    row(
        "A3",
        "id-is-a-uuid",
        &["publish", "unpublish", "delete", "publish3", "unpublish3", "delete3", "life"],
    ),
    row("A6", "name-cut", &["create", "life"]),
    row("A6", "name-not-told-by-name", &["create", "life"]),
    row("A4", "holder-not-told", &["publish", "unpublish", "publish3", "unpublish3", "life"]),
    row("A8", "size-not-told", &["create"]),
    row("A8", "type-not-told", &["create"]),
    row("C4", "one-disk-with-a-null-size", &["publish3", "unpublish3", "delete3"]),
    row("A5", "tokens-ignored-and-create-reply-lost", &["create", "life"]),
    row("D1", "create-fails-late", &["create", "life"]),
    row("C3", "attach-begins-after-20-s", &["publish", "publish3", "life"]),
    row("C3", "detach-begins-after-20-s", &["unpublish", "unpublish3", "life"]),
    row("A4", "detach-says-bc-0008", &["unpublish", "unpublish3", "life"]),
    row("A4", "refund-says-not-found", &["delete", "delete3", "life"]),
    row("D4", "not-attached-is-an-unknown-400", &["unpublish", "unpublish3"]),
    row("A4", "machine-not-listed", &["unpublish", "unpublish3"]),
    row("B1", "two-vpcs-with-one-address", &["publish", "unpublish", "publish3", "unpublish3", "life"]),
    row("A4", "machine-address-null", &["unpublish", "unpublish3"]),
    row("B2", "another-clusters-disk-of-the-name", &["create", "life"]),
    row("A7", "keys-rotate-before-the-order", &["create"]),
    row("A7", "keys-rotate-after-the-order", &["create", "life"]),
];
