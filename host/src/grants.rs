//! What one component may use, with every name resolved. Anything that is not in here is refused.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::allowed_hosts::AllowedHosts;
use crate::key_value::Store;
use crate::redis::Connections;
use crate::sqlite::Database;
use crate::variables::FileVariable;

/// The grants of one component; shared by all its instances.
pub(crate) struct Grants {
    pub component: Arc<str>,
    pub variables: HashMap<String, Value>,
    pub environment: BTreeMap<String, String>,
    pub databases: HashMap<String, Arc<Database>>,
    pub stores: HashMap<String, Arc<Store>>,
    pub hosts: AllowedHosts,
    /// Where its Redis connections lead.
    pub redis: Arc<Connections>,
}

/// What a variable of a component says.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// The same for ever.
    Fixed(String),
    /// Whatever a file says.
    File(Arc<FileVariable>),
}

impl Value {
    pub fn get(&self) -> String {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::File(file) => file.value(),
        }
    }
}
