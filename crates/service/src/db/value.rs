//! Values into and out of statements.

use super::DbError;
use spin_sdk::sqlite::{RowResult, Value};

/// What can be a parameter of a statement.
pub trait ToValue: Sync {
    /// The parameter, as SQLite knows it.
    fn to_value(&self) -> Value;
}

impl ToValue for str {
    fn to_value(&self) -> Value {
        Value::Text(self.to_owned())
    }
}

impl ToValue for String {
    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }
}

impl ToValue for i64 {
    fn to_value(&self) -> Value {
        Value::Integer(*self)
    }
}

impl ToValue for u32 {
    fn to_value(&self) -> Value {
        Value::Integer(i64::from(*self))
    }
}

impl ToValue for bool {
    fn to_value(&self) -> Value {
        Value::Integer(i64::from(*self))
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value {
        (**self).to_value()
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, ToValue::to_value)
    }
}

/// One row of an answer. Columns are read by position, counted from 0.
#[derive(Debug)]
pub struct Row(Vec<Value>);

impl Row {
    pub(super) fn new(row: RowResult) -> Row {
        Row(row.values)
    }

    /// A text that is there.
    pub fn text(&self, index: usize) -> Result<String, DbError> {
        self.opt_text(index)?.ok_or(DbError::Shape {
            index,
            expected: "a text",
        })
    }

    /// A text or NULL.
    pub fn opt_text(&self, index: usize) -> Result<Option<String>, DbError> {
        match self.0.get(index) {
            Some(Value::Text(text)) => Ok(Some(text.clone())),
            Some(Value::Null) => Ok(None),
            _ => Err(DbError::Shape {
                index,
                expected: "a text",
            }),
        }
    }

    /// An integer that is there.
    pub fn int(&self, index: usize) -> Result<i64, DbError> {
        self.opt_int(index)?.ok_or(DbError::Shape {
            index,
            expected: "an integer",
        })
    }

    /// An integer or NULL.
    pub fn opt_int(&self, index: usize) -> Result<Option<i64>, DbError> {
        match self.0.get(index) {
            Some(Value::Integer(int)) => Ok(Some(*int)),
            Some(Value::Null) => Ok(None),
            _ => Err(DbError::Shape {
                index,
                expected: "an integer",
            }),
        }
    }

    /// An integer that is there and in `0..=u32::MAX`: a count.
    pub fn count(&self, index: usize) -> Result<u32, DbError> {
        u32::try_from(self.int(index)?).map_err(|_| DbError::Shape {
            index,
            expected: "a count",
        })
    }

    /// 0 or 1.
    pub fn flag(&self, index: usize) -> Result<bool, DbError> {
        self.int(index).map(|int| int != 0)
    }
}
