//! Amounts of money: integer minor units, never a fraction, never an overflow.

use thiserror::Error;

/// The currency of the shop (ISO 4217). There is one: wallets, prices and orders all share it.
pub const CURRENCY: &str = "EUR";

/// The largest single amount a client may name: ten million in major units. It keeps every sum of
/// 100 lines × 10 000 pieces within an `i64`.
pub const MAX_AMOUNT: i64 = 1_000_000_000;

/// An amount in minor units (cents).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(i64);

/// Why an amount is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MoneyError {
    /// Zero or less where something has to move.
    #[error("must be greater than 0")]
    NotPositive,
    /// Less than zero.
    #[error("must not be negative")]
    Negative,
    /// Past [`MAX_AMOUNT`].
    #[error("must be at most {MAX_AMOUNT} minor units")]
    TooLarge,
    /// A sum or product that does not fit.
    #[error("the sum is too large")]
    Overflow,
}

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);

    /// Any number of minor units, as read back from a database.
    pub const fn from_minor(minor: i64) -> Money {
        Money(minor)
    }

    /// The number of minor units.
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// An amount to move: in `1..=MAX_AMOUNT`.
    pub fn payment(minor: i64) -> Result<Money, MoneyError> {
        match minor {
            ..=0 => Err(MoneyError::NotPositive),
            1..=MAX_AMOUNT => Ok(Money(minor)),
            _ => Err(MoneyError::TooLarge),
        }
    }

    /// A price: in `0..=MAX_AMOUNT`; things may be free.
    pub fn price(minor: i64) -> Result<Money, MoneyError> {
        match minor {
            ..=-1 => Err(MoneyError::Negative),
            0..=MAX_AMOUNT => Ok(Money(minor)),
            _ => Err(MoneyError::TooLarge),
        }
    }

    /// `self + other`.
    pub fn plus(self, other: Money) -> Result<Money, MoneyError> {
        self.0
            .checked_add(other.0)
            .map(Money)
            .ok_or(MoneyError::Overflow)
    }

    /// `self - other`; may be negative.
    pub fn minus(self, other: Money) -> Result<Money, MoneyError> {
        self.0
            .checked_sub(other.0)
            .map(Money)
            .ok_or(MoneyError::Overflow)
    }

    /// The price of `quantity` pieces.
    pub fn times(self, quantity: u32) -> Result<Money, MoneyError> {
        self.0
            .checked_mul(i64::from(quantity))
            .map(Money)
            .ok_or(MoneyError::Overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_is_positive_and_bounded() {
        assert_eq!(Money::payment(0), Err(MoneyError::NotPositive));
        assert_eq!(Money::payment(-1), Err(MoneyError::NotPositive));
        assert_eq!(Money::payment(1).map(Money::minor), Ok(1));
        assert_eq!(Money::payment(MAX_AMOUNT).map(Money::minor), Ok(MAX_AMOUNT));
        assert_eq!(Money::payment(MAX_AMOUNT + 1), Err(MoneyError::TooLarge));
    }

    #[test]
    fn a_price_may_be_zero() {
        assert_eq!(Money::price(0), Ok(Money::ZERO));
        assert_eq!(Money::price(-1), Err(MoneyError::Negative));
    }

    #[test]
    fn the_largest_order_fits() {
        let line = Money::price(MAX_AMOUNT).and_then(|p| p.times(crate::order::MAX_QUANTITY));
        let mut total = Money::ZERO;
        for _ in 0..crate::order::MAX_LINES {
            total = total
                .plus(line.expect("one line fits"))
                .expect("all lines fit");
        }
        assert_eq!(total.minor(), 1_000_000_000 * 10_000 * 100);
    }

    #[test]
    fn arithmetic_reports_overflow() {
        let max = Money::from_minor(i64::MAX);
        assert_eq!(max.plus(Money::from_minor(1)), Err(MoneyError::Overflow));
        assert_eq!(
            Money::from_minor(i64::MIN).minus(Money::from_minor(1)),
            Err(MoneyError::Overflow)
        );
        assert_eq!(max.times(2), Err(MoneyError::Overflow));
    }
}
