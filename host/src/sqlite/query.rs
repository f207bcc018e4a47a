//! Running one statement and turning what SQLite gives into what the guest gets.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Connection, params_from_iter};

use crate::bindings::spin::sqlite::sqlite::{Error, RowResult, Value};
use crate::limits::{RESULT_BYTES, STATEMENT_BYTES};

/// The rows so far and how the statement ended. As in Spin, an error at any point, even in preparing,
/// comes after the rows.
#[derive(Default)]
pub(crate) struct Outcome {
    pub columns: Vec<String>,
    pub rows: Vec<RowResult>,
    pub end: Option<Error>,
    /// It ended because another connection holds the database: the same may succeed later.
    pub busy: bool,
}

impl Outcome {
    /// A statement that failed without effect.
    pub fn failed(reason: String) -> Self {
        Self {
            end: Some(Error::Io(reason)),
            ..Self::default()
        }
    }
}

/// Runs the statement to its end. Blocks.
pub(super) fn run(connection: &Connection, sql: &str, parameters: &[Value]) -> Outcome {
    let mut outcome = Outcome::default();
    if sql.len() > STATEMENT_BYTES {
        outcome.end = Some(Error::Io(format!(
            "statement exceeds limit of {STATEMENT_BYTES} bytes"
        )));
    } else if let Err(error) = fill(&mut outcome, connection, sql, parameters) {
        let (error, busy) = error;
        outcome.end = Some(error);
        outcome.busy = busy;
    }
    outcome
}

/// An error for the guest, and whether the database was busy.
type Failure = (Error, bool);

fn fill(
    outcome: &mut Outcome,
    connection: &Connection,
    sql: &str,
    parameters: &[Value],
) -> Result<(), Failure> {
    let mut statement = connection.prepare_cached(sql).map_err(io)?;
    outcome.columns = statement.column_names().map(str::to_owned).collect();
    let width = outcome.columns.len();
    let mut rows = statement
        .query(params_from_iter(parameters.iter().map(parameter)))
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
            let error = format!("query result exceeds limit of {RESULT_BYTES} bytes");
            return Err((Error::Io(error), false));
        }
        outcome.rows.push(RowResult { values });
    }
    Ok(())
}

fn io(error: rusqlite::Error) -> Failure {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    let busy = matches!(
        error.sqlite_error_code(),
        Some(DatabaseBusy | DatabaseLocked)
    );
    (Error::Io(error.to_string()), busy)
}

fn parameter(value: &Value) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match value {
        Value::Integer(number) => ValueRef::Integer(*number),
        Value::Real(number) => ValueRef::Real(*number),
        Value::Text(text) => ValueRef::Text(text.as_bytes()),
        Value::Blob(bytes) => ValueRef::Blob(bytes),
        Value::Null => ValueRef::Null,
    })
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
