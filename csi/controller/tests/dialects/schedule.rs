//! Seeded schedules: a few volumes live their lives at the same time before a cloud that speaks a drawn dialect and has outages, with two
//! controllers of which one leads, is killed, hands over or gets other keys. `hack/simulate` runs many; a seed gives the same again.

mod life;
mod play;
mod scene;
mod total;
mod weather;

pub(crate) use play::run;
pub(crate) use total::total;
