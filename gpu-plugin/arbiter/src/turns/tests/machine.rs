//! A machine in its own time: cards, processes that compute, and the library in each of them. A card gives its time to all processes that
//! have kernels on it, in equal parts; a collective kernel ends when every rank of its job has come to its own.

use std::collections::VecDeque;

use super::*;

/// What passes at one step, and what a message takes.
pub(super) const STEP: Time = 50_000;

/// How long, in ns, a card is idle before the library gives its turn back.
const IDLE: Time = 200_000;

/// What a process does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Program {
    /// Kernels of this length without end; with a job, each `every`-th one is a collective of all its ranks.
    Busy { kernel: Time, job: Option<(usize, u32)> },
    /// One kernel of this length at these intervals.
    Requests { kernel: Time, every: Time },
}

#[derive(Debug)]
struct Kernel {
    left: Time,
    launched: Time,
    collective: bool,
}

/// A process with the library in it.
#[derive(Debug)]
pub(super) struct Process {
    program: Program,
    card: usize,
    grant: u64,
    open: bool,
    until: Time,
    launches: u32,
    ahead: Time,
    asked: bool,
    queue: VecDeque<Kernel>,
    launched: u64,
    idle_since: Time,
    /// Collectives that it has come to.
    pub(super) arrived: u64,
    /// The process does nothing from then on, as one that is stopped.
    pub(super) stops: Time,
    pub(super) useful: Time,
    pub(super) last: Time,
    pub(super) gap: Time,
    /// How long each kernel took from when it was wanted.
    pub(super) took: Vec<Time>,
    wanted: Option<Time>,
    next_request: Time,
}

#[derive(Default)]
pub(super) struct Machine {
    pub(super) turns: Turns,
    pub(super) processes: Vec<Process>,
    now: Time,
    armed: Option<Time>,
    to_arbiter: VecDeque<(Time, usize, Said)>,
    to_process: VecDeque<(Time, usize, Grant)>,
}

#[derive(Debug, Clone, Copy)]
enum Said {
    Want,
    Done { grant: u64, wants: bool },
}

impl Machine {
    pub(super) fn container(&mut self, id: &str, shares: Shares, programs: &[(usize, Program)]) {
        let cards: Vec<usize> =
            shares.cards.iter().map(|(card, _)| card.as_str()["GPU-".len()..].parse().unwrap()).collect();
        self.turns.register(id, shares, self.now);
        for (slice, program) in programs {
            let member = MemberId(self.processes.len() as u64);
            assert!(self.turns.join(member, id, *slice));
            self.processes.push(Process::new(*program, cards[*slice]));
        }
    }

    /// Runs for so long.
    pub(super) fn run(&mut self, length: Time) {
        let end = self.now + length;
        while self.now < end {
            self.now += STEP;
            self.deliver();
            for number in 0..self.processes.len() {
                if let Some(said) = self.processes[number].library(self.now) {
                    self.to_arbiter.push_back((self.now + STEP, number, said));
                }
            }
            self.work();
        }
    }

    fn deliver(&mut self) {
        while let Some((_, number, grant)) = self.to_process.pop_front_if(|(at, ..)| *at <= self.now) {
            self.processes[number].granted(grant, self.now);
        }
        while let Some((_, number, said)) = self.to_arbiter.pop_front_if(|(at, ..)| *at <= self.now) {
            let member = MemberId(number as u64);
            match said {
                Said::Want => self.turns.want(member, self.now),
                Said::Done { grant, wants } => self.turns.done(member, grant, wants, self.now),
            }
        }
        // As the clock's thread does: when it was said to, and at no other time.
        if self.armed.is_some_and(|armed| armed <= self.now) {
            self.turns.decide(self.now);
        }
        self.armed = self.turns.next_at(self.now);
        for (member, grant) in self.turns.take_grants() {
            self.to_process.push_back((self.now + STEP, usize::try_from(member.0).unwrap(), grant));
        }
    }

    /// The cards work.
    fn work(&mut self) {
        let mut arrived: BTreeMap<usize, u64> = BTreeMap::new();
        for process in &mut self.processes {
            process.arrive();
            if let Program::Busy { job: Some((job, _)), .. } = process.program {
                let least = arrived.entry(job).or_insert(u64::MAX);
                *least = (*least).min(process.arrived);
            }
        }
        for card in 0..8 {
            let on = self.processes.iter().filter(|it| it.card == card && !it.queue.is_empty()).count();
            for process in self.processes.iter_mut().filter(|it| it.card == card && !it.queue.is_empty()) {
                process.execute(STEP / on as u64, &arrived, self.now);
            }
        }
    }

