//! Running one statement and turning what SQLite gives into what the guest gets.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, params_from_iter};

use crate::bindings::spin::sqlite::sqlite::{Error, RowResult, Value};
use crate::limits::{RESULT_BYTES, STATEMENT_BYTES};

/// The rows so far and how the statement ended. As in Spin, an error at any point, even in preparing,
/// comes after the rows.
#[derive(Default)]
pub(super) struct Outcome {
    pub columns: Vec<String>,
    pub rows: Vec<RowResult>,
    pub end: Option<Error>,
}

/// Runs the statement to its end. Blocks.
pub(super) fn run(connection: &Connection, sql: &str, parameters: Vec<Value>) -> Outcome {
    let mut outcome = Outcome::default();
    if sql.len() > STATEMENT_BYTES {
        outcome.end = Some(Error::Io(format!(
            "statement exceeds limit of {STATEMENT_BYTES} bytes"
        )));
    } else if let Err(error) = fill(&mut outcome, connection, sql, parameters) {
        outcome.end = Some(error);
    }
    outcome
}

fn fill(
    outcome: &mut Outcome,
    connection: &Connection,
    sql: &str,
    parameters: Vec<Value>,
) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(sql).map_err(io)?;
    outcome.columns = statement.column_names().map(str::to_owned).collect();
    let width = outcome.columns.len();
    let mut rows = statement
        .query(params_from_iter(parameters.into_iter().map(parameter)))
        .map_err(io)?;
    let mut bytes = 0;
    while let Some(row) = rows.next().map_err(io)? {
        let mut values = Vec::with_capacity(width);
        for column in 0..width {
            let Cell(value) = row.get(column).map_err(io)?;
            bytes += size(&value);
            values.push(value);
        }
        if bytes > RESULT_BYTES {
            return Err(Error::Io(format!(
                "query result exceeds limit of {RESULT_BYTES} bytes"
            )));
        }
        outcome.rows.push(RowResult { values });
    }
    Ok(())
}

fn io(error: rusqlite::Error) -> Error {
    Error::Io(error.to_string())
}

fn parameter(value: Value) -> rusqlite::types::Value {
    match value {
        Value::Integer(number) => rusqlite::types::Value::Integer(number),
        Value::Real(number) => rusqlite::types::Value::Real(number),
        Value::Text(text) => rusqlite::types::Value::Text(text),
        Value::Blob(bytes) => rusqlite::types::Value::Blob(bytes),
        Value::Null => rusqlite::types::Value::Null,
    }
}

fn size(value: &Value) -> usize {
    let content = match value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        Value::Integer(_) | Value::Real(_) | Value::Null => 0,
    };
    size_of::<Value>() + content
}

struct Cell(Value);

impl FromSql for Cell {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(match value {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Integer(number),
            ValueRef::Real(number) => Value::Real(number),
            // A guest may have stored bytes as text that are not UTF-8.
            ValueRef::Text(bytes) => {
                let text = str::from_utf8(bytes).map_err(FromSqlError::other)?;
                Value::Text(text.to_owned())
            }
            ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
        }))
    }
}
