//! `eckctl cloud-check`: what the client assumes of the cloud (ecx/API.md part B), looked at in a real account. It only
//! reads, unless it is told to try a disk.
//! Each assumption fits, differs, or is unknown where there was nothing to see it by; none is called fitting unseen.
//!
//! ```text
//! region (each by itself) ─▶ disk_list, disk, agree, by_name, machine, missing, offer ─▶ line ─▶ profile
//! ```

use serde_json::json;

use crate::args::{CloudCheckArgs, Format};
use crate::console::{Console, Ended};
use crate::settings::Cloud;

mod agree;
mod ask;
mod by_name;
mod disk;
mod disk_list;
mod line;
mod machine;
mod missing;
mod offer;
mod page;
mod profile;
mod region;
mod trial;

pub use line::{Line, Verdict};

/// Why nothing is known.
#[derive(Debug, thiserror::Error)]
pub enum CloudCheckError {
    /// No region answers.
    #[error("nothing could be read: {0}")]
    Nothing(String),
    /// Output.
    #[error("the answer cannot be written")]
    Write(#[from] std::io::Error),
}

/// What was found out.
struct Findings {
    regions: Vec<Line>,
    lines: Vec<Line>,
    profile: String,
    /// What a person must see to.
    left: Vec<String>,
}

impl Findings {
    fn count(&self, verdict: Verdict) -> usize {
        self.regions.iter().chain(&self.lines).filter(|line| line.verdict == verdict).count()
    }
}

/// Looks at every region, and tells.
pub async fn cloud_check(
    cloud: &Cloud,
    args: &CloudCheckArgs,
    console: &mut Console<'_>,
) -> Result<Ended, CloudCheckError> {
    let mut found = look(cloud).await?;
    if args.with_a_disk {
        with_a_disk(cloud, args, console, &mut found).await?;
    }
    match args.output {
        Format::Text => tell(&found, console)?,
        Format::Json => {
            let answer = json!({ "regions": found.regions, "checks": found.lines, "profile": found.profile, "left": found.left,
                "fit": found.count(Verdict::Fits), "differ": found.count(Verdict::Differs),
                "unknown": found.count(Verdict::Unknown) });
            writeln!(console.out, "{answer:#}")?;
        }
    }
    Ok(if found.count(Verdict::Differs) == 0 { Ended::Well } else { Ended::Found })
}

async fn look(cloud: &Cloud) -> Result<Findings, CloudCheckError> {
    let (mut regions, mut by_region) = (Vec::new(), Vec::new());
    let mut names = profile::Names::default();
    for region in &cloud.regions {
        let region = region.as_str().to_owned();
        let seen = region::look(&ask::Ask { client: &cloud.client, region: region.clone() }).await;
        regions.push(seen.answers);
        by_region.push((region, seen.lines));
        names.types.extend(seen.types);
        names.vpcs.extend(seen.vpcs);
    }
    let all_answer = regions.iter().all(|line| line.verdict == Verdict::Fits);
    if !regions.iter().any(|line| line.verdict == Verdict::Fits) {
        let why: Vec<String> = regions.into_iter().map(|line| line.seen).collect();
        return Err(CloudCheckError::Nothing(why.join("; ")));
    }
    let lines = line::merged(&by_region);
    let profile = profile::fitting(cloud.client.profile(), &lines, all_answer, &names);
    Ok(Findings { regions, lines, profile, left: Vec::new() })
}

/// Tries a disk in the first region, after a yes.
async fn with_a_disk(
    cloud: &Cloud,
    args: &CloudCheckArgs,
    console: &mut Console<'_>,
    found: &mut Findings,
) -> std::io::Result<()> {
    let Some(region) = cloud.regions.first().map(|region| region.as_str().to_owned()) else { return Ok(()) };
    let name = trial::name((console.now)());
    let (size, larger) = (trial::SIZE, trial::LARGER);
    let what =
        format!("order one disk of {size} GiB, {name}, in {region}, grow it to {larger} GiB, and refund it");
    if !args.yes && !(console.ask)(&format!("{what}?")) {
        found.left.push("no disk was ordered: not confirmed".to_owned());
        return Ok(());
    }
    if args.output == Format::Text {
        // Whoever stops the program now knows what to look for.
        writeln!(console.out, "{what}")?;
    }
    let ask = ask::Ask { client: &cloud.client, region };
    let sys_block = args.sys_block.as_deref();
    let on = args.instance.as_deref().map(|instance| trial::On { instance, sys_block });
    let tried = trial::run(&ask, &name, on).await;
    found.lines.extend(tried.lines);
    found.profile.extend(tried.settings.into_iter().map(|setting| setting + "\n"));
    found.left.extend(tried.left);
    Ok(())
}

fn tell(found: &Findings, console: &mut Console<'_>) -> std::io::Result<()> {
    for line in found.regions.iter().chain(&found.lines) {
        writeln!(console.out, "{:<8} {}  {}", line.verdict.as_str(), line.assumption, line.seen)?;
    }
    writeln!(console.out, "\n{}", found.profile)?;
    let [fit, differ, unknown] =
        [Verdict::Fits, Verdict::Differs, Verdict::Unknown].map(|verdict| found.count(verdict));
    for left in &found.left {
        writeln!(console.out, "TO DO    {left}")?;
    }
    writeln!(console.out, "{fit} fit, {differ} differ, {unknown} unknown")
}
