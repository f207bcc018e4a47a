//! What the shop tells its users.
