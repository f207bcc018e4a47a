//! Who may use which route: one line for each route, in the order of the requests. A route that is
//! missing here fails the test, and so does a line whose route is gone.
//!
//! In a body or a path, `$word` stands for a value from the shop: see `Shop::fill`.

use super::people::Person;

/// Who may use a route. [`Access::verdict`] says what others get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody, whatever token they show.
    Public,
    /// Anybody; but a token, if there is one, must be valid.
    OptionalAccount,
    /// Nobody, whatever token they send: the route needs another credential, and the test sends
    /// none.
    Credential,
    /// Everybody who is logged in, for their own data.
    Account,
    /// The owner. For all others it does not exist.
    Owner,
    /// Only the owner. Staff may see the thing, so they get 403; for other customers it does not
    /// exist.
    OwnerNotStaff,
    /// The owner and staff.
    OwnerOrStaff,
    /// The owner and administrators.
    OwnerOrAdmin,
    /// Staff. The owner may see the thing, so she gets 403.
    StaffNotOwner,
    /// Those who run the shop.
    Staff,
    /// Administrators.
    Admin,
    /// Holders of the shared secret. For all others the path does not exist.
    Internal,
}

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It reaches the handler.
    Passes,
    /// 401
    NotLoggedIn,
    /// 403
    Forbidden,
    /// 404: the same answer as for a thing that does not exist.
    NoSuchThing,
    /// 404: the same answer as for a path that does not exist.
    NoSuchPath,
}

impl Access {
    pub fn verdict(self, person: Person) -> Verdict {
        use Person::{Admin, Machine, Manager, Other, Owner};
        use Verdict::{Forbidden, NoSuchPath, NoSuchThing, NotLoggedIn, Passes};
        match (self, person) {
            (Access::Public, _) | (Access::Internal, Machine) => Passes,
            (Access::Internal, _) => NoSuchPath,
            (Access::Credential, _) => NotLoggedIn,
            (Access::OptionalAccount, person) if !person.shows_bad_token() => Passes,
            (_, person) if !person.is_logged_in() => NotLoggedIn,
            (Access::Account | Access::OptionalAccount, _) => Passes,
            (Access::Owner | Access::OwnerNotStaff, Owner) => Passes,
            (Access::OwnerNotStaff, Manager | Admin) => Forbidden,
            (Access::OwnerNotStaff, _) => NoSuchThing,
            (Access::OwnerOrStaff, Owner | Manager | Admin) => Passes,
            (Access::OwnerOrAdmin, Owner | Admin) => Passes,
            (Access::Staff | Access::StaffNotOwner, Manager | Admin) => Passes,
            (Access::Admin, Admin) => Passes,
            (Access::Staff | Access::Admin, _) => Forbidden,
            (Access::StaffNotOwner, Owner) => Forbidden,
            (Access::StaffNotOwner, Other) => NoSuchThing,
            (Access::Owner | Access::OwnerOrStaff | Access::OwnerOrAdmin, _) => NoSuchThing,
            (Access::StaffNotOwner, _) => unreachable!("everybody else is not logged in"),
        }
    }
}

/// What `{id}` in a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// An id that nothing has.
    Nothing,
    /// An item of the catalogue.
    Item,
    /// A draft of the owner; a new one for each request.
    Draft,
    /// A notification of the owner.
    Notification,
    /// The owner's account.
    Account,
    /// An account that administrators change.
    Changed,
    /// An account that is deleted.
    Doomed,
}

/// What happens to a caller who passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    Nothing,
    /// Their session ends: they log in again.
    Session,
    /// Their account ends: another caller of the same kind takes their place.
    Account,
}

/// A line of the table.
pub struct Expectation {
    pub method: &'static str,
    pub path: &'static str,
    pub access: Access,
    /// The status that callers get who pass.
    pub status: u16,
    pub thing: Thing,
    /// A JSON body; a form, if it does not begin with a brace.
    pub body: Option<&'static str>,
    pub query: &'static str,
    pub ends: Ends,
    /// The body may contain the credential, so a malformed body is refused (400) before the caller
    /// is known.
    pub body_first: bool,
}

const fn line(
    method: &'static str,
    path: &'static str,
    access: Access,
    status: u16,
) -> Expectation {
    Expectation {
        method,
        path,
        access,
        status,
        thing: Thing::Nothing,
        body: None,
        query: "",
        ends: Ends::Nothing,
        body_first: false,
    }
}

