//! What goes wrong on demand.

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not carried out; answered with this HTTP status.
    Refused(u16),
    /// Carried out all the same; answered with this HTTP status.
    DoneBut(u16),
    /// Not carried out; the connection is cut without an answer.
    Cut,
    /// Carried out; the connection is cut without an answer.
    DoneCut,
    /// Not carried out, and never answered.
    Hang,
    /// Carried out, and never answered.
    DoneHang,
}

impl Fault {
    /// Whether the request is carried out.
    pub(super) fn is_done(self) -> bool {
        matches!(self, Self::DoneBut(_) | Self::DoneCut | Self::DoneHang)
    }
}

struct Rule {
    verb: String,
    resource: String,
    left: u32,
    fault: Fault,
}

/// The faults to come.
#[derive(Default)]
pub(super) struct Faults(Vec<Rule>);

impl Faults {
    pub(super) fn add(&mut self, verb: &str, resource: &str, times: u32, fault: Fault) {
        self.0.push(Rule { verb: verb.to_owned(), resource: resource.to_owned(), left: times, fault });
    }

    /// The fault that this request meets; it is used up by that.
    pub(super) fn take(&mut self, verb: &str, resource: &str) -> Option<Fault> {
        let at =
            self.0.iter().position(|rule| rule.verb == verb && rule.resource == resource && rule.left > 0)?;
        let rule = &mut self.0[at];
        rule.left -= 1;
        let fault = rule.fault;
        if rule.left == 0 {
            self.0.remove(at);
        }
        Some(fault)
    }
}
