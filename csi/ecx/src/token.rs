//! Client tokens: the same logical write always carries the same token, also after a restart, so that a retry never
//! orders twice.

use uuid::Uuid;

/// Namespace of our tokens: a UUID v4 drawn once for this driver; changing it would make retries order again.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0e_37a1_53d2_4b54_9d2c_8a4f_7b1e_55c0);

fn token(cluster: &str, verb: &str, subject: &str) -> String {
    // The lengths keep ("a", "bc") and ("ab", "c") apart.
    let name = format!("{}:{cluster}{}:{verb}{}:{subject}", cluster.len(), verb.len(), subject.len());
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string()
}

/// For the order of the disk of the volume `name`.
pub fn create(cluster: &str, name: &str) -> String {
    token(cluster, "create", name)
}

/// For the refund of a disk.
pub fn delete(cluster: &str, disk: &str) -> String {
    token(cluster, "delete", disk)
}

/// For the growth of a disk to a size: another size is another order.
pub fn resize(cluster: &str, disk: &str, gib: u64) -> String {
    token(cluster, "resize", &format!("{disk}/{gib}"))
}

/// For the snapshot `name`.
pub fn snapshot(cluster: &str, name: &str) -> String {
    token(cluster, "snapshot", name)
}

/// For the change of a disk to a type and speed, as one text.
pub fn modify(cluster: &str, disk: &str, to: &str) -> String {
    token(cluster, "modify", &format!("{disk}/{to}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_depends_on_every_part_and_on_nothing_else() {
        assert_eq!(create("c1", "pvc-1"), create("c1", "pvc-1"));
        let all =
            [create("c1", "pvc-1"), create("c2", "pvc-1"), create("c1", "pvc-2"), delete("c1", "pvc-1")];
        let grown = [resize("c1", "cd-1", 30), resize("c1", "cd-1", 40)];
        let distinct: std::collections::BTreeSet<_> = all.iter().chain(&grown).collect();
        assert_eq!(distinct.len(), 6);
        assert_eq!(Uuid::parse_str(&all[0]).unwrap().get_version_num(), 5);
        // Known value: it must never change, or an upgrade of the driver would order a second disk.
        assert_eq!(create("c1", "pvc-1"), "6fce8c4d-ab39-5ac1-ac7f-5425c44079dc");
    }
}
