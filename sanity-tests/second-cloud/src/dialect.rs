//! What a cloud may say or do otherwise, as data. [`Dialect::base`] is what ECX-API.md says.

use crate::ask::Op;

/// A dialect.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Dialect {
    pub envelope: Envelope,
    pub ids: Ids,
    pub names: Names,
    pub disk: DiskWords,
    pub odd_disk: Option<OddDisk>,
    /// How old op 4's picture is.
    pub info_lag: u64,
    pub lists: Lists,
    pub tokens: Tokens,
    pub create: Course,
    pub refund: Course,
    pub resize: Course,
    pub snapshot: Course,
    pub attach: Course,
    pub detach: Course,
    pub left: Left,
    pub words: ErrorWords,
    pub faults: Vec<Fault>,
    pub machines: Machines,
    /// Whether a disk is deleted together with its machine.
    pub with_machine: WithMachine,
    /// Requests after which the keys are others.
    pub keys_rotate_after: Option<u64>,
    /// A write's reply has a payload.
    pub writes_tell: bool,
    /// Whether `satisfied` of op 16 is told.
    pub stock: Told,
    /// Operations that do not exist.
    pub absent: Vec<Op>,
    /// A disk of another cluster has the name of each volume, in use.
    pub same_name_elsewhere: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Envelope {
    Number800,
    Text800,
    Text200,
    CoreOk,
}

/// The form of a disk's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Ids {
    Xid,
    OtherPrefix,
    UpperCase,
    CdUuid,
    BareUuid,
}

/// What becomes of the name that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Names {
    Kept,
    Cut,
    UpperCase,
    /// A suffix, and the look-up knows the name that was asked for.
    Suffix,
    /// A suffix, and the look-up knows only the whole.
    SuffixNotFound,
    /// The look-up by name leaves the name out.
    NotInLookUp,
}

/// Whether and how a field is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Told {
    Right,
    Absent,
    Null,
    /// A number as text, a time in seconds.
    Otherwise,
}

/// How a disk is told.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct DiskWords {
    pub attachments: Told,
    pub instance: Told,
    pub size: Told,
    pub kind: Told,
    pub source: Told,
    pub created: Told,
    pub labels: Told,
    pub state: Told,
    /// The other of the two official lists of states.
    pub aliases: bool,
    /// The fields above are only told otherwise in lists.
    pub in_lists_only: bool,
}

/// One odd disk of somebody else in each list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum OddDisk {
    NullSize,
    TextSize,
    TextTime,
    NullState,
    NoId,
}

/// The four lists.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Lists {
    pub disks: List,
    pub by_name: List,
    pub machines: List,
    pub snapshots: List,
}

/// A list.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct List {
    pub shape: Shape,
    /// How old its picture is.
    pub lag: u64,
    pub omits: Omits,
    pub page: Page,
    pub total: Told,
}

/// What stands where the list should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Shape {
    Right,
    NoPayload,
    NullPayload,
    EmptyObject,
    EmptyArray,
    OtherKey,
    NullList,
}

/// What a list leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Omits {
    Nothing,
    /// The one that was made last; the total counts it.
    Last,
    /// The same, not counted.
    LastUncounted,
}

/// How a list is cut into pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Page {
    AsAsked,
    /// Ten, whatever is asked, and no token to go on.
    TenOnly,
    /// Ten, whatever is asked, with a token to go on.
    Ten,
    FromZero,
    /// The first page, whichever is asked.
    NumberIgnored,
    /// The same token and page each time.
    TokenRepeated,
}

/// What becomes of client tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Tokens {
    Kept,
    Ignored,
    ForgottenAfter(u64),
    /// A token is its first request's, also if that is refused.
    OfTheFirst,
}

/// How a write goes on after it was accepted; times in milliseconds.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Course {
    /// Accepted, and nothing is to be seen of it.
    pub begins: u64,
    pub runs: u64,
    /// While it runs the state tells.
    pub shown: bool,
    /// So many of the first ones fail at their end.
    pub fail: u32,
    /// The failure is told, and it was done all the same.
    pub lies: bool,
    /// Of a disk that it was to make an unusable one is left.
    pub leaves_dead: bool,
    pub answer: Answer,
    /// The word for an order that is done.
    pub done: &'static str,
}

/// What an order answers at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Answer {
    InProgress,
    /// 800 with an order's id and nothing else.
    Bare,
    /// 900 in progress without any payload.
    NoId,
}

