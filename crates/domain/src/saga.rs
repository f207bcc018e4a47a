//! The saga of an order: its steps as a table, its states and events as two enums, and one total
//! transition function. No other place decides what an order does next.
//!
//! ```text
//!            confirm             reserved            charged          complete              committed
//!   draft ───────────▶ reserving ────────▶ charging ────────▶ paid ───────────▶ committing ──────────▶ completed
//!     │                 │     │             │     │             │
//!     │cancel   rejected│     │cancel,      │     │cancel,      │cancel
//!     │                 │     │deadline     │     │deadline     │
//!     │                 │     │     declined│     ▼             ▼
//!     │                 │     │    ┌────────┘  refunding ◀──────┘
//!     │                 │     ▼    ▼                │ refunded
//!     │                 │   releasing ◀─────────────┘
//!     ▼                 ▼     │ released
//!   canceled ◀────────────────┘
//! ```
//!
//! Compensations run in the reverse order of the steps, and only for steps that may have happened.
//! A step whose answer is unknown (canceled or past its deadline) is compensated too: the
//! participant's barrier makes the undo of nothing a success and bars the late action.

use crate::order::Status;
use thiserror::Error;

/// What orders asks a participant to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Set the items aside (stock).
    Reserve,
    /// Take the money (billing).
    Charge,
    /// Turn what was set aside into sold (stock).
    Commit,
    /// Undo of [`Command::Reserve`].
    Release,
    /// Undo of [`Command::Charge`].
    Refund,
}

/// One step: what is asked, what answers it, what undoes it.
pub struct Step {
    /// The name in the barrier and in the history.
    pub name: &'static str,
    /// Sent on entering the step.
    pub command: Command,
    /// Event type of the command, and of its two answers.
    pub wire: Wire,
    /// What undoes it, and the event types of the undo.
    pub compensation: Option<(Command, Wire)>,
}

/// Event types on the channels (`docs/architecture.md`).
pub struct Wire {
    /// The command's type.
    pub command: &'static str,
    /// The answer that says it is done.
    pub success: &'static str,
    /// The answer that says it can't be.
    pub failure: Option<&'static str>,
}

/// The saga, in order. A new step is a row here, a state and its arms in [`Saga::apply`], and a
/// handler at the participant.
pub const STEPS: [Step; 3] = [
    Step {
        name: "reserve",
        command: Command::Reserve,
        wire: Wire {
            command: "stock.reserve",
            success: "stock.reserved",
            failure: Some("stock.rejected"),
        },
        compensation: Some((
            Command::Release,
            Wire {
                command: "stock.release",
                success: "stock.released",
                failure: None,
            },
        )),
    },
    Step {
        name: "charge",
        command: Command::Charge,
        wire: Wire {
            command: "payment.charge",
            success: "payment.charged",
            failure: Some("payment.declined"),
        },
        compensation: Some((
            Command::Refund,
            Wire {
                command: "payment.refund",
                success: "payment.refunded",
                failure: None,
            },
        )),
    },
    Step {
        name: "commit",
        command: Command::Commit,
        wire: Wire {
            command: "stock.commit",
            success: "stock.committed",
            failure: None,
        },
        compensation: None,
    },
];

impl Command {
    /// The event type that carries this command.
    pub fn event_type(self) -> &'static str {
        STEPS
            .iter()
            .flat_map(|step| {
                let action = Some((step.command, step.wire.command));
                let undo = step
                    .compensation
                    .as_ref()
                    .map(|(command, wire)| (*command, wire.command));
                action.into_iter().chain(undo)
            })
            .find(|(command, _)| *command == self)
            .map_or("", |(_, event_type)| event_type)
    }
}

/// Where the saga of one order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Not confirmed yet.
    Draft,
    /// Waiting for stock.
    Reserving,
    /// Waiting for billing.
    Charging,
    /// Reserved and charged; waiting to be handed over.
    Paid,
    /// Waiting for stock to book it as sold. Past the point of return.
    Committing,
    /// Final.
    Completed,
    /// Waiting for billing to give the money back.
    Refunding,
    /// Waiting for stock to put the items back.
    Releasing,
    /// Final.
    Canceled,
}

/// All states, for those who must know each.
pub const STATES: [State; 9] = [
    State::Draft,
    State::Reserving,
    State::Charging,
    State::Paid,
    State::Committing,
    State::Completed,
    State::Refunding,
    State::Releasing,
    State::Canceled,
];

