//! The token check, composed into each service.