/// How long a refunded disk is still shown, and in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Left {
    pub shown: u64,
    pub state: &'static str,
}

/// HTTP status, `statusCode`, `errorCode`.
pub type Word = (u16, &'static str, &'static str);

/// How refusals are worded.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct ErrorWords {
    pub no_disk: Word,
    pub not_attached: Word,
    pub attached: Word,
    pub state: Word,
    pub no_machine: Word,
}

/// Some requests are not answered as they should be.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Fault {
    /// `None`: every operation.
    pub op: Option<Op>,
    /// `None`: every region.
    pub region: Option<&'static str>,
    /// So many are answered rightly first.
    pub skip: u32,
    pub count: u32,
    pub what: Wrong,
}

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Wrong {
    /// It was carried out and the reply is lost.
    Lost,
    /// It was not carried out and no reply comes.
    Dropped,
    Hangs,
    Refused(Word),
    /// Carried out, and refused all the same.
    RefusedButDone(Word),
    Html(u16),
    /// 429 with so many seconds.
    RetryAfter(u64),
    /// Carried out; the reply has no body.
    EmptyBody,
    /// Carried out; half of the reply.
    Truncated,
    /// Carried out; eight MiB of blanks before the reply.
    Huge,
    /// A body of which the end never comes.
    Endless,
}

/// How machines are told, and which there are.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Machines {
    /// The address.
    pub ip: Told,
    /// Those of the cluster are not listed.
    pub hidden: bool,
    /// Another VPC has machines with the same addresses.
    pub twins: bool,
    pub replaced: Replaced,
}

/// Whether a disk is deleted together with the machine that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum WithMachine {
    /// As it was asked for, and no reply tells.
    Untold,
    /// As it was asked for, and op 4 tells.
    Told,
    /// Whatever was asked for, and op 4 tells.
    Always,
}

/// Whether the machines of the cluster are replaced by others of the same addresses while nobody looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Replaced {
    Never,
    Once,
    /// And the old ones are listed still, as deleted.
    Listed,
}

impl Course {
    pub(crate) const fn of(runs: u64) -> Self {
        Self {
            begins: 0,
            runs,
            shown: true,
            fail: 0,
            lies: false,
            leaves_dead: false,
            answer: Answer::InProgress,
            done: "3",
        }
    }
}

impl List {
    const PLAIN: Self =
        Self { shape: Shape::Right, lag: 0, omits: Omits::Nothing, page: Page::AsAsked, total: Told::Right };
}

impl Dialect {
    /// What ECX-API.md says.
    pub fn base() -> Self {
        use Told::Right;
        Self {
            envelope: Envelope::Number800,
            ids: Ids::Xid,
            names: Names::Kept,
            disk: DiskWords {
                attachments: Right,
                instance: Right,
                size: Right,
                kind: Right,
                source: Right,
                created: Right,
                labels: Right,
                state: Right,
                aliases: false,
                in_lists_only: false,
            },
            odd_disk: None,
            info_lag: 0,
            lists: Lists {
                disks: List::PLAIN,
                by_name: List::PLAIN,
                machines: List::PLAIN,
                snapshots: List::PLAIN,
            },
            tokens: Tokens::Kept,
            create: Course::of(3000),
            refund: Course::of(2000),
            resize: Course::of(2000),
            snapshot: Course::of(2000),
            attach: Course::of(2000),
            detach: Course::of(2000),
            left: Left { shown: 0, state: "available" },
            words: ErrorWords::base(),
            faults: Vec::new(),
            machines: Machines { ip: Right, hidden: false, twins: false, replaced: Replaced::Never },
            with_machine: WithMachine::Untold,
            keys_rotate_after: None,
            writes_tell: true,
            stock: Right,
            absent: Vec::new(),
            same_name_elsewhere: false,
        }
    }
}

impl ErrorWords {
    fn base() -> Self {
        Self {
            no_disk: (200, "900", "ebs.ebsInfo.dataDamaged"),
            not_attached: (200, "900", "ebs.ebsInfo.statusInvalid"),
            attached: (200, "900", "ebs.attach.alreadyAttached"),
            state: (200, "900", "ebs.ebsInfo.statusInvalid"),
            no_machine: (200, "900", "Ecs.Instance.NotFound"),
        }
    }
}
