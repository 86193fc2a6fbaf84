//! The environment, laid over the file: our own variables, and those of the AWS sample.

use std::collections::BTreeMap;

use url::Url;

use super::document::{self, Document};
use super::keys::{self, CLIENT, KEYS, Kind, PREFIX};
use super::problem::Problem;
use super::value::{self, Data, Place, Value};

/// The environment, read once in `main`.
pub(crate) type Environment = BTreeMap<String, String>;

/// What AWS Lambda sets where it runs a program: where invocations are fetched from.
const LAMBDA: &str = "AWS_LAMBDA_RUNTIME_API";

/// Whether AWS Lambda runs this program.
pub(crate) fn is_on_lambda(environment: &Environment) -> bool {
    environment.contains_key(LAMBDA)
}

/// Our own variables count more than the sample's, and both more than the file. An empty variable counts as absent.
pub(crate) fn lay_over(document: &mut Document, environment: &Environment) {
    let set = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let own: Vec<_> = environment.iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    let sets_itself =
        |path: &str| keys::find(path).and_then(keys::Key::variable).is_some_and(|name| set(&name).is_some());

    for key in KEYS.iter().filter(|key| key.path != "public_url" && !sets_itself(key.path)) {
        if let Some((name, text)) = key.sample.and_then(|name| Some((name, set(name)?))) {
            put(document, key.path, key.kind, name, text);
        }
    }
    if set("CUP_ID").is_some() && !sets_itself("upstream.preset") && !sets_itself("upstream.issuer") {
        put(document, "upstream.preset", Kind::Text, "CUP_ID", "cognito");
    }
    if set("DYNAMODB_TABLE").is_some() && document.service.written("store.kind").is_none() {
        put(document, "store.kind", Kind::Text, "DYNAMODB_TABLE", "dynamodb");
    }
    if is_on_lambda(environment)
        && !sets_itself("polls.poll_pace")
        && document.service.written("polls.poll_pace").is_none()
    {
        put(document, "polls.poll_pace", Kind::Text, LAMBDA, "shared");
    }
    for (name, text) in own.into_iter().filter(|(_, text)| !text.is_empty()) {
        let path = name[PREFIX.len()..].to_lowercase().replace("__", ".");
        let kind = if path == CLIENT { Some(Kind::Texts) } else { keys::find(&path).map(|key| key.kind) };
        if let Some(kind) = kind {
            put(document, &path, kind, name, text);
        } else {
            let (place, expected) = (Place::Variable(name.clone()), document::nearest(&path));
            document.problems.add(Problem::new(place, path, "an unknown key", expected));
        }
    }
    if let Some(text) = set("CODE_VERIFICATION_URI") {
        sample_public_url(document, text);
    }
}

fn put(document: &mut Document, path: &str, kind: Kind, name: &str, text: &str) {
    let place = Place::Variable(name.to_owned());
    match read(kind, text, &place) {
        Ok(value) => document.put(path, value),
        Err(why) => document.problems.add(Problem::new(place, path, "what cannot be read", why)),
    }
}

/// What `text` stands for in a setting of this kind. Lists and tables are written as TOML has them, or with commas.
fn read(kind: Kind, text: &str, place: &Place) -> Result<Value, String> {
    let data = match kind {
        Kind::Text | Kind::Secret | Kind::OneOf(..) => Data::Text(text.to_owned()),
        Kind::Flag => text.parse().map_or_else(|_| Data::Text(text.to_owned()), Data::Flag),
        Kind::Whole(..) => text.parse().map_or_else(|_| Data::Text(text.to_owned()), Data::Whole),
        Kind::Texts | Kind::Map if text.trim_start().starts_with(['[', '{']) => {
            return value::read_value(text, place).map_err(|why| format!("a TOML value ({why})"));
        }
        Kind::Texts => {
            let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
            Data::List(texts.map(|text| Value::text(text, place.clone())).collect())
        }
        Kind::Map => {
            let pairs = text.split(',').map(|pair| pair.split_once('=').ok_or("name=value,…".to_owned()));
            let read = |(name, text): (&str, &str)| {
                (name.trim().to_owned(), Value::text(text.trim(), place.clone()))
            };
            Data::Table(pairs.map(|pair| pair.map(read)).collect::<Result<_, _>>()?)
        }
    };
    Ok(Value { data, place: place.clone() })
}

/// The sample names the public host alone, or a URL. What else names it must agree.
fn sample_public_url(document: &mut Document, text: &str) {
    const NAME: &str = "CODE_VERIFICATION_URI";
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let place = Place::Variable(NAME.to_owned());
    let Some(origin) = origin(&with_scheme) else {
        let expected = "a host name or a URL";
        document.problems.add(Problem::new(place, "public_url", format!("{text:?}"), expected));
        return;
    };
    match document.service.text("public_url") {
        None => document.put("public_url", Value::text(origin, place)),
        Some(other) if self::origin(other).as_ref() == Some(&origin) => {}
        Some(other) => {
            let expected = format!("the origin of public_url, which is {other:?}");
            document.problems.add(Problem::new(place, "public_url", format!("{text:?}"), expected));
        }
    }
}

fn origin(url: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(Url::has_host)?;
    Some(url.origin().ascii_serialization())
}
