//! The participant's barrier: per subject, step and operation at most one effect, whatever comes
//! twice, late or in the wrong order. Rows are written in the transaction of the effect.
//!
//! - The same command again: the recorded answer, no effect.
//! - An undo before its action: a mark in the action's place, so that the late action is barred.
//! - An undo of nothing: success.

use crate::clock;
use crate::db::{DbError, Tx};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The action of a step, or its undo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Does it.
    Do,
    /// Undoes it.
    Undo,
}

impl Operation {
    const fn as_str(self) -> &'static str {
        match self {
            Operation::Do => "do",
            Operation::Undo => "undo",
        }
    }
}

/// The answer recorded for an action that its undo overtook.
const BARRED: &str = "barred";

/// What the barrier knows of a command.
#[derive(Debug, PartialEq)]
pub enum Entry<A> {
    /// It comes for the first time: have the effect, then [`record`] the answer.
    First,
    /// It has been answered: answer so again.
    Repeat(A),
    /// Its undo came before it: refuse it.
    Barred,
}

/// Looks up a command. `A` is what the participant records as its answer.
pub async fn enter<A: DeserializeOwned>(
    tx: &Tx,
    subject: &str,
    step: &str,
    operation: Operation,
) -> Result<Entry<A>, DbError> {
    #[cfg(feature = "sabotage")]
    if crate::sabotage::is(crate::sabotage::BARRIER) {
        return Ok(Entry::First);
    }
    let row = tx
        .first(
            "SELECT answer FROM barrier WHERE subject = ? AND step = ? AND operation = ?",
            &[&subject, &step, &operation.as_str()],
        )
        .await?;
    let Some(row) = row else {
        return Ok(Entry::First);
    };
    let answer = row.text(0)?;
    if answer == BARRED {
        return Ok(Entry::Barred);
    }
    serde_json::from_str(&answer)
        .map(Entry::Repeat)
        .map_err(|error| DbError::Failed(format!("barrier of {subject}/{step}: {error}")))
}

/// Records the answer to a command that came for the first time.
pub async fn record(
    tx: &Tx,
    subject: &str,
    step: &str,
    operation: Operation,
    answer: &impl Serialize,
) -> Result<(), DbError> {
    let answer = serde_json::to_string(answer).map_err(|e| DbError::Failed(e.to_string()))?;
    insert(tx, subject, step, operation, &answer).await
}

/// Bars an action that has not come yet; leaves one that has alone.
pub async fn bar(tx: &Tx, subject: &str, step: &str) -> Result<(), DbError> {
    insert(tx, subject, step, Operation::Do, BARRED).await
}

async fn insert(
    tx: &Tx,
    subject: &str,
    step: &str,
    operation: Operation,
    answer: &str,
) -> Result<(), DbError> {
    #[cfg(feature = "sabotage")]
    if crate::sabotage::is(crate::sabotage::BARRIER) {
        return Ok(());
    }
    tx.execute(
        "INSERT INTO barrier (subject, step, operation, answer, created_at) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO NOTHING",
        &[
            &subject,
            &step,
            &operation.as_str(),
            &answer,
            &clock::now_ms(),
        ],
    )
    .await
}
