//! What happened and what was compared, for the closing lines: a number that stays 0 is a test that tests nothing.

/// Counters that add up.
macro_rules! counts {
    ($(#[$doc:meta])* $name:ident { $($field:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default, Clone, PartialEq, Eq)]
        pub(crate) struct $name { $(pub(crate) $field: u64),* }

        impl $name {
            pub(crate) fn add(&mut self, other: &Self) { $(self.$field += other.$field;)* }
        }
    };
}

counts! {
    /// Events by kind.
    Counts {
        events,
        pods,
        admitted,
        never_placed,
        starts,
        ended,
        names_again,
        kubelet_restarts,
        plugin_restarts,
        scheduler_crashes,
        handovers,
        listings,
        bindings,
        refused,
        lost_answers,
        cut_off,
        late_bindings,
        known_late,
        cards_ill,
    }
}

counts! {
    /// Comparisons, each of which could have failed.
    Compared {
        slices,
        whole,
        holders,
        cards,
        ledgers,
        books,
        empty,
    }
}
