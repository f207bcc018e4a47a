//! Builds of the shop in which a part of the mechanism can be switched off: the sound manifest with other
//! files for stock, billing and orders. Nothing here starts anything.

use crate::harness::workspace::{self, Lock};
use std::path::{Path, PathBuf};
use std::process::Command;
use toml::{Table, Value};

/// The packages that can be sabotaged.
const PACKAGES: [&str; 3] = ["stock", "billing", "orders"];
/// Their entries in the manifest, each with its package.
const COMPONENTS: [(&str, &str); 4] = [
    ("stock", "stock"),
    ("billing", "billing"),
    ("orders", "orders"),
    ("orders-inbox", "orders"),
];
const TARGET: &str = "wasm32-wasip2";
/// The profile in `Cargo.toml`, and the feature of each package.
const SABOTAGE: &str = "sabotage";

/// Writes a manifest into `folder` whose shop has this part switched off (`barrier`, `outbox`,
/// `undo-order`), or none: the same build, sound. Builds the components first.
pub fn manifest(folder: &Path, part: Option<&str>) -> PathBuf {
    build();
    let text = std::fs::read_to_string(workspace::root().join("spin.toml")).expect("spin.toml");
    let mut manifest: Table = text.parse().expect("spin.toml is TOML");
    let components = manifest["component"].as_table_mut().expect("components");
    for (_, component) in components.iter_mut() {
        let source = component["source"].as_str().expect("a file");
        component["source"] = path(&workspace::root().join(source));
    }
    for (name, package) in COMPONENTS {
        let component = components[name].as_table_mut().expect("a component");
        let file = format!("target/{TARGET}/{SABOTAGE}/{package}.wasm");
        component["source"] = path(&workspace::root().join(file));
        if let Some(part) = part {
            switch_off(component, part);
        }
    }
    let written = folder.join("sabotaged.toml");
    std::fs::write(&written, manifest.to_string()).expect("a manifest is written");
    written
}

/// The guard within the component sees the same environment: it must be said that it may.
fn switch_off(component: &mut Table, part: &str) {
    let mut environment = Table::new();
    environment.insert("WASMART_SABOTAGE".into(), part.into());
    component.insert("environment".into(), environment.into());
    let dependencies = component["dependencies"].as_table_mut();
    for (_, dependency) in dependencies.expect("the guard").iter_mut() {
        let inherited = dependency["inherit_configuration"].as_array_mut();
        inherited.expect("a list").push("environment".into());
    }
}

fn path(path: &Path) -> Value {
    path.to_str().expect("a readable path").into()
}

/// Always asked of cargo: an old build would test an old mechanism.
fn build() {
    let _one_at_a_time = Lock::take(SABOTAGE);
    let mut build = Command::new(env!("CARGO"));
    build
        .current_dir(workspace::root())
        .args(["build", "--quiet", "--profile", SABOTAGE])
        .args(["--target", TARGET]);
    for package in PACKAGES {
        build.args(["-p", package]);
        build.args(["--features", &format!("{package}/{SABOTAGE}")]);
    }
    let built = build.status();
    assert!(
        built.is_ok_and(|status| status.success()),
        "the components for {SABOTAGE} can't be built"
    );
}