impl Expectation {
    const fn body_first(self) -> Expectation {
        Expectation {
            body_first: true,
            ..self
        }
    }

    const fn of(self, thing: Thing) -> Expectation {
        Expectation { thing, ..self }
    }

    const fn body(self, body: &'static str) -> Expectation {
        let body = Some(body);
        Expectation { body, ..self }
    }

    const fn query(self, query: &'static str) -> Expectation {
        Expectation { query, ..self }
    }

    const fn ends(self, ends: Ends) -> Expectation {
        Expectation { ends, ..self }
    }
}

use Access::{
    Account, Admin, Credential, Internal, OptionalAccount, Owner, OwnerNotStaff, OwnerOrAdmin,
    OwnerOrStaff, Public, Staff, StaffNotOwner,
};

const REGISTER: &str = r#"{"email":"$new@example.com","password":"a long enough password"}"#;
const LOGIN: &str = r#"{"login":"$email","password":"$password"}"#;
const TOKEN: &str = "grant_type=password&username=$email&password=$password";
const NAME: &str = r#"{"first_name":"Ann"}"#;
const ADDRESS: &str = r#"{"address":"Street 1"}"#;
const ORDER: &str = r#"{"lines":[{"item_id":"$item","quantity":1}],"draft":true}"#;
const DRY_RUN: &str = r#"{"reason":"only to see","dry_run":true}"#;
const NO_TOKEN: &str = r#"{"token":"none that was mailed","password":"a long enough password"}"#;

