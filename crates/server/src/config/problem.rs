//! What is wrong with a configuration, in words that say where and what would be right.

use std::fmt;

use super::value::{Place, Value};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    place: Place,
    key: String,
    found: String,
    expected: String,
}

impl Problem {
    pub(crate) fn new(
        place: Place,
        key: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self { place, key: key.into(), found: found.into(), expected: expected.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line(file, line) => write!(f, "{file}:{line}: ")?,
            Place::Variable(name) => write!(f, "environment variable {name}: ")?,
            Place::File(file) => write!(f, "{file}: ")?,
            Place::Nowhere => f.write_str("configuration: ")?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "found {}, expected {}", self.found, self.expected)
    }
}

/// All that is wrong, and what is only doubtful.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    pub(crate) list: Vec<Problem>,
    /// What works but should be looked at.
    pub(crate) warnings: Vec<String>,
}

impl Problems {
    pub(crate) fn add(&mut self, problem: Problem) {
        self.list.push(problem);
    }

    /// `value` is not what `key` wants.
    pub(crate) fn refuse(&mut self, key: &str, value: &Value, expected: impl Into<String>) {
        self.add(Problem::new(value.place.clone(), key, value.found(), expected));
    }
}

/// A configuration that cannot be used: every problem, one a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
pub(crate) struct WrongConfiguration(Vec<Problem>);

impl From<Problems> for WrongConfiguration {
    /// In the order of the file.
    fn from(Problems { mut list, .. }: Problems) -> Self {
        list.sort();
        Self(list)
    }
}
