//! The command, run against a cloud in this process.

use eck_csi::cluster::ClusterIdentity;
use eck_csi::volume::Region;
use eckctl::Ended;
use eckctl::args::{CloudCheckArgs, Format};
use eckctl::cloud_check::{CloudCheckError, cloud_check};
use eckctl::console::Console;
use eckctl::settings::Cloud;
use serde_json::Value;

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) result: Result<Ended, CloudCheckError>,
    pub(crate) text: String,
}

impl Outcome {
    /// The assumptions with this verdict, and what was seen of each.
    pub(crate) fn with(&self, verdict: &str) -> Vec<String> {
        let answer: Value = serde_json::from_str(&self.text).unwrap();
        let lines = ["regions", "checks"].map(|list| answer[list].as_array().unwrap().clone()).concat();
        let mine = lines.iter().filter(|line| line["verdict"] == verdict);
        mine.map(|line| {
            format!("{}  {}", line["assumption"].as_str().unwrap(), line["seen"].as_str().unwrap())
        })
        .collect()
    }
}

/// Runs it; nothing is asked, and nothing may be.
pub(crate) async fn run(client: ecx::Client, regions: &[&str], output: Format) -> Outcome {
    let args = CloudCheckArgs { output, with_a_disk: false, instance: None, sys_block: None, yes: false };
    run_with(client, regions, &args, None).await
}

/// Runs it; what is asked is answered so.
pub(crate) async fn run_with(
    client: ecx::Client,
    regions: &[&str],
    args: &CloudCheckArgs,
    answer: Option<bool>,
) -> Outcome {
    let regions = regions.iter().map(|code| Region::parse("region", code).unwrap()).collect();
    let cloud =
        Cloud { client, regions, cluster: ClusterIdentity::default(), keys: [String::new(), String::new()] };
    let mut out = Vec::new();
    let mut ask = |question: &str| answer.unwrap_or_else(|| panic!("asked: {question}"));
    let mut console = Console { out: &mut out, ask: &mut ask, now: &|| 0x1_2345_6789 };
    let result = cloud_check(&cloud, args, &mut console).await;
    Outcome { result, text: String::from_utf8(out).unwrap() }
}
