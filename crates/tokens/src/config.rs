//! Which other issuers are trusted, and for what: the variables `trusted_issuers` and `providers`, each a
//! JSON array. Nothing of it comes from a token or a request.

use crate::digest;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, HashSet};

/// Whom access tokens are taken from.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedIssuer {
    /// `iss`, to the letter.
    pub issuer: String,
    /// What must be in `aud`.
    pub audience: Option<String>,
    /// What must be `azp`: the client that the token was given to.
    pub azp: Option<String>,
    /// Where the roles are: member names with dots between them (`realm_access.roles`), or, where a name
    /// has a dot in it, a JSON Pointer (`/https:~1~1shop.example~1roles`).
    pub roles: Option<String>,
    /// The issuer's role to ours. What is not in here counts for nothing.
    #[serde(default)]
    pub role_map: BTreeMap<String, String>,
}

impl TrustedIssuer {
    /// A hash of the whole entry. A token that was verified with one entry must be verified again with a changed one.
    pub fn mark(&self) -> String {
        // A struct of strings always serialises, and always in the same way.
        digest(&serde_json::to_string(self).unwrap_or_default())
    }
}

/// Where users may sign in.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The segment of its paths: `/api/v1/auth/{name}/login`.
    pub name: String,
    /// Its `issuer`, to the letter: discovery starts there.
    pub issuer: String,
    /// What the provider knows this shop by.
    pub client_id: String,
    /// Left out by public clients.
    pub client_secret: Option<String>,
    /// As registered with the provider; `{issuer of the shop}/api/v1/auth/{name}/callback` if left out.
    pub redirect_uri: Option<String>,
    /// What is asked for.
    #[serde(default = "usual_scopes")]
    pub scopes: String,
}

fn usual_scopes() -> String {
    "openid email profile".to_owned()
}

/// Segments that mean something else already.
const TAKEN: [&str; 4] = ["check", "istio", "token", "users"];

/// Reads the variable `trusted_issuers`; empty is none.
///
/// # Errors
/// What is wrong, in words that may be logged.
pub fn trusted_issuers(text: &str) -> Result<Vec<TrustedIssuer>, String> {
    let issuers: Vec<TrustedIssuer> = list("trusted_issuers", text)?;
    let mut seen = HashSet::new();
    for entry in &issuers {
        let fault = |what: &str| format!("trusted_issuers, {}: {what}", entry.issuer);
        check_issuer(&entry.issuer).map_err(&fault)?;
        if !seen.insert(&entry.issuer) {
            return Err(fault("comes twice"));
        }
        // Without either, a token that the issuer gave anyone for anything would be good here.
        if entry
            .audience
            .as_deref()
            .or(entry.azp.as_deref())
            .is_none_or(str::is_empty)
        {
            return Err(fault("`audience` or `azp` is needed"));
        }
        let is_role = |role: &String| ["customer", "manager", "admin"].contains(&role.as_str());
        if !entry.role_map.values().all(is_role) {
            return Err(fault(
                "`role_map` may lead to customer, manager and admin only",
            ));
        }
    }
    Ok(issuers)
}

/// Reads the variable `providers`; empty is none.
///
/// # Errors
/// What is wrong, in words that may be logged: no secret is in them.
pub fn providers(text: &str) -> Result<Vec<Provider>, String> {
    let providers: Vec<Provider> = list("providers", text)?;
    let mut seen = HashSet::new();
    for entry in &providers {
        let fault = |what: &str| format!("providers, {}: {what}", entry.name);
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if entry.name.is_empty() || !entry.name.chars().all(allowed) {
            return Err(fault("a name has lower-case letters, digits and hyphens"));
        }
        if TAKEN.contains(&entry.name.as_str()) {
            return Err(fault("this name is taken"));
        }
        if !seen.insert(&entry.name) {
            return Err(fault("comes twice"));
        }
        check_issuer(&entry.issuer).map_err(&fault)?;
        if entry.client_id.is_empty() {
            return Err(fault("`client_id` is needed"));
        }
        if !entry.scopes.split(' ').any(|scope| scope == "openid") {
            return Err(fault("`scopes` must have openid in it"));
        }
    }
    Ok(providers)
}

/// serde's own words would show what is in the text.
fn list<T: DeserializeOwned>(name: &str, text: &str) -> Result<Vec<T>, String> {
    if text.trim().is_empty() {
        return Ok(vec![]);
    }
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("{name} is not the JSON that is wanted, at line {line}, column {column}")
    })
}

