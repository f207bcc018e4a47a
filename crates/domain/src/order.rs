//! What an order may contain, and the states a customer sees.

use thiserror::Error;

/// Lines an order may have.
pub const MAX_LINES: usize = 100;
/// Pieces a line may ask for.
pub const MAX_QUANTITY: u32 = 10_000;

/// What an order is to its customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// May still be edited; nothing is reserved or charged.
    Draft,
    /// Confirmed; the saga is under way.
    Pending,
    /// Items set aside and paid for.
    Paid,
    /// Handed over. Final.
    Completed,
    /// Undone, with a reason. Final.
    Canceled,
}

impl Status {
    /// The name used on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Draft => "draft",
            Status::Pending => "pending",
            Status::Paid => "paid",
            Status::Completed => "completed",
            Status::Canceled => "canceled",
        }
    }

    /// The inverse of [`Status::as_str`].
    pub fn parse(name: &str) -> Option<Status> {
        [
            Status::Draft,
            Status::Pending,
            Status::Paid,
            Status::Completed,
            Status::Canceled,
        ]
        .into_iter()
        .find(|status| status.as_str() == name)
    }
}

/// One line as the customer asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The item's id.
    pub item_id: String,
    /// How many pieces.
    pub quantity: u32,
}

/// Why the lines of an order are refused. `index` counts from 0.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum LineError {
    /// No line at all.
    #[error("an order needs at least one line")]
    Empty,
    /// More than [`MAX_LINES`].
    #[error("an order has at most {MAX_LINES} lines")]
    TooMany,
    /// Zero, negative, or more than [`MAX_QUANTITY`].
    #[error("must be between 1 and {MAX_QUANTITY}")]
    Quantity {
        /// Which line.
        index: usize,
    },
    /// The same item twice: which quantity did the customer mean?
    #[error("this item is already in line {first}")]
    Duplicate {
        /// Which line.
        index: usize,
        /// The line that has it already.
        first: usize,
    },
}

/// Checks the lines of an order; quantities come as the client sent them.
pub fn check_lines<'a>(
    lines: impl ExactSizeIterator<Item = (&'a str, i64)>,
) -> Result<Vec<Line>, LineError> {
    match lines.len() {
        0 => return Err(LineError::Empty),
        1..=MAX_LINES => {}
        _ => return Err(LineError::TooMany),
    }
    let mut checked: Vec<Line> = Vec::with_capacity(lines.len());
    for (index, (item_id, quantity)) in lines.enumerate() {
        let quantity = u32::try_from(quantity)
            .ok()
            .filter(|quantity| (1..=MAX_QUANTITY).contains(quantity))
            .ok_or(LineError::Quantity { index })?;
        if let Some(first) = checked.iter().position(|line| line.item_id == item_id) {
            return Err(LineError::Duplicate { index, first });
        }
        checked.push(Line {
            item_id: item_id.to_owned(),
            quantity,
        });
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[(&str, i64)]) -> Result<Vec<Line>, LineError> {
        check_lines(lines.iter().copied())
    }

    #[test]
    fn quantities_have_bounds() {
        assert!(check(&[("a", 1)]).is_ok());
        assert!(check(&[("a", 10_000)]).is_ok());
        for bad in [0, -1, 10_001, i64::MAX, i64::MIN] {
            assert_eq!(
                check(&[("a", 1), ("b", bad)]),
                Err(LineError::Quantity { index: 1 })
            );
        }
    }

    #[test]
    fn the_number_of_lines_has_bounds() {
        assert_eq!(check(&[]), Err(LineError::Empty));
        let names: Vec<String> = (0..=MAX_LINES).map(|n| n.to_string()).collect();
        let lines: Vec<(&str, i64)> = names.iter().map(|n| (n.as_str(), 1)).collect();
        assert!(check(&lines[..MAX_LINES]).is_ok());
        assert_eq!(check(&lines), Err(LineError::TooMany));
    }

    #[test]
    fn an_item_comes_once() {
        assert_eq!(
            check(&[("a", 1), ("b", 1), ("a", 2)]),
            Err(LineError::Duplicate { index: 2, first: 0 })
        );
    }

    #[test]
    fn names_of_states_are_unique() {
        for name in ["draft", "pending", "paid", "completed", "canceled"] {
            assert_eq!(Status::parse(name).map(Status::as_str), Some(name));
        }
        assert_eq!(Status::parse("PAID"), None);
    }
}
