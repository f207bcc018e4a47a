//! `runtime-config.toml`: where each database and store of the application really is.
//!
//! Paths follow Spin's rules, so that a state folder can be handed from one host to the other: a relative
//! database path starts at the working folder, a relative store path at the folder of this file; the label
//! `default` exists without configuration, under the state folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Table;

use crate::fault::Faults;
use crate::section::Section;

/// Spin's file names below the state folder.
const DEFAULT_DATABASE: &str = "sqlite_db.db";
const DEFAULT_STORE: &str = "sqlite_key_value.db";

/// Label to place, for databases and stores.
#[derive(Debug, Default)]
pub(crate) struct RuntimeConfig {
    pub databases: BTreeMap<String, Place>,
    pub stores: BTreeMap<String, StorePlace>,
}

impl RuntimeConfig {
    /// The files of all databases and stores.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let stores = self.stores.values().filter_map(|store| match store {
            StorePlace::Sqlite(place) => Some(place),
            StorePlace::Redis(_) => None,
        });
        let places = self.databases.values().chain(stores);
        places.filter_map(|place| match place {
            Place::File(path) => Some(path.as_path()),
            Place::Memory => None,
        })
    }
}

/// Where an SQLite database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A new empty database for every handle, as in Spin when no path is given.
    Memory,
    File(PathBuf),
}

/// Where a key-value store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StorePlace {
    Sqlite(Place),
    Redis(String),
}

/// The folders that relative paths start from.
pub(crate) struct Folders<'a> {
    pub state: &'a Path,
    /// Takes the place of both of Spin's starting points when the embedder sets it.
    pub data: Option<&'a Path>,
}

/// Reads the file, if there is one, and adds the defaults.
pub(crate) fn read(file: Option<&Path>, folders: &Folders<'_>, faults: &Faults) -> RuntimeConfig {
    let mut config = RuntimeConfig::default();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()));
        let table = text.and_then(|text| {
            text.parse::<Table>()
                .map_err(|e| format!("{}: {e}", path.display()))
        });
        if let Some(table) = faults.take(table) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let section = Section::new(format!("{name}: "), table, faults);
            let beside = path.parent().unwrap_or(Path::new(""));
            fill(section, beside, folders, &mut config);
        }
    }
    let state = |name: &str| Place::File(folders.state.join(name));
    config
        .databases
        .entry("default".into())
        .or_insert_with(|| state(DEFAULT_DATABASE));
    config
        .stores
        .entry("default".into())
        .or_insert_with(|| StorePlace::Sqlite(state(DEFAULT_STORE)));
    config
}

fn fill(mut root: Section<'_>, beside: &Path, folders: &Folders<'_>, config: &mut RuntimeConfig) {
    for (label, mut section) in root.named("sqlite_database") {
        match section.required_string("type").as_deref() {
            Some("spin") => {
                let start = folders.data.unwrap_or(Path::new(""));
                let place = place(&mut section, start);
                config.databases.insert(label, place);
            }
            Some(other) => {
                section.fault(format_args!("type `{other}` is not supported by this host"))
            }
            None => {}
        }
        section.refuse(&["allow_attach_file", "url", "token"]);
        section.finish();
    }
    for (label, mut section) in root.named("key_value_store") {
        match section.required_string("type").as_deref() {
            Some("spin") => {
                let start = folders.data.unwrap_or(beside);
                let place = place(&mut section, start);
                config.stores.insert(label, StorePlace::Sqlite(place));
            }
            Some("redis") => {
                if let Some(url) = section.required_string("url") {
                    config.stores.insert(label, StorePlace::Redis(url));
                }
            }
            Some(other) => {
                section.fault(format_args!("type `{other}` is not supported by this host"))
            }
            None => {}
        }
        section.finish();
    }
    for key in root.keys() {
        root.value(&key);
        root.fault(format_args!("`{key}` is not supported by this host"));
    }
}

fn place(section: &mut Section<'_>, start: &Path) -> Place {
    match section.string("path") {
        Some(path) => Place::File(start.join(path)),
        None => Place::Memory,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, data: Option<&Path>) -> (RuntimeConfig, Vec<String>) {
        let faults = Faults::default();
        let mut config = RuntimeConfig::default();
        let section = Section::new("f: ", text.parse().unwrap(), &faults);
        let folders = Folders {
            state: Path::new("state"),
            data,
        };
        fill(section, Path::new("conf"), &folders, &mut config);
        (
            config,
            faults
                .check()
                .map_or_else(|error| error.faults().to_vec(), |()| Vec::new()),
        )
    }

    const CONFIG: &str = r#"
        [sqlite_database.orders]
        type = "spin"
        path = "x/orders.db"
        [sqlite_database.scratch]
        type = "spin"
        [key_value_store.tokens]
        type = "spin"
        path = "tokens.db"
        [key_value_store.shared]
        type = "redis"
        url = "redis://localhost"
    "#;

    #[test]
    fn relative_paths_start_where_spin_starts_them() {
        let (config, faults) = parse(CONFIG, None);
        assert_eq!(faults, [""; 0]);
        assert_eq!(
            config.databases["orders"],
            Place::File("x/orders.db".into())
        );
        assert_eq!(config.databases["scratch"], Place::Memory);
        let tokens = StorePlace::Sqlite(Place::File("conf/tokens.db".into()));
        assert_eq!(config.stores["tokens"], tokens);
        assert_eq!(
            config.stores["shared"],
            StorePlace::Redis("redis://localhost".into())
        );
    }

    #[test]
    fn a_data_folder_holds_all_relative_paths() {
        let (config, _) = parse(CONFIG, Some(Path::new("/tmp/t")));
        assert_eq!(
            config.databases["orders"],
            Place::File("/tmp/t/x/orders.db".into())
        );
        let tokens = StorePlace::Sqlite(Place::File("/tmp/t/tokens.db".into()));
        assert_eq!(config.stores["tokens"], tokens);
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let (_, faults) = parse(
            "variables_provider = 1\n[llm_compute]\ntype='x'\n[sqlite_database.a]\ntype = 'libsql'\n\
             url='u'\n[key_value_store.b]\ntype = 'azure_cosmos'\nkey = 'k'",
            None,
        );
        let text = faults.join("\n");
        for part in [
            "`variables_provider`",
            "`llm_compute`",
            "type `libsql`",
            "type `azure_cosmos`",
        ] {
            assert!(text.contains(part), "{part} not in:\n{text}");
        }
    }

    #[test]
    fn the_default_labels_are_spins_files() {
        let folders = Folders {
            state: Path::new("state"),
            data: None,
        };
        let config = read(None, &folders, &Faults::default());
        assert_eq!(
            config.databases["default"],
            Place::File("state/sqlite_db.db".into())
        );
        let store = StorePlace::Sqlite(Place::File("state/sqlite_key_value.db".into()));
        assert_eq!(config.stores["default"], store);
    }
}
