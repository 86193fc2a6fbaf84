//! The settings that the program knows, from `docs/configuration.md`, which is made from the program.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::root;

/// Every setting and every variable of the AWS sample.
#[derive(Debug)]
pub struct Settings {
    /// The default of each key, such as `network.drain_timeout_s`, as the page writes it.
    defaults: BTreeMap<String, String>,
    samples: BTreeSet<String>,
}

impl Settings {
    /// Reads the page.
    ///
    /// # Panics
    /// When it is not there.
    pub fn read() -> Self {
        let page =
            fs::read_to_string(root().join("docs/configuration.md")).expect("docs has its page of settings");
        let (mut section, mut defaults) = (String::new(), BTreeMap::new());
        for line in page.lines() {
            if let Some(heading) = line.strip_prefix("## ") {
                let name = heading.strip_prefix("`[").and_then(|rest| rest.split_once(']'));
                section = name.map_or_else(String::new, |(name, _)| format!("{name}."));
            } else if let [key, _, default, ..] = *line.split(" | ").collect::<Vec<_>>()
                && let Some(key) = code(key)
            {
                defaults.insert(format!("{section}{key}"), default.trim_matches(['`', '"', ' ']).to_owned());
            }
        }
        let samples = page.split('`').skip(1).step_by(2).filter(|word| is_variable(word)).map(str::to_owned);
        Self { samples: samples.collect(), defaults }
    }

    /// Whether an environment variable of that name means something.
    pub fn knows(&self, variable: &str) -> bool {
        match variable.strip_prefix("DEVICE_GRANT__") {
            Some(path) => self.defaults.contains_key(&path.to_lowercase().replace("__", ".")),
            None => self.samples.contains(variable),
        }
    }

    /// The default of a setting that is a number.
    ///
    /// # Panics
    /// When there is no such setting, or it is no number.
    pub fn number(&self, key: &str) -> u64 {
        let default = self.defaults.get(key).unwrap_or_else(|| panic!("there is no setting {key}"));
        default.parse().unwrap_or_else(|_| panic!("{key} is {default}"))
    }
}

/// What stands in backticks at the start of a row.
fn code(cell: &str) -> Option<&str> {
    cell.trim_start_matches(['|', ' ']).strip_prefix('`')?.strip_suffix('`')
}

fn is_variable(word: &str) -> bool {
    word.contains('_') && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}
