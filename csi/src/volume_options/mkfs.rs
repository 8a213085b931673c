//! Options of mkfs that a StorageClass may set: a list of known ones with known values. Text for the command line would let a
//! class force a format over data, or name another device.

use std::fmt;

use crate::field::{BadField, hint};
use crate::volume::FsType::{self, Ext3, Ext4, Vfat, Xfs};

/// One option; what it means in a command line the node knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MkfsOption {
    /// Bytes of a block.
    BlockSize,
    /// Bytes of an inode.
    InodeSize,
    /// One inode for so many bytes.
    BytesPerInode,
    /// Percent of the blocks that only root may use.
    ReservedPercent,
    /// Percent of the space that inodes may take.
    InodePercent,
    /// Whether files can share blocks; a kernel before 4.16 mounts it without only.
    Reflink,
    /// Whether times go beyond 2038; a kernel before 5.10 mounts it without only.
    Bigtime,
    /// Bytes of a cluster.
    ClusterSize,
}

enum Allowed {
    OneOf(&'static [u64]),
    Between(u64, u64),
}

use Allowed::{Between, OneOf};
use MkfsOption::{
    Bigtime, BlockSize, BytesPerInode, ClusterSize, InodePercent, InodeSize, Reflink, ReservedPercent,
};

/// Option, its name, file systems that have it, values.
type Rule = (MkfsOption, &'static str, &'static [FsType], Allowed);

const EXT: &[FsType] = &[Ext4, Ext3];

/// What each file system takes. Blocks: what a kernel with pages of 4 KiB mounts. Inodes of ext: those of 128 bytes end in
/// 2038. Inode ratios: the limits of mke2fs (EXT2_MIN_BLOCK_SIZE, 1024 · EXT2_MAX_BLOCK_SIZE). Reserved: mke2fs(8) takes up
/// to 50. Inodes of xfs: mkfs.xfs(8), 512 is the least with checksums. Clusters of FAT: mkfs.fat(8) to 128 sectors, of
/// which 32 KiB is what every system reads.
const RULES: [Rule; 10] = [
    (BlockSize, "blockSize", EXT, OneOf(&[1024, 2048, 4096])),
    (InodeSize, "inodeSize", EXT, OneOf(&[256, 512, 1024])),
    (BytesPerInode, "bytesPerInode", EXT, Between(1024, 64 << 20)),
    (ReservedPercent, "reservedPercent", EXT, Between(0, 50)),
    (BlockSize, "blockSize", &[Xfs], OneOf(&[1024, 2048, 4096])),
    (InodeSize, "inodeSize", &[Xfs], OneOf(&[512, 1024, 2048])),
    (InodePercent, "inodePercent", &[Xfs], Between(1, 100)),
    (Reflink, "reflink", &[Xfs], OneOf(&[0, 1])),
    (Bigtime, "bigtime", &[Xfs], OneOf(&[0, 1])),
    (ClusterSize, "clusterSize", &[Vfat], OneOf(&[4096, 8192, 16_384, 32_768])),
];

/// Block size of ext and xfs if nobody says otherwise, on a disk of 20 GiB or more (mke2fs.conf, mkfs.xfs(8)).
const BLOCK_DEFAULT: u64 = 4096;

/// The options of a class, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MkfsOptions(Vec<(MkfsOption, u64)>);

impl Allowed {
    fn has(&self, value: u64) -> bool {
        match self {
            OneOf(values) => values.contains(&value),
            Between(least, most) => (*least..=*most).contains(&value),
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OneOf(values) => {
                let words: Vec<String> = values.iter().map(u64::to_string).collect();
                f.write_str(&words.join(" or "))
            }
            Between(least, most) => write!(f, "{least} to {most}"),
        }
    }
}

fn name(option: MkfsOption) -> &'static str {
    RULES.iter().find(|rule| rule.0 == option).map_or("", |rule| rule.1)
}

/// `blockSize=1024 or 2048, reflink=0 or 1`: what a file system takes.
fn taken_by(fs: FsType) -> String {
    let rules = RULES.iter().filter(|rule| rule.2.contains(&fs));
    rules.map(|(_, name, _, allowed)| format!("{name}={allowed}")).collect::<Vec<_>>().join(", ")
}

