//! What was written, from the file and the environment, checked against the table of settings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use device_grant_aws::AppClient;
use secrecy::ExposeSecret as _;

use super::environment::{self, Environment};
use super::keys::{self, CLIENT, KEYS, Kind, POLICIES};
use super::problem::{Problem, Problems};
use super::value::{self, Data, Place, Table, Value};

/// How alike two names must be for one to be suggested for the other.
const ALIKE: f64 = 0.6;

/// Settings of one place, each of the kind that the table asks for. What is missing has its default.
pub(crate) struct Settings {
    /// What a problem says in front of the name: `client[2].`, say.
    label: String,
    place: Place,
    values: Values,
}

#[derive(Default)]
struct Values {
    good: BTreeMap<&'static str, Value>,
    /// What was written but is not of the right kind: a problem already, and not missing too.
    refused: BTreeSet<&'static str>,
}

/// Everything that was written.
pub(crate) struct Document {
    pub(crate) service: Settings,
    pub(crate) clients: Vec<Settings>,
    pub(crate) problems: Problems,
    /// Whether there was no reading the file at all: then nothing else is worth telling.
    pub(crate) unreadable: bool,
}

impl Document {
    /// Reads `file`, if there is one, and lays the environment over it.
    pub(crate) fn load(file: Option<&Path>, environment: &Environment) -> Self {
        let mut problems = Problems::default();
        let (place, table) = match file {
            Some(path) => read(path, &mut problems),
            None => (Place::Nowhere, Table::new()),
        };
        Self::of(place, table, problems, environment)
    }

    /// The same for the text of a file.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn load_text(text: &str, environment: &Environment) -> Self {
        let mut problems = Problems::default();
        let (place, table) = taken("text", value::read_file("text", text), &mut problems);
        Self::of(place, table, problems, environment)
    }

    /// Whether any setting names a file to be read.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn names_files(&self) -> bool {
        let mut all = self.clients.iter().chain([&self.service]);
        all.any(|settings| settings.values.good.keys().any(|path| path.ends_with("file")))
    }

    fn of(place: Place, table: Table, mut problems: Problems, environment: &Environment) -> Self {
        let unreadable = !problems.list.is_empty();
        let mut values = Values::default();
        let mut clients = Vec::new();
        for (name, value) in table {
            match (name.as_str(), value) {
                (CLIENT, value) => clients = read_clients(&value, &mut problems),
                (name, Value { data: Data::Table(section), .. }) if is_section(name) => {
                    for (own, value) in section {
                        take(&format!("{name}.{own}"), value, "", &mut values, &mut problems);
                    }
                }
                (name, value) => take(name, value, "", &mut values, &mut problems),
            }
        }
        let service = Settings { label: String::new(), place, values };
        let mut document = Self { service, clients, problems, unreadable };
        environment::lay_over(&mut document, environment);
        document
    }

    /// Puts `value` where `path` says.
    pub(crate) fn put(&mut self, path: &str, value: Value) {
        if path == CLIENT {
            self.clients = read_clients(&value, &mut self.problems);
        } else {
            take(path, value, "", &mut self.service.values, &mut self.problems);
        }
    }
}

impl Settings {
    /// The value of `path`, as it was written.
    pub(crate) fn written(&self, path: &str) -> Option<&Value> {
        self.values.good.get(path)
    }

