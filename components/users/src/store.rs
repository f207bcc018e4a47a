//! The SQL of users.

use crate::input::Changes;
use serde::Serialize;
use wasmart_contracts::messages::AccountRegistered;
use wasmart_domain::text::CLAIM;
use wasmart_service::actor::Actor;
use wasmart_service::clock;
use wasmart_service::db::{Db, DbError, Row, ToValue, Tx};
use wasmart_service::guard::Caller;
use wasmart_service::http::Patch;

const PROFILE: &str =
    "id, email, username, first_name, last_name, phone, language, created_at, updated_at,
    updated_by_kind, updated_by_id";

/// A profile, as its owner sees it.
#[derive(Debug, Serialize)]
pub struct Profile {
    pub id: String,
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    created_at: String,
    updated_at: String,
    /// Who changed it last; absent where nobody has.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_by: Option<Actor>,
}

impl Profile {
    /// Hides the id of the actor if the caller may not see it.
    pub fn seen_by(self, caller: &Caller) -> Profile {
        Profile {
            updated_by: self.updated_by.map(|actor| actor.seen_by(caller)),
            ..self
        }
    }
}

fn profile(row: &Row) -> Result<Profile, DbError> {
    Ok(Profile {
        id: row.text(0)?,
        email: row.opt_text(1)?,
        username: row.opt_text(2)?,
        first_name: row.opt_text(3)?,
        last_name: row.opt_text(4)?,
        phone: row.opt_text(5)?,
        language: row.opt_text(6)?,
        created_at: clock::rfc3339(row.int(7)?),
        updated_at: clock::rfc3339(row.int(8)?),
        updated_by: Actor::read(row, 9)?,
    })
}

/// A profile that is not deleted.
pub async fn find(db: &Db, id: &str) -> Result<Option<Profile>, DbError> {
    let sql = format!("SELECT {PROFILE} FROM profiles WHERE id = ? AND deleted_at IS NULL");
    db.first(&sql, &[&id])
        .await?
        .map(|row| profile(&row))
        .transpose()
}

/// The caller's own profile; made from the token where the news of the registration is still on its
/// way. None for an account that is deleted.
pub async fn own(db: &Db, caller: &Caller) -> Result<Option<Profile>, DbError> {
    if let Some(profile) = find(db, &caller.id).await? {
        return Ok(Some(profile));
    }
    // Values that break the rules are left out: auth's event brings the account's own values.
    let claim = |claim: &Option<String>| claim.as_deref().and_then(|text| CLAIM.clean(text).ok());
    db.execute(
        "INSERT INTO profiles (id, email, username, registered, created_at, updated_at)
         VALUES (?1, ?2, ?3, 0, ?4, ?4) ON CONFLICT (id) DO NOTHING",
        &[
            &caller.id,
            &claim(&caller.email),
            &claim(&caller.username),
            &clock::now_ms(),
        ],
    )
    .await?;
    find(db, &caller.id).await
}

/// Takes in a registration. What the owner has set in the meantime stays; a repeat changes nothing.
pub async fn register(tx: &Tx, account: &AccountRegistered) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO profiles (id, email, username, first_name, last_name, phone, language,
                               registered, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?8)
         ON CONFLICT (id) DO UPDATE SET
             email = excluded.email, username = excluded.username,
             first_name = coalesce(first_name, excluded.first_name),
             last_name = coalesce(last_name, excluded.last_name),
             phone = coalesce(phone, excluded.phone),
             language = coalesce(language, excluded.language),
             registered = 1
         WHERE registered = 0 AND deleted_at IS NULL",
        &[
            &account.user_id,
            &account.email,
            &account.username,
            &account.first_name,
            &account.last_name,
            &account.phone,
            &account.language,
            &clock::now_ms(),
        ],
    )
    .await
}

/// Changes the named fields, in one statement, so that two changes of different fields both last.
/// `None` if nothing changes, or if there is no such profile.
pub async fn change(
    db: &Db,
    id: &str,
    changes: &Changes,
    actor: &Actor,
) -> Result<Option<Profile>, DbError> {
    let now = clock::now_ms();
    let named: Vec<(&str, Option<&String>)> = changes
        .columns()
        .into_iter()
        .filter(|(_, change)| **change != Patch::Absent)
        .map(|(column, change)| (column, change.value()))
        .collect();
    if named.is_empty() {
        return Ok(None);
    }
    let (kind, by) = (actor.kind(), actor.id());
    let mut params: Vec<&dyn ToValue> = vec![&now, &kind, &by, &id];
    let (mut set, mut differs) = (String::new(), vec![]);
    for (column, value) in &named {
        params.push(value);
        let number = params.len();
        set.push_str(&format!(", {column} = ?{number}"));
        differs.push(format!("{column} IS NOT ?{number}"));
    }
    let sql = format!(
        "UPDATE profiles SET updated_at = ?1, updated_by_kind = ?2, updated_by_id = ?3{set}
         WHERE id = ?4 AND deleted_at IS NULL AND ({}) RETURNING {PROFILE}",
        differs.join(" OR ")
    );
    db.first(&sql, &params)
        .await?
        .map(|row| profile(&row))
        .transpose()
}

/// Takes everything personal off the row, or makes it empty where there is none, so that a
/// registration that comes late finds it deleted.
pub async fn delete(db: &Db, id: &str) -> Result<(), DbError> {
    db.execute(
        "INSERT INTO profiles (id, registered, created_at, updated_at, deleted_at)
         VALUES (?1, 1, ?2, ?2, ?2)
         ON CONFLICT (id) DO UPDATE SET email = NULL, username = NULL, first_name = NULL,
             last_name = NULL, phone = NULL, language = NULL, registered = 1,
             updated_at = excluded.updated_at, deleted_at = excluded.deleted_at
         WHERE deleted_at IS NULL",
        &[&id, &clock::now_ms()],
    )
    .await
}
