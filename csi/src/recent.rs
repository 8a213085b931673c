//! What was used last, and no more than a number of it. What a program learns of disks, machines and orders has no end of its own where
//! somebody else ends them, so that a table of everything ever seen grows for as long as the program runs.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Nodes of a cluster: Kubernetes' own limit (kubernetes.io, "Considerations for large clusters").
pub const NODES: usize = 5000;

/// Disks of a cluster of which something is remembered: more than any had that this was measured with (20,000), and a few MiB.
pub const DISKS: usize = 50_000;

/// Orders under way: the provisioner has a hundred at once (`--worker-threads`), so one that is forgotten was not heard of for long.
pub const ORDERS: usize = 10_000;

/// Holds the last `MOST` keys that were used, and at most twice as many: whenever `MOST` are new, those that were not used since the
/// last time go. Only what a program that was started anew can do without may be in it.
#[derive(Debug)]
pub struct Recent<K, V, const MOST: usize> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K, V, const MOST: usize> Default for Recent<K, V, MOST> {
    fn default() -> Self {
        Self { young: HashMap::default(), old: HashMap::default() }
    }
}

impl<K: Eq + Hash, V, const MOST: usize> Recent<K, V, MOST> {
    /// The entry, which is used by that.
    pub fn get<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some((key, value)) = self.old.remove_entry(key) {
            self.insert(key, value);
        }
        self.young.get_mut(key)
    }

    /// The entry, made if there is none.
    pub fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let old = self.old.remove(&key);
        self.make_room(&key);
        self.young.entry(key).or_insert_with(|| old.unwrap_or_else(make))
    }

    /// Puts an entry in the place of the one that is there.
    pub fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        self.make_room(&key);
        self.young.insert(key, value);
    }

    /// Takes an entry out.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn make_room(&mut self, key: &K) {
        if self.young.len() >= MOST && !self.young.contains_key(key) {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is done: what was used last is there with its last value, and there are never more than twice as many.
        #[test]
        fn the_last_that_were_used_are_there_and_at_most_twice_as_many(steps in prop::collection::vec((0..4u8, 0..12u8), 0..200)) {
            let mut recent = Recent::<u8, usize, 4>::default();
            // Keys with their values, `None` of those that are not there, the last used at the end.
            let mut all: Vec<(u8, Option<usize>)> = Vec::new();
            for (at, (step, key)) in steps.into_iter().enumerate() {
                let place = all.iter().position(|(known, _)| *known == key);
                let before = place.and_then(|place| all.remove(place).1);
                let (now, fits) = match step {
                    0 => {
                        recent.insert(key, at);
                        (Some(at), true)
                    }
                    1 => {
                        let now = *recent.entry(key, || at);
                        (Some(now), now == at || Some(now) == before)
                    }
                    2 => {
                        let now = recent.get(&key).copied();
                        (now, now.is_none() || now == before)
                    }
                    _ => {
                        let gone = recent.remove(&key);
                        (None, gone.is_none() || gone == before)
                    }
                };
                prop_assert!(fits, "{key} was {before:?} and is {now:?}");
                all.push((key, now));
                prop_assert!(recent.len() <= 8);
                // Looked at without a use.
                for (key, value) in all.iter().rev().take(4) {
                    let there = recent.young.get(key).or_else(|| recent.old.get(key));
                    prop_assert_eq!(there, value.as_ref());
                }
                prop_assert!(recent.young.keys().all(|key| !recent.old.contains_key(key)));
            }
        }
    }
}