fn check_issuer(issuer: &str) -> Result<(), &'static str> {
    let rest = issuer
        .strip_prefix("https://")
        .or_else(|| issuer.strip_prefix("http://"));
    let clean = |rest: &str| {
        !rest.is_empty()
            && rest
                .chars()
                .all(|c| c.is_ascii_graphic() && !"?#@\\".contains(c))
    };
    if rest.is_some_and(clean) {
        Ok(())
    } else {
        Err("an issuer is a URL without query and fragment")
    }
}

/// Whether a URL that an issuer names may be asked: over TLS, unless the issuer itself is without.
pub fn may_be_asked(url: &str, issuer: &str) -> bool {
    let plain = issuer.starts_with("http://") && url.starts_with("http://");
    let authority = url.split_once("://").map_or("", |(_, rest)| {
        rest.split(['/', '?', '#']).next().unwrap_or_default()
    });
    (url.starts_with("https://") || plain)
        && !authority.is_empty()
        && !authority.contains('@')
        && url.chars().all(|c| c.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_nobody() {
        for nothing in ["", " ", "[]"] {
            assert!(trusted_issuers(nothing).expect("fine").is_empty());
            assert!(providers(nothing).expect("fine").is_empty());
        }
    }

    #[test]
    fn faults_are_named_and_secrets_are_not() {
        for (text, word) in [
            ("x", "line 1"),
            (r#"[{"issuer":"https://i"}]"#, "`audience` or `azp`"),
            (
                r#"[{"issuer":"https://i","audience":""}]"#,
                "`audience` or `azp`",
            ),
            (r#"[{"issuer":"ftp://i","azp":"a"}]"#, "URL"),
            (r#"[{"issuer":"https://i?x","azp":"a"}]"#, "URL"),
            (r#"[{"issuer":"https://i\n","azp":"a"}]"#, "URL"),
            (r#"[{"issuer":"https://i","azp":"a","other":1}]"#, "line 1"),
            (
                r#"[{"issuer":"https://i","azp":"a","role_map":{"x":"king"}}]"#,
                "customer",
            ),
            (
                r#"[{"issuer":"https://i","azp":"a"},{"issuer":"https://i","azp":"b"}]"#,
                "twice",
            ),
        ] {
            let fault = trusted_issuers(text).expect_err(text);
            assert!(fault.contains(word), "{fault}");
        }
        let provider = |name: &str, more: &str| {
            format!(
                r#"[{{"name":"{name}","issuer":"https://i","client_id":"c","client_secret":"hush"{more}}}]"#
            )
        };
        assert_eq!(providers(&provider("my-idp2", "")).expect("fine").len(), 1);
        for (text, word) in [
            (provider("", ""), "name"),
            (provider("A", ""), "name"),
            (provider("a/b", ""), "name"),
            (provider("check", ""), "taken"),
            (provider("a", r#","scopes":"email""#), "openid"),
            (provider("a", r#","more":1"#), "line 1"),
        ] {
            let fault = providers(&text).err().expect("a fault");
            assert!(fault.contains(word) && !fault.contains("hush"), "{fault}");
        }
    }

    #[test]
    fn an_entry_that_says_anything_else_has_another_mark() {
        let mark = |members: &str| {
            let text = format!(r#"[{{"issuer":"https://i",{members}}}]"#);
            trusted_issuers(&text).expect("fine").remove(0).mark()
        };
        let usual = r#""audience":"a","roles":"r","role_map":{"x":"manager","y":"admin"}"#;
        let in_another_order =
            r#""role_map":{"y":"admin","x":"manager"},"roles":"r","audience":"a""#;
        assert_eq!(mark(usual), mark(in_another_order));
        for other in [
            r#""audience":"b","roles":"r","role_map":{"x":"manager","y":"admin"}"#,
            r#""azp":"a","roles":"r","role_map":{"x":"manager","y":"admin"}"#,
            r#""audience":"a","azp":"a","roles":"r","role_map":{"x":"manager","y":"admin"}"#,
            r#""audience":"a","roles":"s","role_map":{"x":"manager","y":"admin"}"#,
            r#""audience":"a","roles":"r","role_map":{"x":"manager","y":"customer"}"#,
            r#""audience":"a","roles":"r","role_map":{"x":"manager"}"#,
        ] {
            assert_ne!(mark(usual), mark(other), "{other}");
        }
    }

    #[test]
    fn what_an_issuer_names_is_asked_over_tls() {
        let (tls, plain) = ("https://issuer.example", "http://issuer.example");
        assert!(may_be_asked("https://keys.example:8443/jwks?x", tls));
        assert!(may_be_asked("http://keys.example/jwks", plain));
        for bad in [
            "http://keys.example",
            "https://a@keys.example/",
            "https://",
            "file:///x",
            "",
            "https://a b",
        ] {
            assert!(!may_be_asked(bad, tls), "{bad}");
        }
    }
}