impl MkfsOptions {
    /// Takes `name=value`, joined by commas. Whether a file system has them all is asked with [`MkfsOptions::fits`].
    pub fn parse(field: &str, text: &str) -> Result<Self, BadField> {
        let mut options: Vec<(MkfsOption, u64)> = Vec::new();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let rules: Vec<&Rule> = RULES.iter().filter(|rule| rule.1 == key).collect();
            let Some(rule) = rules.first() else {
                let mut names: Vec<&str> = RULES.iter().map(|rule| rule.1).collect();
                names.sort_unstable();
                names.dedup();
                let allowed = format!("name=value of {}{}", names.join(", "), hint(key, &names));
                return Err(BadField::new(field, word, allowed));
            };
            let number = value.parse().ok().filter(|n| rules.iter().any(|rule| rule.3.has(*n)));
            let Some(number) = number else {
                let lists: Vec<String> =
                    rules.iter().map(|rule| format!("{} ({})", rule.3, file_systems(rule.2))).collect();
                return Err(BadField::new(field, word, format!("{key}={}", lists.join(", "))));
            };
            if options.iter().any(|(known, _)| *known == rule.0) {
                return Err(BadField::new(field, text, format!("{key} once")));
            }
            options.push((rule.0, number));
        }
        Ok(Self(options))
    }

    /// Refuses an option or a value that the file system does not have.
    pub fn fits(&self, field: &str, fs: FsType) -> Result<(), BadField> {
        let has = |(option, value): &&(MkfsOption, u64)| {
            RULES.iter().any(|rule| rule.0 == *option && rule.2.contains(&fs) && rule.3.has(*value))
        };
        if let Some((option, value)) = self.0.iter().find(|option| !has(option)) {
            let allowed = format!("for {fs}: {}", taken_by(fs));
            return Err(BadField::new(field, format!("{}={value}", name(*option)), allowed));
        }
        let block = self.value(BlockSize).unwrap_or(BLOCK_DEFAULT);
        // XFS keeps two inodes in a block at least (XFS_INOPBLOG, mkfs.xfs(8)).
        let least = match fs {
            Xfs => self.value(InodeSize).unwrap_or(512) * 2,
            Ext3 | Ext4 | Vfat => 0,
        };
        if block < least {
            let allowed = format!("inodeSize of at most half of blockSize, which is {block}");
            return Err(BadField::new(field, self.to_string(), allowed));
        }
        if self.value(BytesPerInode).is_some_and(|bytes| bytes < block) {
            let allowed = format!("bytesPerInode of at least blockSize, which is {block}");
            return Err(BadField::new(field, self.to_string(), allowed));
        }
        Ok(())
    }

    /// The options in their order.
    pub fn iter(&self) -> impl Iterator<Item = (MkfsOption, u64)> + '_ {
        self.0.iter().copied()
    }

    fn value(&self, option: MkfsOption) -> Option<u64> {
        self.0.iter().find(|(known, _)| *known == option).map(|(_, value)| *value)
    }
}

fn file_systems(list: &[FsType]) -> String {
    list.iter().map(|fs| fs.as_str()).collect::<Vec<_>>().join(" and ")
}

impl fmt::Display for MkfsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> =
            self.0.iter().map(|(option, value)| format!("{}={value}", name(*option))).collect();
        f.write_str(&words.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<MkfsOptions, BadField> {
        MkfsOptions::parse("parameters.mkfsOptions", text)
    }

    #[test]
    fn known_options_with_known_values_are_taken_and_say_themselves() {
        let options = parse("blockSize=4096, bytesPerInode=65536,").unwrap();
        assert_eq!(options.to_string(), "blockSize=4096,bytesPerInode=65536");
        assert_eq!(parse(&options.to_string()).unwrap(), options);
        assert_eq!(parse("").unwrap(), MkfsOptions::default());
    }

    #[test]
    fn what_is_no_option_is_refused_with_what_is_one() {
        for (text, allowed) in [
            ("-F", "name=value of bigtime, blockSize,"),
            ("blocksize=4096", "did you mean blockSize?"),
            ("blockSize=65536", "blockSize=1024 or 2048 or 4096 (ext4 and ext3)"),
            ("blockSize=4096 /dev/sda", "blockSize="),
            ("reservedPercent=-1", "reservedPercent=0 to 50"),
            ("reflink", "reflink=0 or 1 (xfs)"),
            ("reflink=1,reflink=0", "reflink once"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.allowed.contains(allowed), "{text}: {error}");
        }
    }

    #[test]
    fn an_option_of_another_file_system_is_refused_with_this_ones() {
        let fits = |text: &str, fs| parse(text).unwrap().fits("f", fs).map_err(|e| e.to_string());
        assert_eq!(fits("reflink=0,inodeSize=2048", Xfs), Ok(()));
        let said = fits("reflink=0", Ext4).unwrap_err();
        assert!(said.starts_with("f: \"reflink=0\" is not allowed; allowed: for ext4: blockSize="), "{said}");
        assert!(fits("inodeSize=2048", Ext4).is_err() && fits("inodeSize=256", Xfs).is_err());
        assert!(fits("blockSize=1024,inodeSize=1024", Xfs).unwrap_err().contains("half of blockSize"));
        assert!(fits("bytesPerInode=2048", Ext3).unwrap_err().contains("at least blockSize"));
        assert_eq!(fits("clusterSize=32768", Vfat), Ok(()));
        assert!(fits("blockSize=1024", Vfat).is_err());
    }
}
