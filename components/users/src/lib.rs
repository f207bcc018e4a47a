//! Profiles: read, change, delete.
