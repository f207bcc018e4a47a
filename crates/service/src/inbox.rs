//! Taking messages in: a batch of events, one transaction, the answers published after the commit.
//!
//! What can't be understood, and what a handler refuses, is set aside as a dead letter and
//! acknowledged, so that it never blocks the rest of its batch. What fails for a passing reason
//! (a busy database, a full disk) is not answered at all: the sender still has it.

use crate::actor::Actor;
use crate::channels;
use crate::db::{Db, DbError, Tx};
use crate::open::{ACK, open};
use crate::{Service, clock, new_id, operators};
use crate::{outbox, trace};
use serde_json::Value;
use std::collections::BTreeMap;
use wasmart_contracts::envelope::{Event, Parsed, Poison};
use wasmart_contracts::messages::Ack;

/// The channel on which one-way events are acknowledged.
pub const ACKS: &str = "acks";

/// What a handler did with an event.
pub enum Handled {
    /// A command: here is the answer, and the channel it goes to.
    Reply(&'static str, Box<Event>),
    /// A one-way event: tell the sender that it is in.
    Ack,
    /// An answer to something of ours: the sender does not wait.
    Done,
}

/// Why a handler does not take an event.
#[derive(Debug)]
pub enum Refusal {
    /// It will never be right: a dead letter.
    Poison(String),
    /// The database.
    Db(DbError),
}

impl Refusal {
    /// The reason, when the event will never be taken in; the error, when it may be later.
    pub(crate) fn for_good(self) -> Result<String, DbError> {
        match self {
            Refusal::Poison(reason) => Ok(reason),
            Refusal::Db(error @ (DbError::Constraint(_) | DbError::Shape { .. })) => {
                Ok(error.to_string())
            }
            Refusal::Db(error) => Err(error),
        }
    }
}

impl From<DbError> for Refusal {
    fn from(error: DbError) -> Refusal {
        Refusal::Db(error)
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Refusal {
        Refusal::Poison(error.to_string())
    }
}

/// The handler of a component: has the effect of one event within the transaction.
pub trait Handler {
    /// Has the effect of `event`; the transaction is committed afterwards, for the whole batch.
    fn handle(
        &self,
        tx: &Tx,
        event: &Event,
    ) -> impl std::future::Future<Output = Result<Handled, Refusal>> + Send;
}

/// The answer to `event`: of type `kind`, about the same subject, in the same trace.
pub fn reply(service: &Service, event: &Event, kind: &str, data: &impl serde::Serialize) -> Event {
    Event {
        causationid: Some(event.id.clone()),
        traceparent: event.traceparent.as_deref().and_then(trace::well_formed),
        ..outbox::event(
            service,
            kind,
            event.subject.as_deref().unwrap_or_default(),
            data,
        )
    }
}

/// Takes in one message. The caller's trigger only hands the bytes over.
///
/// # Errors
/// Only for the host's log; whatever was not answered comes again.
pub async fn receive(
    service: &Service,
    message: &[u8],
    handler: &impl Handler,
) -> Result<(), DbError> {
    let batch = open(service, message).await?;
    if batch.is_empty() {
        return Ok(());
    }
    let mut answers = Answers::default();
    match take_in(service, &batch, handler, &mut answers).await {
        Ok(()) => {}
        Err(Refusal::Db(DbError::Busy(reason))) => return Err(DbError::Busy(reason)),
        // One of them spoils the transaction: find out which, so that the others get through.
        Err(_) => {
            answers = Answers::default();
            for parsed in batch {
                take_in_alone(service, parsed, handler, &mut answers).await?;
            }
        }
    }
    answers.publish(service).await;
    outbox::drain_share(service).await;
    Ok(())
}

async fn take_in(
    service: &Service,
    batch: &[Parsed],
    handler: &impl Handler,
    answers: &mut Answers,
) -> Result<(), Refusal> {
    let tx = Db::open(service).await?.begin().await?;
    for parsed in batch {
        match parsed {
            // A refusal may come after half of the effect, so it undoes the transaction.
            Ok(event) => answers.add(event, handle(service, &tx, event, handler).await?),
            Err(poison) => set_aside(&tx, poison, answers).await?,
        }
    }
    Ok(tx.commit().await?)
}

async fn handle(
    service: &Service,
    tx: &Tx,
    event: &Event,
    handler: &impl Handler,
) -> Result<Handled, Refusal> {
    if event.kind == ACK {
        outbox::acknowledged(tx, service, &event.payload::<Ack>()?.events).await?;
        return Ok(Handled::Done);
    }
    if let Some(cause) = &event.causationid {
        outbox::answered(tx, cause).await?;
    }
    handler.handle(tx, event).await
}

/// As [`take_in`], for one event with a transaction of its own: what is refused for good is a dead
/// letter, what fails for now is left to come again.
async fn take_in_alone(
    service: &Service,
    parsed: Parsed,
    handler: &impl Handler,
    answers: &mut Answers,
) -> Result<(), DbError> {
    let mut own = Answers::default();
    match take_in(service, std::slice::from_ref(&parsed), handler, &mut own).await {
        Ok(()) => answers.merge(own),
        Err(refusal) => match refusal.for_good() {
            Ok(reason) => {
                let poison = match parsed {
                    Ok(event) => poison_of(&event, reason),
                    Err(poison) => poison,
                };
                let tx = Db::open(service).await?.begin().await?;
                set_aside(&tx, &poison, answers).await?;
                tx.commit().await?;
            }
            Err(error) => log!("an event is left to come again: {error}"),
        },
    }
    Ok(())
}

/// Takes a dead letter in after all, and out of the dead letters in the same transaction.
pub(crate) async fn take_in_again(
    service: &Service,
    event: Event,
    letter: &str,
    reason: Option<&str>,
    handler: &(impl Handler + Sync),
) -> Result<(), Refusal> {
    let mut answers = Answers::default();
    let tx = Db::open(service).await?.begin().await?;
    let handled = handle(service, &tx, &event, handler).await?;
    answers.add(&event, handled);
    tx.execute("DELETE FROM dead_letters WHERE id = ?", &[&letter])
        .await?;
    let action = "dead_letter.redriven";
    operators::record(&tx, &Actor::operator(), action, &event.id, reason).await?;
    tx.commit().await?;
    answers.publish(service).await;
    outbox::drain(service).await;
    Ok(())
}

fn poison_of(event: &Event, reason: String) -> Poison {
    Poison {
        raw: serde_json::to_string(event).unwrap_or_default(),
        id: Some(event.id.clone()),
        source: Some(event.source.clone()),
        reason,
    }
}

/// The part of an event that a dead letter stores: everything but `traceparent`. That comes from a
/// client's request, and the deletion of the client's account would not find it.
fn kept(raw: &str) -> String {
    let mut event: Value = serde_json::from_str(raw).unwrap_or_default();
    match event
        .as_object_mut()
        .and_then(|event| event.remove("traceparent"))
    {
        Some(_) => event.to_string(),
        None => raw.to_owned(),
    }
}

/// The reason for the log, without quoted strings: serde quotes values of the event, which may be
/// personal data.
fn without_quotes(reason: &str) -> String {
    let parts = reason.split('"').enumerate();
    let kept = parts.map(|(number, part)| if number % 2 == 0 { part } else { "\"…\"" });
    kept.collect()
}

async fn set_aside(tx: &Tx, poison: &Poison, answers: &mut Answers) -> Result<(), DbError> {
    let reason = without_quotes(&poison.reason);
    tx.execute(
        "INSERT INTO dead_letters (id, event_id, raw, reason, created_at) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO NOTHING",
        &[
            &new_id(),
            &poison.id,
            &kept(&poison.raw),
            &reason,
            &clock::now_ms(),
        ],
    )
    .await?;
    log!(
        "dead letter {}: {}",
        poison.id.as_deref().unwrap_or("without id"),
        reason
    );
    if let (Some(id), Some(source)) = (&poison.id, &poison.source) {
        answers
            .acks
            .entry(source.clone())
            .or_default()
            .push(id.clone());
    }
    Ok(())
}

/// What goes out once the batch is committed. Nothing of it needs to be kept: a lost answer is asked
/// for again.
#[derive(Default)]
struct Answers {
    replies: BTreeMap<&'static str, Vec<Event>>,
    acks: BTreeMap<String, Vec<String>>,
}

impl Answers {
    fn add(&mut self, event: &Event, handled: Handled) {
        match handled {
            Handled::Reply(channel, reply) => self.replies.entry(channel).or_default().push(*reply),
            Handled::Ack => {
                self.acks
                    .entry(event.source.clone())
                    .or_default()
                    .push(event.id.clone());
            }
            Handled::Done => {}
        }
    }

