//! Orders and the saga that settles them.
