//! Wallets on a double-entry ledger; the charging side of the saga.
