//! Double-entry bookkeeping: every movement names the account it leaves and the one it reaches, so
//! the sum over all accounts is zero at all times.

use crate::money::{Money, MoneyError};
use thiserror::Error;

/// An account of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Account {
    /// A user's wallet; never below zero.
    Wallet(String),
    /// Where deposits come from and withdrawals go to: the world outside. Goes below zero.
    External,
    /// What customers paid for orders.
    Sales,
}

impl Account {
    /// The name under which the account is stored.
    pub fn code(&self) -> String {
        match self {
            Account::Wallet(user) => format!("wallet:{user}"),
            Account::External => "external".to_owned(),
            Account::Sales => "sales".to_owned(),
        }
    }
}

/// What moves money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From outside into a wallet.
    Deposit,
    /// From a wallet to the outside.
    Withdrawal,
    /// From a wallet to the shop, for an order.
    Charge,
    /// Back from the shop, for an order.
    Refund,
    /// From a wallet that is closed to where its deposits came from.
    Payout,
}

impl Kind {
    /// The name under which it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Deposit => "deposit",
            Kind::Withdrawal => "withdrawal",
            Kind::Charge => "charge",
            Kind::Refund => "refund",
            Kind::Payout => "payout",
        }
    }
}

/// One movement: `amount` leaves `debit` and reaches `credit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// What for.
    pub kind: Kind,
    /// The account that gives.
    pub debit: Account,
    /// The account that receives.
    pub credit: Account,
    /// How much; more than zero.
    pub amount: Money,
}

/// Why a movement is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum LedgerError {
    /// The wallet holds less than asked for.
    #[error("the balance is {balance} minor units")]
    InsufficientFunds {
        /// What the wallet holds, in minor units.
        balance: i64,
    },
    /// The balance would not fit.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// The movement of `kind` between `user`'s wallet, which now holds `balance`, and the other side.
/// Gives the movement to record and the wallet's new balance.
pub fn post(
    kind: Kind,
    user: &str,
    balance: Money,
    amount: Money,
) -> Result<(Movement, Money), LedgerError> {
    let wallet = Account::Wallet(user.to_owned());
    let (debit, credit, after) = match kind {
        Kind::Deposit => (Account::External, wallet, balance.plus(amount)?),
        Kind::Refund => (Account::Sales, wallet, balance.plus(amount)?),
        Kind::Withdrawal | Kind::Payout => (wallet, Account::External, balance.minus(amount)?),
        Kind::Charge => (wallet, Account::Sales, balance.minus(amount)?),
    };
    if after < Money::ZERO {
        return Err(LedgerError::InsufficientFunds {
            balance: balance.minor(),
        });
    }
    Ok((
        Movement {
            kind,
            debit,
            credit,
            amount,
        },
        after,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn kind() -> impl Strategy<Value = Kind> {
        prop_oneof![
            Just(Kind::Deposit),
            Just(Kind::Withdrawal),
            Just(Kind::Charge),
            Just(Kind::Refund),
            Just(Kind::Payout)
        ]
    }

    proptest! {
        /// RELIABILITY §2.3: the accounts sum to zero and no wallet goes below zero.
        #[test]
        fn the_books_balance(moves in prop::collection::vec((kind(), 0usize..3, 1i64..1000), 0..200)) {
            let mut books: HashMap<String, i64> = HashMap::new();
            for (kind, user, amount) in moves {
                let user = format!("u{user}");
                let code = Account::Wallet(user.clone()).code();
                let balance = Money::from_minor(*books.get(&code).unwrap_or(&0));
                if let Ok((m, after)) = post(kind, &user, balance, Money::from_minor(amount)) {
                    *books.entry(m.debit.code()).or_default() -= m.amount.minor();
                    *books.entry(m.credit.code()).or_default() += m.amount.minor();
                    prop_assert_eq!(books[&code], after.minor());
                }
                prop_assert_eq!(books.values().sum::<i64>(), 0);
                prop_assert!(books.iter().all(|(c, b)| !c.starts_with("wallet:") || *b >= 0));
            }
        }
    }

    #[test]
    fn a_wallet_gives_its_last_cent_and_no_more() {
        let ten = Money::from_minor(10);
        let (_, after) = post(Kind::Charge, "u", ten, ten).expect("ten are there");
        assert_eq!(after, Money::ZERO);
        assert_eq!(
            post(Kind::Charge, "u", ten, Money::from_minor(11)),
            Err(LedgerError::InsufficientFunds { balance: 10 })
        );
    }
}
