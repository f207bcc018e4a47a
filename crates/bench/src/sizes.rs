//! The sizes of the components.

use crate::figures::{Line, Table};
use crate::setting;

const COMPONENTS: [&str; 7] = [
    "auth",
    "users",
    "stock",
    "billing",
    "orders",
    "notifications",
    "guard",
];

pub fn measure(table: &mut Table) -> anyhow::Result<()> {
    for name in COMPONENTS {
        let bytes = std::fs::metadata(setting::wasm(name))?.len();
        let line = Line::new(format!("{name}.wasm"), format!("{} kB", bytes / 1000));
        table.add(line.aim("2 MB"));
    }
    Ok(())
}
