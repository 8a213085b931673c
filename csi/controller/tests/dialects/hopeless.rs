//! What no controller can do: dialects in which a call cannot be OK, so that a refusal is right and all other invariants hold;
//! and cells in which nobody can even know.

/// Calls that may be refused for ever.
pub(crate) struct Hopeless {
    pub(crate) dialect: &'static str,
    pub(crate) calls: &'static [&'static str],
}

const fn row(dialect: &'static str, calls: &'static [&'static str]) -> Hopeless {
    Hopeless { dialect, calls }
}

/// Which machine a node is can only be asked with op 17.
const MACHINES: &[&str] = &["publish", "unpublish"];

/// Snapshots can only be seen in their list.
const SNAPSHOTS: &[&str] = &["snapshot", "unsnapshot", "restore", "clone"];

pub(crate) const HOPELESS: &[Hopeless] = &[
    // A handle tells no region: that no region has the disk can only be said when all answer.
    row("one-region-hangs", &["delete again", "list"]),
    row("one-region-fails", &["delete again", "list"]),
    row("one-region-denied", &["delete again", "list"]),
    // All volumes can only be seen in the list.
    row("list-denied", &["list"]),
    row("list-under-another-key", &["list"]),
    row("list-is-an-empty-object", &["list"]),
    row("list-is-an-empty-array", &["list"]),
    row("list-has-no-payload", &["list"]),
    row("list-payload-is-null", &["list"]),
    row("list-is-null", &["list"]),
    row("list-of-ten-whatever-is-asked", &["list"]),
    row("list-with-one-token-again-and-again", &["list"]),
    row("list-omits-one-that-it-counts", &["list"]),
    // Whether a disk of the name exists cannot be read, so none may be ordered.
    row("by-name-under-another-key", &["create", "restore", "clone"]),
    row("by-name-is-an-empty-object", &["create", "restore", "clone"]),
    row("by-name-is-null", &["create", "restore", "clone"]),
    row("another-clusters-disk-of-the-name", &["create"]),
    // The disk of a name is counted and not shown.
    row("by-name-omits-one-that-it-counts", &["create again", "restore again", "clone again"]),
    // A disk that is not found by its name is found by the token alone, and a clone's order names a snapshot that is gone.
    row("name-cut", &["clone again"]),
    row("name-in-upper-case", &["clone again"]),
    row("name-with-a-suffix", &["clone again"]),
    row("name-with-a-suffix-and-found-by-the-whole", &["clone again"]),
    row("name-not-told-by-name", &["clone again"]),
    // Whether it has grown is not told.
    row("size-not-told", &["expand"]),
    row("size-is-null", &["expand"]),
    // A disk never is seen to be gone.
    row("refunded-disk-shown-for-ever", &["delete"]),
    row("refunded-disk-in-a-recycle-bin", &["delete"]),
    row("no-disk-is-an-unknown-900", &["delete"]),
    row("machines-under-another-key", MACHINES),
    row("machines-are-null", MACHINES),
    row("machines-omit-one-that-they-count", MACHINES),
    row("machine-pages-from-zero", MACHINES),
    row("machine-page-number-ignored", MACHINES),
    row("machine-not-listed", MACHINES),
    row("machine-address-null", MACHINES),
    row("machine-address-is-a-list", MACHINES),
    row("two-vpcs-with-one-address", MACHINES),
    row("machine-replaced-and-listed-as-deleted", MACHINES),
    row("snapshots-under-another-key", SNAPSHOTS),
    row("snapshots-are-an-empty-object", SNAPSHOTS),
    row("snapshots-omit-one-that-they-count", SNAPSHOTS),
    row("snapshots-with-one-token-again-and-again", SNAPSHOTS),
];

/// Dialects and operations in which the cloud hides what would have to be known; they are not run.
pub(crate) const UNKNOWABLE: &[(&str, &[&str])] = &[
    // Of what is neither listed nor counted nobody knows that it is missing.
    ("list-omits-one-and-does-not-count-it", &["list"]),
    // An order of a controller that was killed is neither seen, for minutes, nor known by its token.
    ("tokens-ignored-and-create-begins-late", &["kill4", "kill6"]),
    ("tokens-forgotten-and-create-unseen", &["kill4", "kill6"]),
    // Whose disk it is is not told.
    ("labels-not-told", &["foreign"]),
    ("labels-are-an-object", &["foreign"]),
    // The look-up by name ends with the first disk.
    ("by-name-omits-one-that-it-counts", &["kill4", "kill6"]),
];

/// Whether the cell is one of these, or of no interest: where nodes are the cloud does not tell.
pub(crate) fn not_run(dialect: &str, operation: &str) -> bool {
    let of_the_base = operation == "own-dc" && dialect != "base";
    of_the_base
        || UNKNOWABLE.iter().any(|(known, operations)| *known == dialect && operations.contains(&operation))
}
