//! Application variables: what the manifest declares, and where the values come from.
//!
//! The first that has a value wins: the embedder, `SPIN_VARIABLE_*` of the process, the `.env` file, the
//! manifest's default. A value that the embedder names a file for is read again when the file changes.

mod file;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use file::FileVariable;

use crate::fault::Faults;
use crate::manifest::Manifest;

/// The prefix of variables in the environment and in `.env`, as in Spin.
pub(crate) const ENV_PREFIX: &str = "SPIN_VARIABLE_";

/// Values from outside the manifest, strongest first.
#[derive(Debug, Default, Clone)]
pub(crate) struct Sources {
    pub given: BTreeMap<String, String>,
    pub files: BTreeMap<String, PathBuf>,
    pub environment: HashMap<String, String>,
    pub env_file: HashMap<String, String>,
}

impl Sources {
    fn find(&self, name: &str) -> Option<&String> {
        let key = format!("{ENV_PREFIX}{}", name.to_ascii_uppercase());
        self.given
            .get(name)
            .or_else(|| self.environment.get(&key))
            .or_else(|| self.env_file.get(&key))
    }
}

/// The resolved variables of the application.
#[derive(Debug, Default, Clone)]
pub(crate) struct Variables {
    values: HashMap<String, Option<String>>,
    outside: HashMap<String, String>,
    files: HashMap<String, Arc<FileVariable>>,
}

impl Variables {
    pub fn resolve(manifest: &Manifest, sources: &Sources, faults: &Faults) -> Self {
        let mut variables = Self::default();
        for (name, declared) in &manifest.variables {
            let mut outside = sources.find(name).cloned();
            if let Some(path) = sources.files.get(name)
                && let Some(file) = faults.take(FileVariable::open(name, path))
            {
                outside = Some(file.value());
                variables.files.insert(name.clone(), Arc::new(file));
            }
            if let Some(value) = &outside {
                variables.outside.insert(name.clone(), value.clone());
            }
            let value = outside.or_else(|| declared.default.clone());
            if value.is_none() {
                faults.add(format!(
                    "variable `{name}` has no value: set {ENV_PREFIX}{} in the environment or in .env, \
                     or pass --variable {name}=…",
                    name.to_ascii_uppercase()
                ));
            }
            variables.values.insert(name.clone(), value);
        }
        for name in sources
            .given
            .keys()
            .chain(sources.files.keys())
            .filter(|name| !manifest.variables.contains_key(*name))
        {
            faults.add(format!(
                "variable `{name}` was given, but the manifest does not declare it"
            ));
        }
        variables
    }

    /// The value of a declared variable; `None` when a required one has no value.
    pub fn value(&self, name: &str) -> Result<Option<&str>, String> {
        match self.values.get(name) {
            Some(value) => Ok(value.as_deref()),
            None => Err(format!("unknown variable `{name}`")),
        }
    }

    /// A value that did not come from the manifest's default.
    pub fn given_outside(&self, name: &str) -> Option<&str> {
        self.outside.get(name).map(String::as_str)
    }

    /// The file that a text stands for, if it is nothing but the name of a variable that has one.
    pub fn file(&self, text: &str) -> Option<Arc<FileVariable>> {
        let name = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
        self.files.get(name.trim()).cloned()
    }

    #[cfg(test)]
    pub fn for_test(values: &[(&str, &str)]) -> Self {
        let values = values
            .iter()
            .map(|(k, v)| ((*k).into(), Some((*v).into())))
            .collect();
        Self {
            values,
            ..Self::default()
        }
    }
}

/// Spin's rule for names: lower-case letters, digits and single underscores, first a letter, last no
/// underscore.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let reason = if name.is_empty() {
        "must not be empty"
    } else if !name.chars().all(allowed) {
        "may contain only lower-case letters, digits and underscores"
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        "must start with a letter"
    } else if name.ends_with('_') {
        "must not end with an underscore"
    } else if name.contains("__") {
        "must not contain two underscores in a row"
    } else {
        return Ok(());
    };
    Err(format!("{name:?}: {reason}"))
}

/// Reads `KEY=value` lines; comments, blank lines, `export ` and quotes as usual.
pub(crate) fn parse_env_file(text: &str) -> Result<HashMap<String, String>, String> {
    let mut values = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| format!("line {}: no `=` in it", number + 1))?;
        values.insert(key.trim().to_owned(), unquote(value.trim())?);
    }
    Ok(values)
}

/// Double quotes allow `\n`, `\"` and `\\`; single quotes take everything as it is; a bare value ends at
/// ` #`.
fn unquote(value: &str) -> Result<String, String> {
    let unclosed = || format!("{value} has no closing quote");
    if let Some(rest) = value.strip_prefix('\'') {
        return rest
            .split_once('\'')
            .map(|(text, _)| text.to_owned())
            .ok_or_else(unclosed);
    }
    let Some(rest) = value.strip_prefix('"') else {
        return Ok(value
            .split(" #")
            .next()
            .unwrap_or_default()
            .trim_end()
            .to_owned());
    };
    let mut text = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next().ok_or_else(unclosed)? {
            '"' => return Ok(text),
            '\\' => match chars.next().ok_or_else(unclosed)? {
                'n' => text.push('\n'),
                other => text.push(other),
            },
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_spins_rule() {
        for good in ["a", "abc", "a1b2c3", "a_1", "a_1_b_3"] {
            check_name(good).unwrap();
        }
        for bad in ["", "aX", "1bc", "_x", "x.y", "x_", "a__b", "x-y"] {
            check_name(bad).unwrap_err();
        }
    }

    #[test]
    fn env_files_are_read() {
        let text = "# c\n\nA=1\nexport B = two words # c\nC='x # y'\nD=\"l1\\nl2 \\\"q\\\"\"\nE=\n";
        let values = parse_env_file(text).unwrap();
        let get = |key: &str| values[key].as_str();
        assert_eq!(get("A"), "1");
        assert_eq!(get("B"), "two words");
        assert_eq!(get("C"), "x # y");
        assert_eq!(get("D"), "l1\nl2 \"q\"");
        assert_eq!(get("E"), "");
        assert!(parse_env_file("A").unwrap_err().contains("line 1"));
        assert!(
            parse_env_file("A='x")
                .unwrap_err()
                .contains("closing quote")
        );
    }

    #[test]
    fn the_strongest_source_wins() {
        let mut sources = Sources::default();
        sources
            .env_file
            .insert("SPIN_VARIABLE_A_B".into(), "file".into());
        assert_eq!(sources.find("a_b").unwrap(), "file");
        sources
            .environment
            .insert("SPIN_VARIABLE_A_B".into(), "process".into());
        assert_eq!(sources.find("a_b").unwrap(), "process");
        sources.given.insert("a_b".into(), "given".into());
        assert_eq!(sources.find("a_b").unwrap(), "given");
    }
}
