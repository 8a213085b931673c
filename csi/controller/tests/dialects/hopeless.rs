//! What no controller can do: dialects in which a call cannot be OK, so that a refusal is right and all other invariants hold;
//! and cells in which nobody can even know.

/// Calls that may be refused for ever, if the refusal says what is otherwise.
pub(crate) struct Hopeless {
    pub(crate) dialect: &'static str,
    pub(crate) calls: &'static [&'static str],
    /// Words of it: the key or the answer that is otherwise, or where it is.
    pub(crate) says: &'static str,
}

const fn row(dialect: &'static str, calls: &'static [&'static str], says: &'static str) -> Hopeless {
    Hopeless { dialect, calls, says }
}

/// Which machine a node is can only be asked with op 17.
const MACHINES: &[&str] = &["publish", "unpublish"];

/// Snapshots can only be seen in their list.
const SNAPSHOTS: &[&str] = &["snapshot", "unsnapshot", "restore", "clone"];

pub(crate) const HOPELESS: &[Hopeless] = &[
    // A handle tells no region: that no region has the disk can only be said when all answer.
    row("one-region-hangs", &["delete again", "list"], "in fj-xiamen-4"),
    row("one-region-fails", &["delete again", "list"], "in fj-xiamen-4"),
    row("one-region-denied", &["delete again", "list"], "in fj-xiamen-4"),
    // All volumes can only be seen in the list.
    row("list-denied", &["list"], "ListDisks in "),
    row("list-under-another-key", &["list"], "missing field `diskList`; there is: currentCount, disks"),
    row("list-is-an-empty-object", &["list"], "missing field `diskList`; it is an empty object"),
    row("list-is-an-empty-array", &["list"], "it is a list"),
    row("list-has-no-payload", &["list"], "without what was asked for in `returnObj`"),
    row("list-payload-is-null", &["list"], "without what was asked for in `returnObj`"),
    row("list-is-null", &["list"], "the list of disks of "),
    row("list-of-ten-whatever-is-asked", &["list"], "the list of disks of "),
    row("list-with-one-token-again-and-again", &["list"], "no end: page"),
    row("list-omits-one-that-it-counts", &["list"], "the list of disks of "),
    // Whether a disk of the name exists cannot be read, so none may be ordered.
    row(
        "by-name-under-another-key",
        &["create", "restore", "clone"],
        "missing field `diskList`; there is: currentCount, disks",
    ),
    row(
        "by-name-is-an-empty-object",
        &["create", "restore", "clone"],
        "missing field `diskList`; it is an empty object",
    ),
    row("by-name-is-null", &["create", "restore", "clone"], "FindDiskByName"),
    row("another-clusters-disk-of-the-name", &["create"], "is another cluster's"),
    // The disk of a name is counted and not shown.
    row(
        "by-name-omits-one-that-it-counts",
        &["create again", "restore again", "clone again"],
        "FindDiskByName",
    ),
    // A disk that is not found by its name is found by the token alone, and a clone's order names a snapshot that is gone.
    row("name-cut", &["clone again"], "FindDiskByName"),
    row("name-in-upper-case", &["clone again"], "FindDiskByName"),
    row("name-with-a-suffix", &["clone again"], "FindDiskByName"),
    row("name-with-a-suffix-and-found-by-the-whole", &["clone again"], "FindDiskByName"),
    row("name-not-told-by-name", &["clone again"], "FindDiskByName"),
    // Whether it has grown is not told.
    row("size-not-told", &["expand"], "does not tell the size"),
    row("size-is-null", &["expand"], "does not tell the size"),
    // A disk never is seen to be gone.
    row("refunded-disk-shown-for-ever", &["delete"], "available"),
    row("refunded-disk-in-a-recycle-bin", &["delete"], "recycled"),
    row("no-disk-is-an-unknown-900", &["delete"], "ebs.something.newSince"),
    row("machines-under-another-key", MACHINES, "missing field `results`; there is: currentCount, items"),
    row("machines-are-null", MACHINES, "the list of machines of "),
    row("machines-omit-one-that-they-count", MACHINES, "the list of machines of "),
    row("machine-pages-from-zero", MACHINES, "the list of machines of "),
    row("machine-page-number-ignored", MACHINES, "the list of machines of "),
    row("machine-not-listed", MACHINES, "`privateIP`"),
    row("machine-address-null", MACHINES, "`privateIP`"),
    row("machine-address-is-a-list", MACHINES, "the list of machines of "),
    row("two-vpcs-with-one-address", MACHINES, "they have its address"),
    row("machine-replaced-and-listed-as-deleted", MACHINES, "`privateIP`"),
    row("snapshots-under-another-key", SNAPSHOTS, "missing field `snapshotList`"),
    row("snapshots-are-an-empty-object", SNAPSHOTS, "missing field `snapshotList`; it is an empty object"),
    row("snapshots-omit-one-that-they-count", SNAPSHOTS, "the list of snapshots of "),
    row("snapshots-with-one-token-again-and-again", SNAPSHOTS, "the list of snapshots of "),
];

/// Dialects and operations in which the cloud hides what would have to be known; they are not run.
pub(crate) const UNKNOWABLE: &[(&str, &[&str])] = &[
    // Of what is neither listed nor counted nobody knows that it is missing.
    ("list-omits-one-and-does-not-count-it", &["list"]),
    // An order of a controller that was killed is neither seen, for minutes, nor known by its token.
    ("tokens-ignored-and-create-begins-late", &["kill4", "kill6"]),
    ("tokens-forgotten-and-create-unseen", &["kill4", "kill6"]),
    // Whether a disk that is dead ever was usable is known to who saw it being made.
    ("create-fails-and-leaves-a-dead-disk", &["kill4", "kill6"]),
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