    /// A text, or its default; `None` without either.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        match (self.written(path).map(|value| &value.data), default(path)) {
            (Some(Data::Text(text)), _) => Some(text),
            (_, keys::Default::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A number, or its default; `None` without either.
    pub(crate) fn whole(&self, path: &str) -> Option<u32> {
        match (self.written(path).map(|value| &value.data), default(path)) {
            // The table's bounds are those of smaller types, and they were checked.
            (Some(Data::Whole(number)), _) => u32::try_from(*number).ok(),
            (_, keys::Default::Whole(number)) => Some(number),
            _ => None,
        }
    }

    /// A switch, or its default.
    pub(crate) fn flag(&self, path: &str) -> bool {
        match (self.written(path).map(|value| &value.data), default(path)) {
            (Some(Data::Flag(flag)), _) => *flag,
            (_, keys::Default::Flag(flag)) => flag,
            _ => false,
        }
    }

    /// The texts of a list, or its default; `None` without either.
    pub(crate) fn texts(&self, path: &str) -> Option<Vec<&str>> {
        match (self.written(path).map(|value| &value.data), default(path)) {
            (Some(Data::List(list)), _) => Some(list.iter().filter_map(as_text).collect()),
            (_, keys::Default::Texts(list)) => Some(list.to_vec()),
            _ => None,
        }
    }

    /// The pairs of a table of texts.
    pub(crate) fn pairs(&self, path: &str) -> Vec<(&str, &str)> {
        match self.written(path).map(|value| &value.data) {
            Some(Data::Table(table)) => {
                table.iter().filter_map(|(name, value)| Some((name.as_str(), as_text(value)?))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Where `path` was written, or where it is missing.
    pub(crate) fn place(&self, path: &str) -> Place {
        self.written(path).map_or_else(|| self.place.clone(), |value| value.place.clone())
    }

    /// How a problem names `path`.
    pub(crate) fn label(&self, path: &str) -> String {
        if self.label.is_empty() {
            return path.to_owned();
        }
        format!("{}.{}", self.label, path.strip_prefix("client.").unwrap_or(path))
    }

    /// Notes that `path` was not written, and that there is no doing without.
    pub(crate) fn miss(&self, path: &str, expected: &str, problems: &mut Problems) {
        if self.values.refused.contains(path) {
            return;
        }
        let variable = keys::find(path).and_then(keys::Key::variable);
        let or = variable.map(|name| format!(" (or {name} in the environment)")).unwrap_or_default();
        let expected = format!("{expected}{or}");
        problems.add(Problem::new(self.place.clone(), self.label(path), "nothing", expected));
    }

    /// What was written at `path` cannot be.
    pub(crate) fn wrong(&self, path: &str, expected: impl Into<String>) -> Problem {
        match self.written(path) {
            Some(value) if is_secret(path) => {
                Problem::new(value.place.clone(), self.label(path), "a secret", expected)
            }
            Some(value) => Problem::new(value.place.clone(), self.label(path), value.found(), expected),
            None => {
                let found = self.text(path).map_or_else(|| "nothing".to_owned(), |text| format!("{text:?}"));
                Problem::new(self.place.clone(), self.label(path), found, expected)
            }
        }
    }
}

fn read(path: &Path, problems: &mut Problems) -> (Place, Table) {
    let name = path.display().to_string();
    let table = match std::fs::read_to_string(path) {
        Ok(text) => value::read_file(&name, &text),
        Err(error) => {
            let place = Place::File(name.as_str().into());
            Err(Box::new(Problem::new(place, "", error.to_string(), "a file that can be read")))
        }
    };
    taken(&name, table, problems)
}

fn taken(name: &str, table: Result<Table, Box<Problem>>, problems: &mut Problems) -> (Place, Table) {
    let place = Place::File(name.into());
    match table {
        Ok(table) => (place, table),
        Err(problem) => {
            problems.add(*problem);
            (place, Table::new())
        }
    }
}

fn read_clients(value: &Value, problems: &mut Problems) -> Vec<Settings> {
    let Data::List(list) = &value.data else {
        problems.refuse(CLIENT, value, "[[client]], once for each device client");
        return Vec::new();
    };
    let mut clients = Vec::new();
    for (at, client) in list.iter().enumerate() {
        let label = format!("{CLIENT}[{}]", at + 1);
        let Data::Table(table) = &client.data else {
            problems.refuse(&label, client, "a table");
            continue;
        };
        clients.push(read_client(label, client.place.clone(), table, problems));
    }
    clients
}

fn read_client(label: String, place: Place, table: &Table, problems: &mut Problems) -> Settings {
    let mut values = Values::default();
    for (name, value) in table {
        let path = format!("{CLIENT}.{name}");
        match &value.data {
            Data::Table(policies) if path == POLICIES => {
                for (own, value) in policies {
                    take(&format!("{POLICIES}.{own}"), value.clone(), &label, &mut values, problems);
                }
            }
            _ if path == POLICIES => {
                problems.refuse(&format!("{label}.policies"), value, "a table, [client.policies]");
            }
            _ => take(&path, value.clone(), &label, &mut values, problems),
        }
    }
    Settings { label, place, values }
}

/// The settings of the client `id`, as `text` has them: what stands below a `[[client]]`, without its id.
pub(crate) fn registered(id: &str, text: &str, problems: &mut Problems) -> Settings {
    let name = format!("client {id}");
    let place = Place::File(name.as_str().into());
    let mut table = value::read_file(&name, text).unwrap_or_else(|problem| {
        problems.add(*problem);
        Table::new()
    });
    if let Some(written) = table.insert("id".to_owned(), Value::text(id, place.clone())) {
        problems.refuse("id", &written, "no id here: it is named beside the settings");
    }
    read_client(CLIENT.to_owned(), place, &table, problems)
}

/// The settings that an app client of the pool stands for.
pub(crate) fn app_client(app: &AppClient, problems: &mut Problems) -> Settings {
    let place = Place::File(format!("app client {}", app.id).into());
    let text = |text: &str| Value::text(text, place.clone());
    let scopes = Data::List(app.scopes.iter().map(|scope| text(scope)).collect());
    let method = if app.secret.is_some() { "client_secret_basic" } else { "none" };
    let written = [
        ("id", app.id.as_str()),
        ("name", &app.name),
        ("auth_method", method),
        ("upstream_client_id", "same"),
    ];
    let mut table: Table = written.map(|(name, value)| (name.to_owned(), text(value))).into();
    table.insert("scopes".to_owned(), Value { data: scopes, place: place.clone() });
    if let Some(secret) = &app.secret {
        table.insert("secret".to_owned(), text(secret.expose_secret()));
    }
    read_client(CLIENT.to_owned(), place, &table, problems)
}

/// Keeps `value` if the table knows its name and it is of the right kind.
fn take(path: &str, value: Value, label: &str, values: &mut Values, problems: &mut Problems) {
    let shown = match path.strip_prefix("client.") {
        Some(name) if !label.is_empty() => format!("{label}.{name}"),
        _ => path.to_owned(),
    };
    let Some(key) = keys::find(path) else {
        problems.add(unknown(path, &shown, &value));
        return;
    };
    match mismatch(key.kind, &value) {
        None => {
            values.refused.remove(key.path);
            values.good.insert(key.path, value);
        }
        Some(found) => {
            values.refused.insert(key.path);
            problems.add(Problem::new(value.place, shown, found, key.expected()));
        }
    }
}

/// What is wrong with the kind of `value`, in words for "found".
fn mismatch(kind: Kind, value: &Value) -> Option<String> {
    let fits = match (kind, &value.data) {
        (Kind::Text, Data::Text(text)) => !text.is_empty(),
        (Kind::Secret, Data::Text(text)) if !text.is_empty() => true,
        (Kind::Secret, _) => return Some("what is no text".to_owned()),
        (Kind::OneOf(words, later), Data::Text(text)) => {
            if later.contains(&text.as_str()) {
                return Some(format!("{text:?}, which this version does not have yet"));
            }
            words.contains(&text.as_str())
        }
        (Kind::Flag, Data::Flag(_)) => true,
        (Kind::Whole(min, max), Data::Whole(number)) => (min..=max).contains(number),
        (Kind::Texts, Data::List(list)) => {
            return list.iter().find(|one| as_text(one).is_none()).map(Value::found);
        }
        (Kind::Map, Data::Table(table)) => {
            return table.values().find(|one| as_text(one).is_none()).map(Value::found);
        }
        _ => false,
    };
    (!fits).then(|| value.found())
}

fn unknown(path: &str, shown: &str, value: &Value) -> Problem {
    Problem::new(value.place.clone(), shown, "an unknown key", nearest(path))
}

/// The known name that is most like `path`, or all that its section has.
pub(crate) fn nearest(path: &str) -> String {
    let name = |path: &str| path.rsplit_once('.').map_or(path, |(_, name)| name).to_owned();
    let likeness = |known: &str| {
        // The right name in the wrong section is a good guess too.
        let whole = strsim::normalized_damerau_levenshtein(path, known);
        whole.max(strsim::normalized_damerau_levenshtein(&name(path), &name(known)) * 0.95)
    };
    // At the top it may have been meant as a section.
    let as_section = sections().into_iter().filter(|_| !path.contains('.'));
    let known = KEYS.iter().map(|key| key.path).chain(as_section);
    let best = known.map(|known| (likeness(known), known)).max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((alike, known)) if alike >= ALIKE => format!("`{known}`, the nearest known name"),
        _ => {
            let section = path.rsplit_once('.').map_or("", |(section, _)| section);
            let same: Vec<_> =
                KEYS.iter().filter(|key| key.section() == section).map(keys::Key::name).collect();
            if same.is_empty() {
                format!("one of the sections {}", sections().join(", "))
            } else {
                format!("one of {}", same.join(", "))
            }
        }
    }
}

/// The sections of the table, in its order.
pub(crate) fn sections() -> Vec<&'static str> {
    let mut all: Vec<_> = KEYS.iter().map(keys::Key::section).filter(|section| !section.is_empty()).collect();
    all.dedup();
    all
}

fn is_section(name: &str) -> bool {
    sections().contains(&name)
}

fn is_secret(path: &str) -> bool {
    keys::find(path).is_some_and(|key| matches!(key.kind, Kind::Secret))
}

fn default(path: &str) -> keys::Default {
    keys::find(path).map_or(keys::Default::None, |key| key.default)
}

fn as_text(value: &Value) -> Option<&str> {
    match &value.data {
        Data::Text(text) => Some(text),
        _ => None,
    }
}
