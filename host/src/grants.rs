//! What one component may use, with every name resolved. Anything that is not in here is refused.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::allowed_hosts::AllowedHosts;
use crate::key_value::Store;
use crate::redis::Connections;
use crate::sqlite::Database;

/// The grants of one component; shared by all its instances.
pub(crate) struct Grants {
    pub component: Arc<str>,
    pub variables: HashMap<String, String>,
    pub environment: BTreeMap<String, String>,
    pub databases: HashMap<String, Arc<Database>>,
    pub stores: HashMap<String, Arc<Store>>,
    pub hosts: AllowedHosts,
    /// Where its Redis connections lead.
    pub redis: Arc<Connections>,
}
