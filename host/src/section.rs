//! Reading TOML key by key, so that every bad or unknown key is reported and not just the first.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::fault::Faults;

/// One table of a file. Keys are taken out of it; what is left at the end is unknown.
pub(crate) struct Section<'f> {
    at: String,
    table: Table,
    faults: &'f Faults,
}

impl<'f> Section<'f> {
    /// `at` names the table in messages, such as `spin.toml: component.orders`.
    pub fn new(at: impl Into<String>, table: Table, faults: &'f Faults) -> Self {
        Self {
            at: at.into(),
            table,
            faults,
        }
    }

    pub fn fault(&self, message: impl std::fmt::Display) {
        self.faults.add(format!("{}: {message}", self.at));
    }

    pub fn faults(&self) -> &'f Faults {
        self.faults
    }

    fn wrong_type<T>(&self, key: &str, wanted: &str) -> Option<T> {
        self.fault(format_args!("`{key}` must be {wanted}"));
        None
    }

    pub fn value(&mut self, key: &str) -> Option<Value> {
        self.table.remove(key)
    }

    pub fn string(&mut self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => Some(text),
            _ => self.wrong_type(key, "a string"),
        }
    }

    pub fn required_string(&mut self, key: &str) -> Option<String> {
        if !self.table.contains_key(key) {
            self.fault(format_args!("`{key}` is missing"));
        }
        self.string(key)
    }

    pub fn boolean(&mut self, key: &str) -> Option<bool> {
        match self.value(key)? {
            Value::Boolean(flag) => Some(flag),
            _ => self.wrong_type(key, "true or false"),
        }
    }

    pub fn integer(&mut self, key: &str) -> Option<i64> {
        match self.value(key)? {
            Value::Integer(number) => Some(number),
            _ => self.wrong_type(key, "a whole number"),
        }
    }

    pub fn strings(&mut self, key: &str) -> Vec<String> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        match value.try_into::<Vec<String>>() {
            Ok(list) => list,
            Err(_) => self
                .wrong_type(key, "a list of strings")
                .unwrap_or_default(),
        }
    }

    pub fn string_map(&mut self, key: &str) -> BTreeMap<String, String> {
        let Some(value) = self.value(key) else {
            return BTreeMap::new();
        };
        match value.try_into::<BTreeMap<String, String>>() {
            Ok(map) => map,
            Err(_) => self
                .wrong_type(key, "a table of strings")
                .unwrap_or_default(),
        }
    }

    pub fn section(&mut self, key: &str) -> Option<Section<'f>> {
        match self.value(key)? {
            Value::Table(table) => Some(self.child(key, table)),
            _ => self.wrong_type(key, "a table"),
        }
    }

    /// The tables of `[[key]]`.
    pub fn list(&mut self, key: &str) -> Vec<Section<'f>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        match value.try_into::<Vec<Table>>() {
            Ok(list) => list
                .into_iter()
                .enumerate()
                .map(|(index, table)| self.child(&format!("{key}[{index}]"), table))
                .collect(),
            Err(_) => self.wrong_type(key, "a list of tables").unwrap_or_default(),
        }
    }

    /// The tables of `[key.*]` with their names.
    pub fn named(&mut self, key: &str) -> Vec<(String, Section<'f>)> {
        let Some(mut all) = self.section(key) else {
            return Vec::new();
        };
        let names: Vec<String> = all.table.keys().cloned().collect();
        names
            .into_iter()
            .filter_map(|name| Some((name.clone(), all.section(&name)?)))
            .collect()
    }

    pub fn keys(&self) -> Vec<String> {
        self.table.keys().cloned().collect()
    }

    fn child(&self, key: &str, table: Table) -> Section<'f> {
        let join = if self.at.ends_with(": ") { "" } else { "." };
        Section::new(format!("{}{join}{key}", self.at), table, self.faults)
    }

    /// Refuses keys that Spin knows and this host does not honour.
    pub fn refuse(&mut self, keys: &[&str]) {
        for key in keys {
            if self.table.remove(*key).is_some() {
                self.fault(format_args!("`{key}` is not supported by this host"));
            }
        }
    }

    /// Whatever was not taken is unknown.
    pub fn finish(self) {
        for key in self.table.keys() {
            self.fault(format_args!("unknown key `{key}`"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_table_is_reported() {
        let faults = Faults::default();
        let table: Table = "a = 1\nb = true\nfiles = []\nc = 'x'".parse().unwrap();
        let mut section = Section::new("f", table, &faults);
        assert_eq!(section.string("a"), None);
        assert_eq!(section.required_string("d"), None);
        assert_eq!(section.boolean("b"), Some(true));
        section.refuse(&["files"]);
        section.finish();
        assert_eq!(
            faults.check().unwrap_err().faults(),
            [
                "f: `a` must be a string",
                "f: `d` is missing",
                "f: `files` is not supported by this host",
                "f: unknown key `c`"
            ]
        );
    }
}