pub const TABLE: &[Expectation] = &[
    // ---- auth ----
    line("POST", "/api/v1/auth/register", Public, 201).body(REGISTER),
    line("POST", "/api/v1/register", Public, 201).body(REGISTER),
    line("POST", "/api/v1/users/register", Public, 201).body(REGISTER),
    line("POST", "/api/v1/auth/login", Public, 200).body(LOGIN),
    line("POST", "/api/v1/login", Public, 200).body(LOGIN),
    line("POST", "/api/v1/users/login", Public, 200).body(LOGIN),
    line("POST", "/api/v1/auth/token", Public, 200).body(TOKEN),
    line("POST", "/api/v1/auth/token/", Public, 200).body(TOKEN),
    line("POST", "/api/v1/auth/refresh", Credential, 401),
    line("GET", "/api/v1/auth/refresh", Credential, 401),
    line("POST", "/api/v1/auth/password/forgot", Public, 202)
        .body(r#"{"email":"nobody@example.com"}"#),
    line("POST", "/api/v1/auth/password/reset", Credential, 401).body(NO_TOKEN),
    line("POST", "/api/v1/auth/password", Account, 200)
        .body(r#"{"current_password":"$own_password","new_password":"$new_password"}"#)
        .ends(Ends::Session),
    line("POST", "/api/v1/auth/logout", Account, 204)
        .ends(Ends::Session)
        .body_first(),
    line("GET", "/api/v1/auth/logout", Account, 204)
        .ends(Ends::Session)
        .body_first(),
    line("POST", "/api/v1/logout", Account, 204)
        .ends(Ends::Session)
        .body_first(),
    line("GET", "/api/v1/logout", Account, 204)
        .ends(Ends::Session)
        .body_first(),
    line("POST", "/api/v1/auth/logout/everywhere", Account, 204)
        .ends(Ends::Session)
        .body_first(),
    line("POST", "/api/v1/auth/logout-all", Account, 204)
        .ends(Ends::Session)
        .body_first(),
    // No provider is configured here: the handler says that there is no such provider.
    line("GET", "/api/v1/auth/{provider}/login", Public, 404),
    line("GET", "/api/v1/auth/{provider}/callback", Public, 404).query("?state=x&code=y"),
    line("*", "/api/v1/auth/check", Account, 200),
    line("*", "/api/v1/auth/check/", Account, 200),
    line("*", "/api/v1/auth/check/{*path}", Account, 200),
    line("*", "/api/v1/auth/istio", Account, 200),
    line("*", "/api/v1/auth/istio/", Account, 200),
    line("*", "/api/v1/auth/istio/{*path}", Account, 200),
    line("GET", "/api/v1/auth/audit", Admin, 200),
    line("GET", "/api/v1/auth/users", Admin, 200),
    line("GET", "/api/v1/auth/users/{id}", Admin, 200).of(Thing::Changed),
    line("POST", "/api/v1/auth/users/{id}/disable", Admin, 200).of(Thing::Changed),
    line("POST", "/api/v1/auth/users/{id}/enable", Admin, 200).of(Thing::Changed),
    line("PUT", "/api/v1/auth/users/{id}/role", Admin, 200)
        .of(Thing::Changed)
        .body(r#"{"role":"manager"}"#),
    line("GET", "/.well-known/jwks.json", Public, 200),
    line("GET", "/.well-known/openid-configuration", Public, 200),
    line("GET", "/api/v1/.well-known/jwks.json", Public, 200),
    line(
        "GET",
        "/api/v1/.well-known/openid-configuration",
        Public,
        200,
    ),
    line("DELETE", "/internal/auth/users/{id}", Internal, 204).of(Thing::Doomed),
    line("POST", "/internal/auth/tick", Internal, 204),
    line("GET", "/internal/auth/routes", Internal, 200),
    line("GET", "/internal/auth/dead-letters", Internal, 200),
    line(
        "POST",
        "/internal/auth/dead-letters/{id}/redrive",
        Internal,
        404,
    ),
    line("DELETE", "/internal/auth/dead-letters/{id}", Internal, 404),
    line("GET", "/api/v1/health", Public, 200),
    line("GET", "/api/v1/auth/health", Public, 200),
    line("GET", "/api/v1/auth/ready", Public, 200),
    // ---- users ----
    line("GET", "/api/v1/users/me", Account, 200),
    line("PATCH", "/api/v1/users/me", Account, 200).body(NAME),
    line("GET", "/api/v1/users/{id}", OwnerOrAdmin, 200).of(Thing::Account),
    line("PUT", "/api/v1/users/{id}", OwnerOrAdmin, 200)
        .of(Thing::Account)
        .body(NAME),
    line("PATCH", "/api/v1/users/{id}", OwnerOrAdmin, 200)
        .of(Thing::Account)
        .body(NAME),
    line("POST", "/api/v1/profiles", Account, 201).body(NAME),
    line("GET", "/api/v1/profiles/{id}", OwnerOrAdmin, 200).of(Thing::Account),
    line("PATCH", "/api/v1/profiles/{id}", OwnerOrAdmin, 200)
        .of(Thing::Account)
        .body(NAME),
    line("GET", "/internal/users/routes", Internal, 200),
    line("GET", "/internal/users/dead-letters", Internal, 200),
    line(
        "POST",
        "/internal/users/dead-letters/{id}/redrive",
        Internal,
        404,
    ),
    line("DELETE", "/internal/users/dead-letters/{id}", Internal, 404),
    line("GET", "/api/v1/users/health", Public, 200),
    line("GET", "/api/v1/users/ready", Public, 200),
    // ---- stock ----
    line("GET", "/api/v1/items", OptionalAccount, 200),
    line("POST", "/api/v1/items", Staff, 201).body(r#"{"name":"Coffee","price":5}"#),
    line("GET", "/api/v1/items/{id}", OptionalAccount, 200).of(Thing::Item),
    line("PATCH", "/api/v1/items/{id}", Staff, 200)
        .of(Thing::Item)
        .body(r#"{"price":101}"#),
    line("POST", "/api/v1/items/{id}/adjustments", Staff, 200)
        .of(Thing::Item)
        .body(r#"{"delta":1,"reason":"found one"}"#),
    line("GET", "/api/v1/items/{id}/changes", Staff, 200).of(Thing::Item),
    line("GET", "/api/v1/items/{id}/movements", Staff, 200).of(Thing::Item),
    line("GET", "/internal/stock/items", Internal, 200).query("?ids=$item"),
    line("POST", "/internal/stock/tick", Internal, 204),
    line("GET", "/internal/stock/routes", Internal, 200),
    line("GET", "/internal/stock/dead-letters", Internal, 200),
    line(
        "POST",
        "/internal/stock/dead-letters/{id}/redrive",
        Internal,
        404,
    ),
    line("DELETE", "/internal/stock/dead-letters/{id}", Internal, 404),
    line("GET", "/api/v1/stock/health", Public, 200),
    line("GET", "/api/v1/stock/ready", Public, 200),
    // ---- billing ----
    line("POST", "/api/v1/billing/account", Account, 200),
    line("GET", "/api/v1/billing/account", Account, 200),
    line("GET", "/api/v1/billing/account/my", Account, 200),
    line("POST", "/api/v1/billing/account/deposit", Account, 200).body(r#"{"amount":5}"#),
    line("POST", "/api/v1/billing/account/withdraw", Account, 200).body(r#"{"amount":1}"#),
    line("GET", "/api/v1/billing/transactions", Account, 200),
    line("POST", "/internal/billing/tick", Internal, 204),
    line("GET", "/internal/billing/routes", Internal, 200),
    line("GET", "/internal/billing/dead-letters", Internal, 200),
    line(
        "POST",
        "/internal/billing/dead-letters/{id}/redrive",
        Internal,
        404,
    ),
    line(
        "DELETE",
        "/internal/billing/dead-letters/{id}",
        Internal,
        404,
    ),
    line("GET", "/api/v1/billing/health", Public, 200),
    line("GET", "/api/v1/billing/ready", Public, 200),
    // ---- orders ----
    line("GET", "/api/v1/orders", Account, 200),
    line("POST", "/api/v1/orders", Account, 201).body(ORDER),
    line("GET", "/api/v1/orders/{id}", OwnerOrStaff, 200).of(Thing::Draft),
    line("PATCH", "/api/v1/orders/{id}", OwnerNotStaff, 200)
        .of(Thing::Draft)
        .body(ADDRESS),
    line("GET", "/api/v1/orders/{id}/events", OwnerOrStaff, 200).of(Thing::Draft),
    line("POST", "/api/v1/orders/{id}/execute", OwnerNotStaff, 200)
        .of(Thing::Draft)
        .body(r#"{"action":"confirm"}"#),
    line("POST", "/api/v1/orders/{id}/execute", OwnerOrStaff, 200)
        .of(Thing::Draft)
        .body(r#"{"action":"cancel"}"#),
    // A draft can't be completed, not even by those who may complete orders.
    line("POST", "/api/v1/orders/{id}/execute", StaffNotOwner, 409)
        .of(Thing::Draft)
        .body(r#"{"action":"complete"}"#),
    line("GET", "/api/v1/sagas", Admin, 200),
    line("GET", "/api/v1/sagas/{id}", Admin, 200).of(Thing::Draft),
    // Nothing of a draft was sent, so nothing can be sent again.
    line("POST", "/api/v1/sagas/{id}/redrive", Admin, 409).of(Thing::Draft),
    line("POST", "/api/v1/sagas/{id}/compensate", Admin, 200)
        .of(Thing::Draft)
        .body(DRY_RUN),
    line("GET", "/internal/orders/sagas", Internal, 200),
    line("GET", "/internal/orders/sagas/{id}", Internal, 200).of(Thing::Draft),
    line("POST", "/internal/orders/sagas/{id}/redrive", Internal, 409).of(Thing::Draft),
    line(
        "POST",
        "/internal/orders/sagas/{id}/compensate",
        Internal,
        200,
    )
    .of(Thing::Draft)
    .body(DRY_RUN),
    line("POST", "/internal/orders/tick", Internal, 204),
    line("GET", "/internal/orders/routes", Internal, 200),
    line("GET", "/internal/orders/dead-letters", Internal, 200),
    line(
        "POST",
        "/internal/orders/dead-letters/{id}/redrive",
        Internal,
        404,
    ),
    line(
        "DELETE",
        "/internal/orders/dead-letters/{id}",
        Internal,
        404,
    ),
    line("GET", "/api/v1/orders/health", Public, 200),
    line("GET", "/api/v1/orders/ready", Public, 200),
    // ---- notifications ----
    line("GET", "/api/v1/notifications", Account, 200),
    line("POST", "/api/v1/notifications/{id}/read", Owner, 200).of(Thing::Notification),
    line("GET", "/internal/notifications/mails", Internal, 200),
    line("GET", "/internal/notifications/mails/{id}", Internal, 404),
    line("POST", "/internal/notifications/tick", Internal, 204),
    line("GET", "/internal/notifications/routes", Internal, 200),
    line("GET", "/internal/notifications/dead-letters", Internal, 200),
    line(
        "POST",
        "/internal/notifications/dead-letters/{id}/redrive",
        Internal,
        404,
    ),
    line(
        "DELETE",
        "/internal/notifications/dead-letters/{id}",
        Internal,
        404,
    ),
    line("GET", "/api/v1/notifications/health", Public, 200),
    line("GET", "/api/v1/notifications/ready", Public, 200),
    // ---- the ends of accounts ----
    line("DELETE", "/api/v1/users/me", Account, 204).ends(Ends::Account),
    line("DELETE", "/api/v1/users/{id}", OwnerOrAdmin, 204)
        .of(Thing::Account)
        .ends(Ends::Account),
];
