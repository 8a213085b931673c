//! Instances, disk types and stock.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::lenient;

/// Body of ListInstances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListInstances {
    /// Region.
    #[serde(rename = "regionID")]
    pub region_id: String,
    /// From 1.
    pub page_no: u32,
    /// At most 50.
    pub page_size: u32,
    /// Fuzzy over name, id and private address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyword: Option<String>,
    /// Comma-separated ids.
    #[serde(default, rename = "instanceIDList", skip_serializing_if = "Option::is_none")]
    pub instance_id_list: Option<String>,
}

/// Reply of ListInstances.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "InstanceListRecord", into = "InstanceListRecord")]
pub struct InstanceList {
    /// This page.
    pub results: Vec<Instance>,
    /// Records of this page that cannot be read, as they came.
    pub unreadable: Vec<Value>,
    /// Instances in all.
    pub total_count: Option<u64>,
    /// Pages in all.
    pub total_page: Option<u64>,
}

/// The same on the wire; as with disks the list must be there.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct InstanceListRecord {
    #[serde(deserialize_with = "super::envelope::null_is_default")]
    results: Vec<Value>,
    #[serde(default, deserialize_with = "lenient::optional_number")]
    total_count: Option<u64>,
    #[serde(default, deserialize_with = "lenient::optional_number")]
    total_page: Option<u64>,
}

impl From<InstanceListRecord> for InstanceList {
    fn from(record: InstanceListRecord) -> Self {
        let (results, unreadable) = lenient::split(record.results);
        Self { results, unreadable, total_count: record.total_count, total_page: record.total_page }
    }
}

impl From<InstanceList> for InstanceListRecord {
    fn from(list: InstanceList) -> Self {
        let results = lenient::joined(&list.results, list.unreadable);
        Self { results, total_count: list.total_count, total_page: list.total_page }
    }
}

/// A machine. One without an id is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Opaque id.
    #[serde(rename = "instanceID", deserialize_with = "lenient::text")]
    pub instance_id: String,
    /// Name.
    #[serde(default, rename = "instanceName", deserialize_with = "lenient::text")]
    pub instance_name: String,
    /// E.g. `running`.
    #[serde(default, rename = "instanceStatus", deserialize_with = "lenient::text")]
    pub instance_status: String,
    /// Private IPv4 address.
    #[serde(default, rename = "privateIP")]
    pub private_ip: Option<String>,
    /// Private addresses once more.
    #[serde(default, rename = "fixedIPList", deserialize_with = "super::envelope::null_is_default")]
    pub fixed_ip_list: Vec<String>,
    /// Id of its VPC, where the cloud tells it.
    #[serde(default, rename = "vpcID", skip_serializing_if = "Option::is_none")]
    pub vpc_id: Option<String>,
    /// Its networks.
    #[serde(default, deserialize_with = "super::envelope::null_is_default")]
    pub addresses: Vec<InstanceNetwork>,
    /// Disk ids.
    #[serde(default, rename = "attachedVolume", deserialize_with = "super::envelope::null_is_default")]
    pub attached_volume: Vec<String>,
}

/// A machine's addresses in one VPC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceNetwork {
    /// The VPC's name.
    #[serde(default, rename = "vpcName", deserialize_with = "lenient::text")]
    pub vpc_name: String,
}

/// Words with which clouds list a machine that exists no more.
const GONE: [&str; 6] = ["deleted", "released", "destroyed", "terminated", "unsubscribed", "refunded"];

/// Words for a machine that is off: its memory is lost, and nothing in it will write again. `stopping`, `restarting`, `suspended` and
/// `shelved` are none of them: the first two still run, and what the others kept in memory goes on when they are resumed.
const OFF: [&str; 2] = ["stopped", "shutoff"];

impl Instance {
    /// Whether it is off by the cloud's own word. Any other word, and none, may be a machine that runs.
    pub fn is_off(&self) -> bool {
        OFF.iter().any(|word| self.instance_status.eq_ignore_ascii_case(word))
    }

    /// Whether it is listed as one that exists: a machine that was released holds no address any more.
    pub fn exists(&self) -> bool {
        !GONE.iter().any(|word| self.instance_status.eq_ignore_ascii_case(word))
    }

    /// Its private IPv4 addresses, as far as they are told.
    pub fn private_addresses(&self) -> Vec<Ipv4Addr> {
        let told = self.private_ip.iter().chain(&self.fixed_ip_list);
        told.filter_map(|address| address.trim().parse().ok()).collect()
    }

