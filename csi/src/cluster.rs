//! Whose a disk is: told by the mark on it, and decided here alone, for the controller, the audit and `eckctl`.
//!
//! The mark is two labels: the cluster's id, which a person chose and may choose twice, and its UID, which nobody chooses. What a
//! disk does not tell fits; what it tells and what differs makes it another cluster's.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::driver::{CLUSTER_UID_LABEL, DISK_LABEL};
use crate::field::BadField;

/// The UID of a cluster: that of its namespace kube-system. It is made with the cluster and goes with it; a cluster that is restored
/// from a backup of its etcd has the old one, a cluster that is installed anew has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClusterUid(Uuid);

impl ClusterUid {
    /// Parses a UID, with its dashes or, as a label has it, without; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        Uuid::try_parse(text).ok().filter(|_| digits(text)).map(Self)
    }

    /// As the value of a label, which has room for 32 characters (ecx/API.md §3) and none for dashes.
    pub fn label_value(self) -> String {
        self.0.simple().to_string()
    }
}

/// As Kubernetes writes it.
impl fmt::Display for ClusterUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for ClusterUid {
    type Err = BadField;

    fn from_str(text: &str) -> Result<Self, BadField> {
        let allowed = "a UID such as 6f1c1f0e-3b59-4f0c-9a52-0d3c1f6f7a10, as namespace kube-system has it";
        Self::parse(text).ok_or_else(|| BadField::new("cluster UID", text, allowed))
    }
}

/// Who this cluster is to the cloud, and which clusters it has come after.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterIdentity {
    /// Its id, `clusterId` of the chart: part of every client token.
    pub id: String,
    /// Its UID; `None` for a controller that runs outside of a cluster and was not told one.
    pub uid: Option<ClusterUid>,
    /// UIDs of clusters that are gone, and whose disks are this one's now.
    pub former_uids: Vec<ClusterUid>,
    /// Ids of clusters that are gone, whose disks of before UIDs were written are this one's now.
    pub former_ids: Vec<String>,
}

impl ClusterIdentity {
    /// A cluster of which no more than its id is known.
    pub fn of(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    /// The labels of a disk that it orders, keys and values.
    pub fn labels(&self) -> Vec<(&'static str, String)> {
        let uid = self.uid.map(|uid| (CLUSTER_UID_LABEL, uid.label_value()));
        [(DISK_LABEL, self.id.clone())].into_iter().chain(uid).collect()
    }

    /// Whose a disk with these labels is.
    pub fn whose<'a>(&self, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Whose {
        let Some(mark) = Mark::of(labels) else { return Whose::Unmarked };
        let uid = mark.uid.as_deref().map(ClusterUid::parse);
        let former = |uid| self.former_uids.contains(&uid);
        // A copy of this cluster has its UID too, until it is told apart by its id.
        let id_fits = mark.id.as_ref().is_none_or(|id| *id == self.id || self.former_ids.contains(id));
        let ours = match uid {
            None => id_fits,
            Some(Some(uid)) => former(uid) || (self.uid == Some(uid) && id_fits),
            Some(None) => false,
        };
        if ours {
            return Whose::Ours(mark);
        }
        let own = Mark { id: Some(self.id.clone()), uid: self.uid.map(|uid| uid.to_string()) };
        let way = match uid {
            Some(Some(_)) if self.uid.is_none() => WayOut::TellUid,
            Some(Some(uid)) if self.uid != Some(uid) => WayOut::FormerUid,
            Some(Some(_)) | None => WayOut::FormerId,
            Some(None) => WayOut::None,
        };
        Whose::Others(Box::new(OtherCluster { mark, own, way }))
    }
}

/// What a disk says of the cluster that ordered it. At least one of both is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    id: Option<String>,
    uid: Option<String>,
}

impl Mark {
    /// The mark among labels; `None` for a disk that no controller ordered, or that was made from a snapshot: such an order takes no
    /// labels (ecx/API.md B.3, op 2).
    pub fn of<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        let (mut id, mut uid) = (None, None);
        for (key, value) in labels {
            let told = match key {
                DISK_LABEL => &mut id,
                CLUSTER_UID_LABEL => &mut uid,
                _ => continue,
            };
            told.get_or_insert_with(|| value.to_owned());
        }
        (id.is_some() || uid.is_some()).then_some(Self { id, uid })
    }
}

/// `cluster ID (UID …)`.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id.as_deref().unwrap_or("without a name");
        let Some(told) = &self.uid else { return write!(f, "cluster {id} (UID not told)") };
        match ClusterUid::parse(told) {
            Some(uid) => write!(f, "cluster {id} (UID {uid})"),
            None => write!(f, "cluster {id} (UID {told:?}, which is none)"),
        }
    }
}

/// Whose a disk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// No mark says so.
    Unmarked,
    /// This cluster's, by its mark.
    Ours(Mark),
    /// Another cluster's, whatever handle or name leads to it.
    Others(Box<OtherCluster>),
}

impl Whose {
    /// The other cluster, if it is one's.
    pub fn other(self) -> Option<Box<OtherCluster>> {
        match self {
            Self::Others(other) => Some(other),
            Self::Unmarked | Self::Ours(_) => None,
        }
    }
}

/// Why a disk is another cluster's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherCluster {
    mark: Mark,
    own: Mark,
    way: WayOut,
}

/// What a person can do about it, who knows better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WayOut {
    /// The cluster's own UID is not known here.
    TellUid,
    FormerUid,
    FormerId,
    /// The mark is not one that a controller writes.
    None,
}

