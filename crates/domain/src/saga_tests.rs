//! The saga, tested without any of its surroundings: its endings, its total function, and random
//! histories against two participants with barriers.

use super::*;
use proptest::prelude::*;

fn walk(events: &[Event]) -> (Saga, Vec<Command>, Vec<Notice>) {
    let (mut saga, mut commands, mut notices) = (Saga::DRAFT, vec![], vec![]);
    for event in events {
        match saga
            .apply(*event)
            .unwrap_or_else(|refusal| panic!("{refusal}"))
        {
            Outcome::Move {
                saga: next,
                command,
                notice,
            } => {
                saga = next;
                commands.extend(command);
                notices.extend(notice);
            }
            Outcome::Stay => {}
        }
    }
    (saga, commands, notices)
}

#[test]
fn paid_and_completed() {
    let (saga, commands, notices) = walk(&[
        Event::Confirm,
        Event::Reserved,
        Event::Charged,
        Event::Complete,
        Event::Committed,
    ]);
    assert_eq!(
        saga,
        Saga {
            state: State::Completed,
            reason: None
        }
    );
    assert_eq!(
        commands,
        [Command::Reserve, Command::Charge, Command::Commit]
    );
    assert_eq!(notices, [Notice::Created, Notice::Paid, Notice::Completed]);
}

#[test]
fn stock_refuses() {
    let (saga, commands, notices) = walk(&[Event::Confirm, Event::Rejected(Reason::OutOfStock)]);
    assert_eq!(
        saga,
        Saga {
            state: State::Canceled,
            reason: Some(Reason::OutOfStock)
        }
    );
    assert_eq!(commands, [Command::Reserve]);
    assert_eq!(notices, [Notice::Created, Notice::Rejected]);
}

#[test]
fn billing_declines_and_stock_is_released() {
    let (saga, commands, notices) = walk(&[
        Event::Confirm,
        Event::Reserved,
        Event::Declined(Reason::InsufficientFunds),
        Event::Released,
    ]);
    assert_eq!(
        saga,
        Saga {
            state: State::Canceled,
            reason: Some(Reason::InsufficientFunds)
        }
    );
    assert_eq!(
        commands,
        [Command::Reserve, Command::Charge, Command::Release]
    );
    assert_eq!(notices, [Notice::Created, Notice::Rejected]);
}

#[test]
fn a_paid_order_is_undone_in_reverse_order() {
    let (saga, commands, notices) = walk(&[
        Event::Confirm,
        Event::Reserved,
        Event::Charged,
        Event::Cancel(Reason::CanceledByCustomer),
        Event::Refunded,
        Event::Released,
    ]);
    assert_eq!(saga.state, State::Canceled);
    assert_eq!(commands[2..], [Command::Refund, Command::Release]);
    assert_eq!(notices.last(), Some(&Notice::Canceled));
}

#[test]
fn the_first_reason_stays() {
    let (saga, ..) = walk(&[
        Event::Confirm,
        Event::Deadline,
        Event::Cancel(Reason::CanceledByCustomer),
        Event::Rejected(Reason::OutOfStock),
        Event::Released,
    ]);
    assert_eq!(
        saga,
        Saga {
            state: State::Canceled,
            reason: Some(Reason::Timeout)
        }
    );
}

#[test]
fn late_answers_do_not_turn_an_undo_round() {
    let (saga, commands, _) = walk(&[
        Event::Confirm,
        Event::Reserved,
        Event::Deadline,
        Event::Charged,
        Event::Reserved,
    ]);
    assert_eq!(saga.state, State::Refunding);
    assert_eq!(commands.last(), Some(&Command::Refund));
}

#[test]
fn a_completed_order_is_not_canceled() {
    let done = Saga {
        state: State::Completed,
        reason: None,
    };
    assert!(
        done.apply(Event::Cancel(Reason::CanceledByCustomer))
            .is_err()
    );
    assert_eq!(done.apply(Event::Complete), Ok(Outcome::Stay));
}

#[test]
fn every_command_is_in_the_table_with_a_type_of_its_own() {
    let commands = [
        Command::Reserve,
        Command::Charge,
        Command::Commit,
        Command::Release,
        Command::Refund,
    ];
    let mut types: Vec<_> = commands
        .iter()
        .map(|command| command.event_type())
        .collect();
    assert!(types.iter().all(|event_type| !event_type.is_empty()));
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), commands.len());
}