impl State {
    /// The name it is stored under.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Draft => "draft",
            State::Reserving => "reserving",
            State::Charging => "charging",
            State::Paid => "paid",
            State::Committing => "committing",
            State::Completed => "completed",
            State::Refunding => "refunding",
            State::Releasing => "releasing",
            State::Canceled => "canceled",
        }
    }

    /// The inverse of [`State::as_str`].
    pub fn parse(name: &str) -> Option<State> {
        STATES.into_iter().find(|state| state.as_str() == name)
    }

    /// What the customer sees. An order being undone is pending until the last undo is answered.
    pub const fn status(self) -> Status {
        match self {
            State::Draft => Status::Draft,
            State::Reserving | State::Charging | State::Refunding | State::Releasing => {
                Status::Pending
            }
            State::Paid | State::Committing => Status::Paid,
            State::Completed => Status::Completed,
            State::Canceled => Status::Canceled,
        }
    }

    /// Whether an answer is being waited for.
    pub const fn waits(self) -> bool {
        matches!(
            self,
            State::Reserving
                | State::Charging
                | State::Committing
                | State::Refunding
                | State::Releasing
        )
    }

    /// Whether a missing answer turns the saga round. Past the point of return there is only on.
    pub const fn has_deadline(self) -> bool {
        matches!(self, State::Reserving | State::Charging)
    }

    /// Whether the states being passed are those of an undo.
    pub const fn undoes(self) -> bool {
        matches!(self, State::Refunding | State::Releasing)
    }
}

/// Why an order is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// An item is unknown or archived.
    UnknownItem,
    /// Fewer pieces on hand than ordered.
    OutOfStock,
    /// The wallet holds less than the total.
    InsufficientFunds,
    /// There is no wallet to charge.
    NoAccount,
    /// A participant refused without a better word.
    Refused,
    /// The customer changed their mind.
    CanceledByCustomer,
    /// A manager or operator canceled it.
    CanceledByStaff,
    /// A participant did not answer in time.
    Timeout,
    /// The customer's account is gone.
    AccountDeleted,
}

const REASONS: [Reason; 9] = [
    Reason::UnknownItem,
    Reason::OutOfStock,
    Reason::InsufficientFunds,
    Reason::NoAccount,
    Reason::Refused,
    Reason::CanceledByCustomer,
    Reason::CanceledByStaff,
    Reason::Timeout,
    Reason::AccountDeleted,
];

impl Reason {
    /// The stable code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::UnknownItem => "unknown_item",
            Reason::OutOfStock => "out_of_stock",
            Reason::InsufficientFunds => "insufficient_funds",
            Reason::NoAccount => "no_account",
            Reason::Refused => "refused",
            Reason::CanceledByCustomer => "canceled_by_customer",
            Reason::CanceledByStaff => "canceled_by_staff",
            Reason::Timeout => "timeout",
            Reason::AccountDeleted => "account_deleted",
        }
    }

    /// The inverse of [`Reason::as_str`].
    pub fn parse(code: &str) -> Option<Reason> {
        REASONS.into_iter().find(|reason| reason.as_str() == code)
    }

    /// Whether the shop refused the order, rather than somebody calling it off.
    const fn is_refusal(self) -> bool {
        !matches!(
            self,
            Reason::CanceledByCustomer | Reason::CanceledByStaff | Reason::AccountDeleted
        )
    }
}

/// What can happen to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The customer confirms.
    Confirm,
    /// A manager says it was handed over.
    Complete,
    /// Somebody calls it off.
    Cancel(Reason),
    /// No answer in time.
    Deadline,
    /// `stock.reserved`
    Reserved,
    /// `stock.rejected`
    Rejected(Reason),
    /// `payment.charged`
    Charged,
    /// `payment.declined`
    Declined(Reason),
    /// `stock.committed`
    Committed,
    /// `payment.refunded`
    Refunded,
    /// `stock.released`
    Released,
}

impl Event {
    /// The name in the order's history.
    pub const fn as_str(self) -> &'static str {
        match self {
            Event::Confirm => "confirmed",
            Event::Complete => "handed_over",
            Event::Cancel(_) => "cancel_requested",
            Event::Deadline => "deadline_passed",
            Event::Reserved => "stock.reserved",
            Event::Rejected(_) => "stock.rejected",
            Event::Charged => "payment.charged",
            Event::Declined(_) => "payment.declined",
            Event::Committed => "stock.committed",
            Event::Refunded => "payment.refunded",
            Event::Released => "stock.released",
        }
    }
}

/// What the customer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// Confirmed.
    Created,
    /// Reserved and charged.
    Paid,
    /// Handed over.
    Completed,
    /// Called off.
    Canceled,
    /// Refused by the shop.
    Rejected,
}

impl Notice {
    /// The event type that carries it.
    pub const fn event_type(self) -> &'static str {
        match self {
            Notice::Created => "order.created",
            Notice::Paid => "order.paid",
            Notice::Completed => "order.completed",
            Notice::Canceled => "order.canceled",
            Notice::Rejected => "order.rejected",
        }
    }
}