    fn merge(&mut self, other: Answers) {
        for (channel, replies) in other.replies {
            self.replies.entry(channel).or_default().extend(replies);
        }
        for (source, ids) in other.acks {
            self.acks.entry(source).or_default().extend(ids);
        }
    }

    async fn publish(self, service: &Service) {
        let acks: Vec<Event> = self
            .acks
            .into_iter()
            .map(|(source, events)| outbox::event(service, ACK, &source, &Ack { events }))
            .collect();
        let acks = (!acks.is_empty()).then_some((ACKS, acks));
        for (channel, events) in self.replies.into_iter().chain(acks) {
            if let Err(error) = channels::publish(channel, &events).await {
                log!("an answer is lost and will be asked for again: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_nothing_of_what_came() {
        let error = serde_json::from_value::<u64>(Value::from("ann@example.com \\"));
        let reason = error.expect_err("a text").to_string();
        assert!(reason.contains("ann@example.com"), "{reason}");
        let kept = without_quotes(&reason);
        assert!(!kept.contains("ann"), "{kept}");
        assert!(
            kept.contains("invalid type: string \"…\", expected u64"),
            "{kept}"
        );
        let plain = "missing field `user_id`";
        assert_eq!(without_quotes(plain), plain);
    }

    #[test]
    fn what_is_kept_of_an_event_has_no_trace_of_its_request() {
        let raw = r#"{"id":"1","traceparent":"00-aa-bb-01","data":{"x":1}}"#;
        assert_eq!(kept(raw), r#"{"data":{"x":1},"id":"1"}"#);
        for other in [r#"{"id" : "1"}"#, "{nonsense", "[]", ""] {
            assert_eq!(kept(other), other);
        }
    }
}
