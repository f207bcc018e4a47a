//! Who made a change. It is stored beside the change, and shown as far as the reader may see it.

use crate::db::{DbError, Row};
use crate::guard::Caller;
use serde::Serialize;
use std::borrow::Cow;

const CUSTOMER: &str = "customer";
const STAFF: &str = "staff";
const OPERATOR: &str = "operator";
const SYSTEM: &str = "system";

/// Who made a change: the owner of what changed, a member of staff, an operator with the shared secret, or
/// the shop by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Actor {
    kind: Cow<'static, str>,
    /// The account's id, for people with an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

impl Actor {
    /// The caller, as the owner of what changes or as a member of staff.
    pub fn of(caller: &Caller, owner: &str) -> Actor {
        if caller.id == owner {
            Actor::customer(owner)
        } else {
            Actor::staff(&caller.id)
        }
    }

    /// The owner of what changes.
    pub fn customer(id: &str) -> Actor {
        Actor {
            kind: Cow::Borrowed(CUSTOMER),
            id: Some(id.to_owned()),
        }
    }

    /// A member of staff.
    pub fn staff(id: &str) -> Actor {
        Actor {
            kind: Cow::Borrowed(STAFF),
            id: Some(id.to_owned()),
        }
    }

    /// A holder of the shared secret.
    pub fn operator() -> Actor {
        Actor {
            kind: Cow::Borrowed(OPERATOR),
            id: None,
        }
    }

    /// The shop: an answer of another service, a deadline, the end of an account.
    pub fn system() -> Actor {
        Actor {
            kind: Cow::Borrowed(SYSTEM),
            id: None,
        }
    }

    /// Reads two columns, the first at `at`. Rows that are older than these columns have no actor.
    pub fn read(row: &Row, at: usize) -> Result<Option<Actor>, DbError> {
        let (kind, id) = (row.opt_text(at)?, row.opt_text(at + 1)?);
        Ok(kind.map(|kind| Actor {
            kind: Cow::Owned(kind),
            id,
        }))
    }

    /// The first of the two columns.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The second of the two columns.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// As this caller may see it: staff see every id, all others only their own.
    pub fn seen_by(self, caller: &Caller) -> Actor {
        let may_know = caller.is_staff() || self.id.as_ref() == Some(&caller.id);
        Actor {
            id: self.id.filter(|_| may_know),
            ..self
        }
    }
}
