//! Finds the WIT files that ship inside the `spin-sdk` crate and writes the binding generator's call with
//! their path. The project keeps no copy of them: host and components follow the version in `Cargo.lock`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What the host offers and calls, as a world over the packages in that folder.
const WORLD: &str = "
    package wasmart:host;
    world host {
        import spin:key-value/key-value@3.0.0;
        import spin:redis/redis@3.0.0;
        import spin:sqlite/sqlite@3.1.0;
        import spin:variables/variables@3.0.0;
        export spin:redis/inbound-redis@3.0.0;
    }
";

fn main() {
    let wit = spin_sdk_folder().join("wit");
    let bindings = format!(
        r###"wasmtime::component::bindgen!({{
    path: {wit:?},
    inline: r#"{WORLD}"#,
    world: "wasmart:host/host",
    imports: {{ default: async | trappable }},
    exports: {{ default: async | store }},
    with: {{
        "spin:key-value/key-value.store": crate::key_value::OpenStore,
        "spin:redis/redis.connection": crate::redis::OpenConnection,
        "spin:sqlite/sqlite.connection": crate::sqlite::OpenDatabase,
    }},
}});
"###
    );
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("bindings.rs"), bindings).expect("OUT_DIR can be written");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", wit.display());
    // Another version of the crate is another folder.
    println!("cargo::rerun-if-changed=../Cargo.lock");
}

/// The folder of the `spin-sdk` that the workspace's lock file names.
fn spin_sdk_folder() -> PathBuf {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    // Offline first: cargo has resolved and fetched everything for this build already, except what only
    // the components need when the host is built alone on a fresh machine.
    let metadata = cargo_metadata(&here, &["--offline"])
        .or_else(|_| cargo_metadata(&here, &[]))
        .unwrap_or_else(|error| panic!("cargo metadata: {error}"));
    let packages = metadata["packages"]
        .as_array()
        .expect("cargo metadata lists packages");
    let manifest = packages
        .iter()
        .find(|package| package["name"] == "spin-sdk")
        .and_then(|package| package["manifest_path"].as_str())
        .expect("a component of this workspace depends on spin-sdk");
    Path::new(manifest)
        .parent()
        .expect("a manifest has a folder")
        .to_owned()
}

fn cargo_metadata(folder: &Path, extra: &[&str]) -> Result<serde_json::Value, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(folder)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--filter-platform",
            "wasm32-wasip2",
        ])
        .args(extra)
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}