#[test]
fn names_read_back() {
    for state in STATES {
        assert_eq!(State::parse(state.as_str()), Some(state));
        let saga = Saga {
            state,
            reason: None,
        };
        assert_eq!(state.waits(), saga.awaited().is_some());
        let turns = !matches!(saga.apply(Event::Deadline), Ok(Outcome::Stay));
        assert_eq!(state.has_deadline(), turns);
    }
    for reason in REASONS {
        assert_eq!(Reason::parse(reason.as_str()), Some(reason));
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Confirm),
        Just(Event::Complete),
        Just(Event::Cancel(Reason::CanceledByCustomer)),
        Just(Event::Deadline),
        Just(Event::Reserved),
        Just(Event::Rejected(Reason::OutOfStock)),
        Just(Event::Charged),
        Just(Event::Declined(Reason::InsufficientFunds)),
        Just(Event::Committed),
        Just(Event::Refunded),
        Just(Event::Released),
    ]
}

/// One side of a participant's barrier: what it did for this order.
#[derive(Default)]
struct Effect {
    done: bool,
    undone: bool,
}

impl Effect {
    fn act(&mut self, willing: bool) -> bool {
        if !self.undone && willing {
            self.done = true;
        }
        self.done && !self.undone
    }

    fn undo(&mut self) {
        self.undone = true;
    }

    fn holds(&self) -> bool {
        self.done && !self.undone
    }
}

proptest! {
    /// Whatever comes, in whatever order: a final state stays, and a saga that turned back has a reason.
    #[test]
    fn any_history_is_survived(events in prop::collection::vec(event(), 0..60)) {
        let mut saga = Saga::DRAFT;
        for event in events {
            if let Ok(Outcome::Move { saga: next, command, .. }) = saga.apply(event) {
                prop_assert!(!matches!(saga.state, State::Completed | State::Canceled));
                prop_assert_eq!(command, next.awaited());
                saga = next;
            }
            prop_assert_eq!(
                saga.reason.is_some(),
                saga.state.undoes() || saga.state == State::Canceled
            );
        }
    }

    /// With participants that have barriers, however messages are repeated, delayed and
    /// interrupted, the end is all or nothing (RELIABILITY §2.2, §2.3).
    #[test]
    fn the_end_is_all_or_nothing(
        choices in prop::collection::vec((0usize..8, any::<bool>()), 0..80),
        in_stock in any::<bool>(),
        solvent in any::<bool>(),
    ) {
        let (mut stock, mut wallet) = (Effect::default(), Effect::default());
        let mut sold = false;
        let mut saga = Saga::DRAFT;
        let mut sent: Vec<Command> = vec![];
        let step = |saga: &mut Saga, sent: &mut Vec<Command>, event: Event| {
            if let Ok(Outcome::Move { saga: next, command, .. }) = saga.apply(event) {
                *saga = next;
                sent.extend(command);
            }
        };
        let mut deliver = |command: Command| match command {
            Command::Reserve => if stock.act(in_stock) { Event::Reserved } else { Event::Rejected(Reason::OutOfStock) },
            Command::Charge => if wallet.act(solvent) { Event::Charged } else { Event::Declined(Reason::InsufficientFunds) },
            Command::Refund => { wallet.undo(); Event::Refunded }
            Command::Release => { stock.undo(); Event::Released }
            Command::Commit => { sold = true; Event::Committed }
        };
        step(&mut saga, &mut sent, Event::Confirm);
        for (choice, lost) in choices {
            match choice {
                0 => step(&mut saga, &mut sent, Event::Cancel(Reason::CanceledByCustomer)),
                1 => step(&mut saga, &mut sent, Event::Deadline),
                2 => step(&mut saga, &mut sent, Event::Complete),
                // Any command ever sent may come (again), and its answer may be lost.
                n => if let Some(command) = sent.get(sent.len().saturating_sub(1 + n % sent.len().max(1))).copied() {
                    let answer = deliver(command);
                    if !lost { step(&mut saga, &mut sent, answer); }
                }
            }
        }
        // The outbox sends what is unanswered until it is answered.
        while let Some(command) = saga.awaited() {
            let answer = deliver(command);
            step(&mut saga, &mut sent, answer);
        }
        match saga.state {
            State::Paid => prop_assert!(stock.holds() && wallet.holds() && !sold),
            State::Completed => prop_assert!(stock.holds() && wallet.holds() && sold),
            State::Canceled => prop_assert!(!stock.holds() && !wallet.holds() && !sold),
            other => prop_assert!(false, "ended {:?}", other),
        }
    }
}
