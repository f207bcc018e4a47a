//! Every text that a request can carry, by the structure that it is read into. A new one must be
//! named here, with its check; the test reads the sources of the components.

use super::doors::DOORS;
use crate::harness::workspace;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How fields that are not free text are checked.
const NOT_TEXT: [(&str, &str); 32] = [
    // Secrets: any characters, compared by their hash.
    ("Register.password", "secret"),
    ("Login.password", "secret"),
    ("Change.current_password", "secret"),
    ("Change.new_password", "secret"),
    ("Reset.password", "secret"),
    ("Reset.token", "secret"),
    ("Given.refresh_token", "secret"),
    ("Returned.state", "secret"),
    ("Returned.code", "secret, handed to the provider in a form"),
    // One of a few words.
    ("SetRole.role", "word"),
    ("ListQuery.role", "word"),
    ("ListQuery.status", "word"),
    ("OrderFilter.status", "word"),
    ("Execute.action", "word"),
    ("Returned.error", "word, for the log"),
    ("Returned.iss", "compared with the provider's"),
    ("NewItem.currency", "word"),
    ("ChangedItem.currency", "word"),
    ("Amount.currency", "word"),
    // Ids.
    ("LineInput.item_id", "UUID"),
    ("AuditQuery.account_id", "UUID"),
    ("KnownQuery.ids", "from orders, behind the shared secret"),
    ("By.by", "from users, behind the shared secret"),
    // The beginning of a page.
    ("PageQuery.cursor", "cursor"),
    ("ListQuery.cursor", "cursor"),
    ("AuditQuery.cursor", "cursor"),
    ("ItemFilter.cursor", "cursor"),
    ("OrderFilter.cursor", "cursor"),
    ("SagaFilter.cursor", "cursor"),
    // An impossible login names no account.
    ("Login.login", "login"),
    ("Forgot.email", "login"),
    // The answer of another service of ours.
    ("Answer.known", "answer"),
];

#[test]
fn every_text_that_a_request_carries_is_known_here() {
    let known: BTreeSet<String> = NOT_TEXT
        .iter()
        .map(|(field, _)| (*field).to_owned())
        .chain(
            DOORS
                .iter()
                .map(|door| format!("{}.{}", door.input, door.field)),
        )
        .collect();
    let found = all_fields();
    let new: Vec<_> = found.difference(&known).collect();
    assert!(new.is_empty(), "say what checks these: {new:?}");
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(gone.is_empty(), "no such field any more: {gone:?}");
}

/// The texts in structures that are read from JSON or a query.
fn all_fields() -> BTreeSet<String> {
    let root = workspace::root();
    let mut files = sources(&root.join("crates/service/src"));
    for component in std::fs::read_dir(root.join("components")).expect("components") {
        let path = component.expect("a component").path();
        // The guard reads tokens only.
        if !path.ends_with("guard") {
            files.extend(sources(&path.join("src")));
        }
    }
    assert!(files.len() > 50, "only {} sources", files.len());
    let read = |file: PathBuf| std::fs::read_to_string(&file).expect("a source");
    files
        .into_iter()
        .map(read)
        .flat_map(|source| fields(&source))
        .collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// `Structure.field` of each field of type `String`, or of one that wraps it.
fn fields(source: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut is_read = false;
    let mut structure: Option<&str> = None;
    // Structures in a file's own tests are not requests.
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[derive(") {
            is_read = line.contains("Deserialize");
        } else if let Some(name) = line.split("struct ").nth(1).filter(|_| is_read) {
            structure = name.split(['<', ' ', '{', '(']).next();
            is_read = false;
        } else if line.starts_with('}') {
            structure = None;
        } else if let (Some(structure), Some((name, kind))) = (structure, line.split_once(": ")) {
            let is_text = ["String", "Change", "Cow<", "&str"]
                .iter()
                .any(|word| kind.contains(word));
            if is_text && !name.starts_with(['/', '#']) {
                fields.push(format!("{structure}.{}", name.trim_start_matches("pub ")));
            }
        }
    }
    fields
}