    /// The part of a card that a process has used, in percent.
    pub(super) fn share(&self, number: usize) -> f64 {
        self.processes[number].useful as f64 * 100.0 / self.now as f64
    }
}

impl Process {
    fn new(program: Program, card: usize) -> Self {
        Self {
            program,
            card,
            grant: 0,
            open: false,
            until: 0,
            launches: 0,
            ahead: 0,
            asked: false,
            queue: VecDeque::new(),
            launched: 0,
            idle_since: 0,
            arrived: 0,
            stops: Time::MAX,
            useful: 0,
            last: 0,
            gap: 0,
            took: Vec::new(),
            wanted: None,
            next_request: 7 * MS,
        }
    }

    fn granted(&mut self, grant: Grant, now: Time) {
        self.grant = grant.grant;
        (self.until, self.ahead) = (now + grant.length_ns, grant.ahead_ns);
        self.launches = if grant.launches == 0 { u32::MAX } else { grant.launches };
        (self.open, self.asked, self.idle_since) = (true, false, now);
    }

    /// What the library does now, and says.
    fn library(&mut self, now: Time) -> Option<Said> {
        if now >= self.stops {
            return None;
        }
        if let Program::Requests { every, .. } = self.program
            && now >= self.next_request
        {
            self.next_request += every;
            self.wanted.get_or_insert(now);
        }
        while self.may_launch(now) && self.wants() {
            self.launch(now);
        }
        if !self.queue.is_empty() {
            self.idle_since = now;
            return None;
        }
        let over = now >= self.until || self.launches == 0 || now > self.idle_since + IDLE;
        if self.open && over {
            self.open = false;
            self.asked = self.wants();
            return Some(Said::Done { grant: self.grant, wants: self.asked });
        }
        if !self.open && !self.asked && self.wants() {
            self.asked = true;
            return Some(Said::Want);
        }
        None
    }

    fn may_launch(&self, now: Time) -> bool {
        let queued: Time = self.queue.iter().map(|kernel| kernel.left).sum();
        let room =
            self.queue.is_empty() || queued + self.kernel() <= self.ahead.min(self.until.saturating_sub(now));
        self.open && now < self.until && self.launches > 0 && room
    }

    fn kernel(&self) -> Time {
        match self.program {
            Program::Busy { kernel, .. } | Program::Requests { kernel, .. } => kernel,
        }
    }

    fn wants(&self) -> bool {
        match self.program {
            Program::Busy { .. } => true,
            Program::Requests { .. } => self.wanted.is_some(),
        }
    }

    fn launch(&mut self, now: Time) {
        let every = match self.program {
            Program::Busy { job: Some((_, every)), .. } => every,
            _ => 0,
        };
        self.launched += 1;
        self.launches -= 1;
        let collective = every > 0 && self.launched.is_multiple_of(every.into());
        let launched = self.wanted.take().unwrap_or(now);
        self.queue.push_back(Kernel { left: self.kernel(), launched, collective });
    }

    /// Comes to a collective that is first in its queue.
    fn arrive(&mut self) {
        if let (Some(kernel), Program::Busy { job: Some((_, every)), .. }) =
            (self.queue.front(), self.program)
        {
            let before = self.launched - self.queue.len() as u64;
            if kernel.collective {
                self.arrived = (before + 1) / u64::from(every);
            }
        }
    }

    fn execute(&mut self, mut time: Time, arrived: &BTreeMap<usize, u64>, now: Time) {
        while time > 0 {
            let Some(kernel) = self.queue.front_mut() else { return };
            let took = kernel.left.min(time);
            kernel.left -= took;
            time -= took;
            self.useful += took;
            if kernel.left > 0 {
                return;
            }
            if let Program::Busy { job: Some((job, _)), .. } = self.program
                && kernel.collective
                && arrived[&job] < self.arrived
            {
                // On the card, and waiting.
                return;
            }
            if let Some(kernel) = self.queue.pop_front() {
                self.took.push(now - kernel.launched);
            }
            self.gap = self.gap.max(now - self.last);
            self.last = now;
            self.arrive();
        }
    }
}
