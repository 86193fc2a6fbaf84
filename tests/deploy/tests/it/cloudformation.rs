//! `deploy/cloudformation/`.

mod checks;
mod hardening;
mod program;
mod rights;
mod stack;

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

/// Writes a template that is not the project's.
fn scratch(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("the directory for the tests' files can be written");
    path
}

/// A list of the template as a vector.
fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

/// A text of the template.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}
