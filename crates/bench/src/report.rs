//! Puts the figures into `docs/performance.md`, between the markers of their section; the prose around
//! stays as it is.

use crate::figures::Table;
use crate::setting::root;
use anyhow::{Context, ensure};
use std::path::Path;
use std::process::Command;

const FILE: &str = "docs/performance.md";

/// Replaces a section's figures.
pub fn write(section: &str, table: &Table, folder: &Path, after: &str) -> anyhow::Result<()> {
    let path = root().join(FILE);
    let text = std::fs::read_to_string(&path).with_context(|| format!("can't read {FILE}"))?;
    let figures = format!("{}\n\n{}\n{after}", heading(folder), table.markdown());
    std::fs::write(&path, replace(&text, section, &figures)?)?;
    println!("\nWritten to {FILE}, section `{section}`.");
    Ok(())
}

/// `<!-- figures: name -->` … `<!-- end -->`
fn replace(text: &str, section: &str, figures: &str) -> anyhow::Result<String> {
    let (begin, end) = (format!("<!-- figures: {section} -->"), "<!-- end -->");
    let missing = || format!("{FILE} has no section {begin} … {end}");
    let (before, rest) = text.split_once(&begin).with_context(missing)?;
    let (old, after) = rest.split_once(end).with_context(missing)?;
    ensure!(!old.contains("<!-- figures:"), "{}", missing());
    Ok(format!("{before}{begin}\n{figures}\n{end}{after}"))
}

/// Command, commit, date, machine.
fn heading(folder: &Path) -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = format!("cargo xtask bench {}", arguments.join(" "));
    let date = jiff::Timestamp::now().to_string();
    let commit = said("git", &["rev-parse", "--short", "HEAD"]);
    let changed = said("git", &["status", "--porcelain", "--untracked-files=no"]);
    let changed = if changed.is_empty() {
        ""
    } else {
        " and changes"
    };
    format!(
        "`{}` at commit {commit}{changed}, {}, on {}.",
        command.trim_end(),
        date.get(..10).unwrap_or(&date),
        machine(folder)
    )
}

/// What figures depend on: processor, system, file system, and what else ran.
fn machine(folder: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    let cpu = field("/proc/cpuinfo", "model name", ':');
    let system = field("/etc/os-release", "PRETTY_NAME", '=');
    let memory = field("/proc/meminfo", "MemTotal", ':');
    let kb = memory
        .split(' ')
        .next()
        .and_then(|kb| kb.parse::<u64>().ok());
    let gb = kb.unwrap_or_default() / 1_000_000;
    let files = said(
        "findmnt",
        &["-no", "FSTYPE", "-T", &folder.display().to_string()],
    );
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').nth(2).unwrap_or("?").to_owned();
    format!(
        "{cores} cores ({cpu}, {}), {gb} GB, {system}, {files}; the load of the last quarter of an hour \
         was {load}",
        std::env::consts::ARCH
    )
}

fn field(file: &str, name: &str, separator: char) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let value = text
        .lines()
        .filter_map(|line| line.split_once(separator))
        .find(|(found, _)| found.trim() == name)
        .map(|(_, value)| value.trim().trim_matches('"').to_owned());
    value.unwrap_or_else(|| "?".to_owned())
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output();
    output.map_or_else(
        |_| "?".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_section_changes() {
        let text =
            "a\n<!-- figures: x -->\nold\n<!-- end -->\nb\n<!-- figures: y -->\n<!-- end -->\n";
        let new = replace(text, "x", "new").expect("a section");
        assert_eq!(new, text.replace("old", "new"));
        assert!(replace(text, "z", "new").is_err());
    }
}
