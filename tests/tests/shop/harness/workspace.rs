//! Where things are: the repository, what cargo built, and what the tests share between them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use wasmart_keys::KeySet;

/// The repository: the one that cargo runs the tests of, which is where they were built unless
/// somebody says otherwise.
pub fn root() -> PathBuf {
    let built = || env!("CARGO_MANIFEST_DIR").to_owned();
    let tests = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| built());
    let root = Path::new(&tests).parent();
    root.expect("tests/ is in the repository").into()
}

/// The built component of a service. The manifest names the same file.
pub fn component(name: &str) -> PathBuf {
    let path = root().join(format!("target/wasm32-wasip2/release/{name}.wasm"));
    assert!(
        path.exists(),
        "{} is missing: run `cargo xtask build`",
        path.display()
    );
    path
}

/// The `wasmart` program. A run of the whole workspace has built it; a run of this package alone may
/// not have.
pub fn wasmart() -> PathBuf {
    let path = profile_folder().join("wasmart");
    let _one_at_a_time = Lock::take("wasmart");
    if !path.exists() {
        let build = Command::new(env!("CARGO"))
            .current_dir(root())
            .args(["build", "--bin", "wasmart"])
            .status();
        assert!(
            build.is_ok_and(|status| status.success()),
            "wasmart can't be built"
        );
    }
    path
}

/// A folder that outlives the tests and is the same for all of them.
pub fn shared(name: &str) -> PathBuf {
    let target = profile_folder();
    let folder = target
        .parent()
        .expect("target/")
        .join("tmp/shop")
        .join(name);
    std::fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    folder
}

/// Compiled code of the components; every host of the tests uses it.
pub fn code_cache() -> PathBuf {
    shared("code")
}

/// The shop's keys: made once, as that takes a second or more.
pub fn keys() -> KeySet {
    let _one_at_a_time = Lock::take("keys");
    KeySet::load_or_create(&shared("keys")).unwrap_or_else(|error| panic!("{error}"))
}

/// Keys that do not belong to [`keys`].
pub fn other_keys() -> KeySet {
    let _one_at_a_time = Lock::take("keys");
    KeySet::load_or_create(&shared("other-keys")).unwrap_or_else(|error| panic!("{error}"))
}

/// `target/debug`, or whatever cargo was told to use: the test binary lies in its `deps`.
fn profile_folder() -> PathBuf {
    let binary = std::env::current_exe().expect("a running program has a path");
    let folder = binary.parent().and_then(Path::parent);
    folder.expect("target/<profile>/deps/<binary>").into()
}

/// Holds a name against all other tests, which nextest runs in processes of their own.
pub struct Lock(#[allow(dead_code, reason = "held until dropped")] File);

impl Lock {
    /// Waits until nobody else holds it.
    pub fn take(name: &str) -> Lock {
        let path = shared("locks").join(name);
        let file = File::create(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        file.lock()
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Lock(file)
    }
}
