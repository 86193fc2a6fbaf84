//! Request parameters, as OAuth reads them.

/// Decoded name-value pairs of a query or a form.
#[derive(Clone, Default)]
pub(crate) struct Params(Vec<(String, String)>);

/// A parameter came twice (RFC 6749 §3.1, §3.2).
#[derive(Clone, Copy)]
pub(crate) struct Repeated;

impl Params {
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// Refuses a parameter that comes twice, whichever it is.
    pub(crate) fn parse_once(encoded: &[u8]) -> Result<Self, Repeated> {
        let parsed = Self::parse(encoded);
        let repeated = parsed
            .0
            .iter()
            .enumerate()
            .any(|(at, pair)| parsed.0[..at].iter().any(|earlier| earlier.0 == pair.0));
        if repeated { Err(Repeated) } else { Ok(parsed) }
    }

    /// The first value of `name`. An empty value counts as absent (RFC 6749 §3.1).
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|pair| pair.0 == name)
            .map(|pair| pair.1.as_str())
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}
