//! What the library costs a program.

use std::io;

use crate::machine::{Job, Machine, ProgramOutput};
use crate::report::Report;

/// Programs for each column: the machine has other things to do, and their median does not mind one of them.
const RUNS: usize = 5;

/// What is measured, by its name in `compute.c`, and the goal: ns that it may cost more than without the library.
const CALLS: [(&str, &str, Option<f64>); 8] = [
    ("cuDeviceTotalMem", "total", Some(50.0)),
    ("cuStreamQuery", "query", Some(50.0)),
    ("cuMemGetInfo", "info", None),
    ("cuLaunchKernel that need not wait", "launch", Some(50.0)),
    ("allocate and free 1 KiB", "small", Some(2_000.0)),
    ("allocate and free 4 MiB", "alloc", Some(2_000.0)),
    ("start of true", "true", Some(1e6)),
    ("start of a program with a context", "cuda", Some(1e6)),
];

/// Figures that other projects publish, each with its source. None of them was measured here.
const PUBLISHED: &str = "
published by others, none of it measured here or on this card:

HAMi-core (8f3a89c)       cost of a call: not published. Share: its controller is that of vcuda; mean error 17.5-20.7 points on
                          an RTX 4080 (vgpu-manager's docs, 2026-05); 10 : 90 asked, 1 : 6-8 got (HAMi#2863). Graphs are not
                          held at all (HAMi#1445), cooperative launches neither
vgpu.rs (139c59e)         cost of a call: not published. Share: not published. Launches through cuLaunchKernelEx and graphs are
                          not held (its source)
vgpu-manager (3d7f66d)    allocation 1-3 ms (its source); mean error 2.2-2.8 points, at 1.33 times the time of one pod alone (its
                          docs, RTX 4080)
vcuda / GaiaGPU (2018)    1.015 % average overhead (the paper)
";

pub(crate) fn all(machine: &Machine, report: &mut Report) -> io::Result<()> {
    report.say("cost to a program in ns: median (99th percentile), medians of five programs each\n")?;
    let columns = [0, 50, 100];
    let mut said: [Vec<ProgramOutput>; 3] = Default::default();
    // In turn, so that the machine is as busy for one as for the other.
    for _ in 0..RUNS {
        for (percent, said) in columns.iter().zip(&mut said) {
            said.push(machine.cost(Job { percent: *percent, mode: "cost", ..Job::default() })?);
        }
    }
    report.say(&format!("{:36}{:>22}{:>22}{:>22}{:>12}", "", "bare", "50 %", "100 %", "50 % - bare"))?;
    let mut goals = Vec::new();
    for (what, name, most) in CALLS {
        let mut row = format!("{what:36}");
        let [bare, half, _] = said.each_ref().map(|said| {
            let (p50, p99) = (median(said, name), median(said, &format!("{name}_p99")));
            row += &format!("{:>22}", format!("{p50:.0} ({p99:.0})"));
            p50
        });
        report.say(&format!("{row}{:12.0}", half - bare))?;
        goals.extend(most.map(|most| (what, half - bare, most)));
    }
    report.say("")?;
    for (what, over, most) in goals {
        report.goal(&format!("{what}: ns over bare"), over, most, 0)?;
    }
    report.say(PUBLISHED)
}

fn median(said: &[ProgramOutput], name: &str) -> f64 {
    let mut all: Vec<f64> = said.iter().map(|said| said.number(name).unwrap_or(f64::NAN)).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
