//! The undo order turned round, for the test of the checker: released first, then refunded. It comes to
//! the same end, so that nothing but the order of the steps gives it away.

use wasmart_domain::saga::{Command, Event, Illegal, Outcome, Saga, State};
use wasmart_service::sabotage;

type Applied = Result<Outcome, Illegal>;

/// What becomes of the right `outcome` of an event.
pub fn turn_undo(saga: Saga, event: Event, outcome: Applied) -> Applied {
    let Ok(Outcome::Move { saga: next, .. }) = outcome else {
        return outcome;
    };
    if !sabotage::is(sabotage::UNDO_ORDER) {
        return outcome;
    }
    match (saga.state, event, next.state) {
        (State::Charging | State::Paid, _, State::Refunding) => {
            Ok(undo(next, State::Releasing, Command::Release))
        }
        (State::Releasing, Event::Released, _) => Ok(undo(saga, State::Refunding, Command::Refund)),
        // The end is the one that comes after the last undo of the right order.
        (State::Refunding, Event::Refunded, _) => Saga {
            state: State::Releasing,
            ..saga
        }
        .apply(Event::Released),
        _ => outcome,
    }
}

fn undo(saga: Saga, state: State, command: Command) -> Outcome {
    Outcome::Move {
        saga: Saga { state, ..saga },
        command: Some(command),
        notice: None,
    }
}