impl fmt::Display for OtherCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it carries the mark of {}, and this is {}", self.mark, self.own)?;
        let gone = "if that cluster is gone and its disks are this one's now, name its";
        match self.way {
            WayOut::TellUid => write!(f, "; say this one's UID with --cluster-uid"),
            WayOut::FormerUid => write!(f, "; {gone} UID in formerClusterUids"),
            WayOut::FormerId => write!(f, "; {gone} id in formerClusterIds"),
            WayOut::None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "11111111-1111-4111-8111-111111111111";
    const TWO: &str = "22222222-2222-4222-8222-222222222222";

    fn uid(text: &str) -> ClusterUid {
        ClusterUid::parse(text).unwrap()
    }

    fn cluster() -> ClusterIdentity {
        ClusterIdentity { uid: Some(uid(ONE)), ..ClusterIdentity::of("c") }
    }

    /// A disk with this id and UID in its labels, and one label of its user's.
    fn whose(cluster: &ClusterIdentity, id: Option<&str>, uid: Option<&str>) -> Whose {
        let uid = uid.map(|text| ClusterUid::parse(text).map_or(text.to_owned(), ClusterUid::label_value));
        let mark = [(DISK_LABEL, id), (CLUSTER_UID_LABEL, uid.as_deref())];
        let mark = mark.into_iter().filter_map(|(key, value)| Some((key, value?)));
        cluster.whose([("shop", "c")].into_iter().chain(mark))
    }

    fn ours(cluster: &ClusterIdentity, id: Option<&str>, uid: Option<&str>) -> bool {
        matches!(whose(cluster, id, uid), Whose::Ours(_))
    }

    fn said(cluster: &ClusterIdentity, id: Option<&str>, uid: Option<&str>) -> String {
        whose(cluster, id, uid).other().unwrap().to_string()
    }

    #[test]
    fn the_mark_that_a_cluster_writes_is_its_own_and_fits_the_clouds_labels() {
        let cluster = ClusterIdentity { uid: Some(uid(ONE)), ..ClusterIdentity::of(&"c".repeat(32)) };
        let labels = cluster.labels();
        assert!(labels.iter().all(|(key, value)| key.len() <= 32 && value.len() <= 32), "{labels:?}");
        let labels: Vec<_> = labels.iter().map(|(key, value)| (*key, value.as_str())).collect();
        assert!(matches!(cluster.whose(labels), Whose::Ours(_)));
        assert_eq!(ClusterIdentity::of("c").labels(), [(DISK_LABEL, "c".to_owned())], "no UID is known");
    }

    #[test]
    fn two_clusters_with_one_id_are_told_apart_by_their_uids() {
        assert!(ours(&cluster(), Some("c"), Some(ONE)));
        assert_eq!(
            said(&cluster(), Some("c"), Some(TWO)),
            format!(
                "it carries the mark of cluster c (UID {TWO}), and this is cluster c (UID {ONE}); if that cluster is gone and its \
                 disks are this one's now, name its UID in formerClusterUids"
            )
        );
    }

    #[test]
    fn what_a_disk_does_not_tell_fits() {
        assert!(ours(&cluster(), Some("c"), None), "made before UIDs were written");
        assert!(ours(&cluster(), None, Some(ONE)));
        assert_eq!(whose(&cluster(), None, None), Whose::Unmarked);
        let said = said(&cluster(), Some("d"), None);
        assert!(
            said.contains("cluster d (UID not told)") && said.ends_with("id in formerClusterIds"),
            "{said}"
        );
    }

    #[test]
    fn a_copy_of_a_cluster_is_another_one_by_its_id_alone() {
        let said = said(&cluster(), Some("d"), Some(ONE));
        assert!(said.ends_with("id in formerClusterIds"), "{said}");
        let renamed = ClusterIdentity { former_ids: vec!["d".to_owned()], ..cluster() };
        assert!(ours(&renamed, Some("d"), Some(ONE)));
    }

    #[test]
    fn the_disks_of_a_cluster_that_this_one_has_come_after_are_its_own() {
        let rebuilt = ClusterIdentity { former_uids: vec![uid(TWO)], ..cluster() };
        assert!(ours(&rebuilt, Some("c"), Some(TWO)));
        assert!(ours(&rebuilt, Some("whatever it was called"), Some(TWO)));
        let old = ClusterIdentity { former_ids: vec!["d".to_owned()], ..cluster() };
        assert!(ours(&old, Some("d"), None));
        assert!(!ours(&old, Some("d"), Some(TWO)), "a former id proves nothing where a UID is told");
    }

    #[test]
    fn who_does_not_know_its_own_uid_takes_no_disk_that_has_one() {
        let unknown = ClusterIdentity::of("c");
        assert!(ours(&unknown, Some("c"), None));
        let said = said(&unknown, Some("c"), Some(TWO));
        assert!(
            said.contains("this is cluster c (UID not told)") && said.ends_with("--cluster-uid"),
            "{said}"
        );
    }

    #[test]
    fn a_uid_that_is_none_is_nobodys_here() {
        let said = said(&cluster(), Some("c"), Some("me"));
        assert!(
            said.contains(r#"(UID "me", which is none)"#) && said.ends_with(&format!("(UID {ONE})")),
            "{said}"
        );
    }

    #[test]
    fn a_uid_is_taken_with_dashes_and_without() {
        assert_eq!(uid(ONE), uid(&ONE.replace('-', "")));
        assert_eq!(uid(&ONE.to_uppercase()).to_string(), ONE);
        for other in
            ["", "c", &ONE[1..], "urn:uuid:11111111-1111-4111-8111-111111111111", &format!("{{{ONE}}}")]
        {
            assert!(other.parse::<ClusterUid>().is_err(), "{other}");
        }
    }
}
