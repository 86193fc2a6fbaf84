//! Values with the place where they were written.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;

/// Where a value was written. Problems are told in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// In a file, on a line that is counted from 1.
    Line(Arc<str>, usize),
    /// Nowhere in this file.
    File(Arc<str>),
    /// In an environment variable.
    Variable(String),
    /// Nowhere.
    Nowhere,
}

/// One value. It may be a secret, so it does not print.
#[derive(Clone)]
pub(crate) struct Value {
    pub(crate) data: Data,
    pub(crate) place: Place,
}

#[derive(Clone)]
pub(crate) enum Data {
    Text(String),
    Whole(i64),
    Flag(bool),
    List(Vec<Value>),
    Table(Table),
    /// What no setting takes; its name in TOML.
    Other(&'static str),
}

pub(crate) type Table = BTreeMap<String, Value>;

impl Value {
    pub(crate) fn text(text: impl Into<String>, place: Place) -> Self {
        Self { data: Data::Text(text.into()), place }
    }

    /// What was found, in words for a problem.
    pub(crate) fn found(&self) -> String {
        const SHOWN: usize = 60;
        match &self.data {
            Data::Text(text) if text.chars().count() > SHOWN => {
                format!("{:?}…", text.chars().take(SHOWN).collect::<String>())
            }
            Data::Text(text) => format!("{text:?}"),
            Data::Whole(number) => number.to_string(),
            Data::Flag(flag) => flag.to_string(),
            Data::List(_) => "a list".to_owned(),
            Data::Table(_) => "a table".to_owned(),
            Data::Other(name) => format!("a {name}"),
        }
    }
}

/// Reads a whole file. With a syntax error there are no values: the first such error is enough to mend.
pub(crate) fn read_file(name: &str, text: &str) -> Result<Table, Box<Problem>> {
    let file: Arc<str> = name.into();
    let place = |span: &Range<usize>| Place::Line(Arc::clone(&file), line_of(text, span.start));
    match DeTable::parse(text) {
        Ok(table) => Ok(read_table(table.get_ref(), &place)),
        Err(error) => {
            let place = place(&error.span().unwrap_or_default());
            Err(Box::new(Problem::new(place, "", "what is no TOML", error.message())))
        }
    }
}

/// Reads one value as TOML has it, from a variable for example.
pub(crate) fn read_value(text: &str, place: &Place) -> Result<Value, String> {
    let value = DeValue::parse(text).map_err(|error| error.message().to_owned())?;
    Ok(read(&value, &|_: &Range<usize>| place.clone()))
}

/// The line of a place in `text`, counted from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

fn read_table(table: &DeTable<'_>, place: &dyn Fn(&Range<usize>) -> Place) -> Table {
    let entries = table.iter();
    entries
        .map(|(name, value)| {
            let mut value = read(value, place);
            // Whoever looks for a problem looks for the name.
            value.place = place(&name.span());
            (name.get_ref().to_string(), value)
        })
        .collect()
}

fn read(value: &Spanned<DeValue<'_>>, place: &dyn Fn(&Range<usize>) -> Place) -> Value {
    let data = match value.get_ref() {
        DeValue::String(text) => Data::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Data::Other("huge number"), Data::Whole),
        DeValue::Boolean(flag) => Data::Flag(*flag),
        DeValue::Array(list) => Data::List(list.iter().map(|value| read(value, place)).collect()),
        DeValue::Table(table) => Data::Table(read_table(table, place)),
        DeValue::Float(_) => Data::Other("number with a fraction"),
        DeValue::Datetime(_) => Data::Other("date"),
    };
    Value { data, place: place(&value.span()) }
}