    /// Whether it may be in the VPC of this id or name: one that does not tell its VPC may be in any, and if none is named it may be in
    /// that.
    pub fn may_be_in(&self, vpc: &str) -> bool {
        let names = self.addresses.iter().map(|network| network.vpc_name.as_str());
        let mut told = names.chain(self.vpc_id.as_deref()).filter(|told| !told.is_empty()).peekable();
        vpc.is_empty() || told.peek().is_none() || told.any(|told| told == vpc)
    }
}

/// Query of ListDiskTypes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListDiskTypes {
    /// Region.
    #[serde(rename = "regionID")]
    pub region_id: String,
}

/// Reply of ListDiskTypes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskTypes {
    /// The types.
    #[serde(rename = "diskTypeList")]
    pub disk_type_list: Vec<DiskType>,
}

/// A disk type of a region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DiskType {
    /// E.g. `SAS`.
    pub disk_type: String,
    /// `Available` or not.
    pub resource_status: Option<String>,
    /// Smallest size in GiB.
    pub min_disk_size: Option<u64>,
    /// Largest size in GiB.
    pub max_disk_size: Option<u64>,
}

/// Query of CheckStock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStock {
    /// Region.
    #[serde(rename = "regionID")]
    pub region_id: String,
    /// `ebs`.
    #[serde(rename = "productType")]
    pub product_type: String,
    /// Disk type.
    #[serde(rename = "ebsType")]
    pub ebs_type: String,
    /// GiB.
    #[serde(rename = "ebsSize")]
    pub ebs_size: u64,
}

/// Reply of CheckStock. What is not told is not known: no more "no" than "yes".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Stock {
    /// The wish could be met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub satisfied: Option<bool>,
    /// Sold out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sellout: Option<bool>,
    /// The account may still order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_quota: Option<bool>,
    /// The account's limit.
    pub quota_info: Option<QuotaInfo>,
    /// What the account uses.
    pub used_info: Option<UsedInfo>,
}

/// An account's limit in a region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QuotaInfo {
    /// GiB.
    pub ebs_size_quota: Option<u64>,
}

/// What an account uses in a region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct UsedInfo {
    /// GiB.
    pub ebs_size: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(json: &str) -> Instance {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_address_is_told_in_one_of_two_places() {
        for told in [r#""privateIP":"10.0.0.3""#, r#""privateIP":null,"fixedIPList":["10.0.0.3","fe80::1"]"#]
        {
            let machine = instance(&format!(r#"{{"instanceID":"evm-1",{told}}}"#));
            assert_eq!(machine.private_addresses(), [Ipv4Addr::new(10, 0, 0, 3)], "{told}");
        }
        assert!(instance(r#"{"instanceID":"evm-1","fixedIPList":null}"#).private_addresses().is_empty());
    }

    #[test]
    fn a_machine_that_tells_its_vpc_is_in_that_one_only() {
        let named = instance(r#"{"instanceID":"evm-1","addresses":[{"vpcName":"prod"}]}"#);
        assert!(named.may_be_in("prod") && !named.may_be_in("test"));
        let by_id = instance(r#"{"instanceID":"evm-1","vpcID":"vpc-1","addresses":null}"#);
        assert!(by_id.may_be_in("vpc-1") && !by_id.may_be_in("prod"));
        assert!(instance(r#"{"instanceID":"evm-1"}"#).may_be_in("prod"));
    }

    #[test]
    fn only_a_machine_that_lost_its_memory_is_off() {
        let off = |state: &str| {
            instance(&format!(r#"{{"instanceID":"evm-1","instanceStatus":"{state}"}}"#)).is_off()
        };
        assert!(off("stopped") && off("SHUTOFF"));
        for state in ["running", "stopping", "restarting", "suspended", "shelved", "paused", "expired", ""] {
            assert!(!off(state), "{state}");
        }
    }

    #[test]
    fn a_machine_that_was_released_does_not_exist() {
        let listed = |state: &str| {
            instance(&format!(r#"{{"instanceID":"evm-1","instanceStatus":"{state}"}}"#)).exists()
        };
        assert!(!listed("deleted") && !listed("RELEASED"));
        assert!(listed("running") && listed("stopped") && listed("") && listed("deleting"));
    }
}
