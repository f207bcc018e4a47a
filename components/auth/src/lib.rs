//! Accounts and tokens: register, login, logout, refresh, the public keys.