/// A saga: where it stands and, once it turns back, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Saga {
    /// Where it stands.
    pub state: State,
    /// The first reason to undo it; later ones change nothing.
    pub reason: Option<Reason>,
}

/// What an event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The saga moves on: store it, send the command, tell the customer.
    Move {
        /// Where it stands now.
        saga: Saga,
        /// What to send.
        command: Option<Command>,
        /// What to tell.
        notice: Option<Notice>,
    },
    /// A repeated, late or needless event: nothing changes.
    Stay,
}

/// An event that this state refuses. Only what a person asks for can be refused; answers of
/// participants never are.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("an order that is {} can't be {}", .state.as_str(), .event.as_str())]
pub struct Illegal {
    /// Where the saga stands.
    pub state: State,
    /// What was asked.
    pub event: Event,
}

impl Saga {
    /// A saga that has not begun.
    pub const DRAFT: Saga = Saga {
        state: State::Draft,
        reason: None,
    };

    /// The transition function. Total: every pair of state and event has its answer here.
    pub fn apply(self, event: Event) -> Result<Outcome, Illegal> {
        use {Command as C, Event as E, Notice as N, State as S};
        let illegal = Err(Illegal {
            state: self.state,
            event,
        });
        match (self.state, event) {
            (S::Draft, E::Confirm) => self.go(S::Reserving, Some(C::Reserve), Some(N::Created)),
            (_, E::Confirm) => illegal,

            (S::Paid, E::Complete) => self.go(S::Committing, Some(C::Commit), None),
            (S::Committing | S::Completed, E::Complete) => Ok(Outcome::Stay),
            (_, E::Complete) => illegal,

            (S::Draft, E::Cancel(why)) => self.because(why).end(),
            (S::Reserving, E::Cancel(why)) => self.because(why).undo_reserve(),
            (S::Charging | S::Paid, E::Cancel(why)) => self.because(why).undo_charge(),
            (S::Refunding | S::Releasing | S::Canceled, E::Cancel(_)) => Ok(Outcome::Stay),
            (S::Committing | S::Completed, E::Cancel(_)) => illegal,

            // A deadline turns a step round; an undo or a commit has no other way than on.
            (S::Reserving, E::Deadline) => self.because(Reason::Timeout).undo_reserve(),
            (S::Charging, E::Deadline) => self.because(Reason::Timeout).undo_charge(),
            (_, E::Deadline) => Ok(Outcome::Stay),

            (S::Reserving, E::Reserved) => self.go(S::Charging, Some(C::Charge), None),
            (S::Reserving, E::Rejected(why)) => self.because(why).end(),
            (S::Charging, E::Charged) => self.go(S::Paid, None, Some(N::Paid)),
            (S::Charging, E::Declined(why)) => self.because(why).undo_reserve(),
            (S::Committing, E::Committed) => self.go(S::Completed, None, Some(N::Completed)),
            (S::Refunding, E::Refunded) => self.undo_reserve(),
            (S::Releasing, E::Released) => self.end(),
            // Any other answer is a repeat, or comes after the saga turned back and its undo is
            // under way: the undo's own answer decides.
            (
                _,
                E::Reserved
                | E::Rejected(_)
                | E::Charged
                | E::Declined(_)
                | E::Committed
                | E::Refunded
                | E::Released,
            ) => Ok(Outcome::Stay),
        }
    }

    /// The command whose answer a state waits for: what to send again when none comes.
    pub const fn awaited(self) -> Option<Command> {
        match self.state {
            State::Reserving => Some(Command::Reserve),
            State::Charging => Some(Command::Charge),
            State::Committing => Some(Command::Commit),
            State::Refunding => Some(Command::Refund),
            State::Releasing => Some(Command::Release),
            State::Draft | State::Paid | State::Completed | State::Canceled => None,
        }
    }

    fn because(self, why: Reason) -> Saga {
        Saga {
            reason: self.reason.or(Some(why)),
            ..self
        }
    }

    fn go(
        self,
        state: State,
        command: Option<Command>,
        notice: Option<Notice>,
    ) -> Result<Outcome, Illegal> {
        Ok(Outcome::Move {
            saga: Saga { state, ..self },
            command,
            notice,
        })
    }

    fn undo_charge(self) -> Result<Outcome, Illegal> {
        self.go(State::Refunding, Some(Command::Refund), None)
    }

    fn undo_reserve(self) -> Result<Outcome, Illegal> {
        self.go(State::Releasing, Some(Command::Release), None)
    }

    fn end(self) -> Result<Outcome, Illegal> {
        let refused = self.reason.is_some_and(Reason::is_refusal);
        let notice = if refused {
            Notice::Rejected
        } else {
            Notice::Canceled
        };
        self.go(State::Canceled, None, Some(notice))
    }
}

#[cfg(test)]
#[path = "saga_tests.rs"]
mod tests;
