//! What kind of device a `User-Agent` is of: enough for its person to recognise it, nothing that tells two of a kind apart.

/// Marks in a `User-Agent`, in lower case, and what they stand for. The first that fits counts.
const KINDS: [(&str, &str); 24] = [
    ("playstation", "PlayStation"),
    ("xbox", "Xbox"),
    ("nintendo", "Nintendo console"),
    ("roku", "Roku"),
    ("appletv", "Apple TV"),
    ("apple tv", "Apple TV"),
    ("crkey", "Chromecast"),
    ("aftt", "Fire TV"),
    ("android tv", "Android TV"),
    ("bravia", "Television"),
    ("tizen", "Television"),
    ("web0s", "Television"),
    ("webos", "Television"),
    ("smart-tv", "Television"),
    ("smarttv", "Television"),
    ("hbbtv", "Television"),
    ("curl/", "Command-line tool"),
    ("wget/", "Command-line tool"),
    ("httpie/", "Command-line tool"),
    ("python", "Program"),
    ("go-http-client", "Program"),
    ("java/", "Program"),
    ("okhttp", "Program"),
    ("mozilla/", "Web browser"),
];
const LONGEST: usize = 30;

/// The kind of device, or the bare name of the product; `None` if neither can be told.
pub(super) fn kind(user_agent: &str) -> Option<String> {
    let folded = user_agent.to_ascii_lowercase();
    if let Some((_, kind)) = KINDS.iter().find(|(mark, _)| folded.contains(mark)) {
        return Some((*kind).to_owned());
    }
    let product = user_agent.split(|c: char| c == '/' || c.is_whitespace()).next().unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_name = product.starts_with(|c: char| c.is_ascii_alphabetic()) && product.chars().all(is_plain);
    (is_name && product.len() <= LONGEST).then(|| product.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SEC-15: no version, no model and no markup comes through.
    #[test]
    fn a_user_agent_becomes_a_kind() {
        for (user_agent, expected) in [
            ("Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) AppleWebKit/537.36", Some("Television")),
            ("Mozilla/5.0 (PlayStation; PlayStation 5/2.26)", Some("PlayStation")),
            ("Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", Some("Web browser")),
            ("curl/8.5.0", Some("Command-line tool")),
            ("ExampleTV/7.1 (model 55X, serial 4711)", Some("ExampleTV")),
            ("ExampleTV", Some("ExampleTV")),
            ("<b>SmartTV</b>/7", Some("Television")),
            ("<script>alert(1)</script>", None),
            ("4711", None),
            ("a-name-that-is-far-too-long-to-be-one-word", None),
            ("", None),
        ] {
            assert_eq!(kind(user_agent).as_deref(), expected, "{user_agent}");
        }
    }
}
