//! The `wasmart` program as an operator runs it: a process of its own, that can be killed.

use crate::app::{ADMIN, Address, databases};
use crate::workspace;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A running `wasmart up`.
pub struct Process {
    child: Child,
    address: Address,
    folder: PathBuf,
}

impl Process {
    /// Starts on a free port, with its data in `folder`.
    pub fn start(folder: &Path) -> Process {
        let address = Address::new(([127, 0, 0, 1], 0).into());
        let mut process = Process { child: spawn(folder), address, folder: folder.to_owned() };
        process.find_address();
        process
    }

    /// Starts again on the same folder, after [`Process::kill`].
    pub fn start_again(&mut self) {
        self.child = spawn(&self.folder);
        self.find_address();
    }

    /// `kill -9`: no good-bye.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Where the shop is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The folder that holds all databases.
    pub fn databases(&self) -> PathBuf {
        databases(&self.folder)
    }

    fn find_address(&mut self) {
        let mut out = BufReader::new(self.child.stdout.take().expect("it is piped"));
        let mut said = String::new();
        loop {
            let read = out.read_line(&mut said).expect("readable");
            if let Some(at) = said.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next()) {
                self.address.move_to(at.trim_end_matches('/').parse().unwrap_or_else(|e| panic!("{at}: {e}")));
                break;
            }
            assert!(read > 0, "it ended before it served: {said}");
        }
        // The rest must be read, or it could not be written.
        std::thread::spawn(move || out.read_to_string(&mut said));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &Path) -> Child {
    let mut command = up(folder, "127.0.0.1:0");
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// `wasmart up` in `folder`, complete but for what a test wants to be different.
pub fn up(folder: &Path, listen: &str) -> Command {
    let root = workspace::root();
    share_code(folder);
    let mut command = Command::new(workspace::wasmart());
    command
        .current_dir(folder)
        .env_clear()
        .arg("up")
        .arg("--from")
        .arg(root.join("spin.toml"))
        .args(["--state-dir", ".wasmart", "--listen", listen]);
    for (name, value) in workspace::keys().variables() {
        set(&mut command, name, value);
    }
    set(&mut command, "admin_email", ADMIN.0);
    set(&mut command, "admin_password", ADMIN.1);
    command
}

/// Gives a command a variable of the application.
pub fn set(command: &mut Command, variable: &str, value: &str) {
    command.env(format!("SPIN_VARIABLE_{}", variable.to_uppercase()), value);
}

/// Runs a command that should fail, and gives all it said.
pub fn said(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let said = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (status.code(), said.concat())
}

/// Lets the program find the code that the tests have compiled already.
fn share_code(folder: &Path) {
    let state = folder.join(".wasmart");
    std::fs::create_dir_all(&state).expect("a temporary folder can be written");
    let own = state.join("compiled");
    if !own.exists() {
        std::os::unix::fs::symlink(workspace::code_cache(), own).expect("a link");
    }
}
