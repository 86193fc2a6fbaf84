//! Codes, and the guard that lets no weak ones start (UC-01, UC-02).

use device_grant_domain::codes::{
    ANY_CODE_BITS, CodeFormat, FormatError, GUESS_BITS, GuessStrength, MIN_DEVICE_CODE_BITS,
};

use super::document::Settings;
use super::problem::{Problem, Problems};

const FORMAT: &str = "codes.user_code_format";
const LENGTH: &str = "codes.user_code_length";
const DEVICE_FORMAT: &str = "codes.device_code_format";

pub(super) struct Codes {
    pub(super) device_code: CodeFormat,
    pub(super) user_code: CodeFormat,
}

pub(super) fn build(service: &Settings, clients: &[Settings], problems: &mut Problems) -> Option<Codes> {
    let device_code = device_code(service, problems);
    let user_code = user_code(service, windows(service, clients), problems);
    if service.whole("codes.lifetime_s") <= service.whole("codes.min_trip_s") {
        let expected = "a longer life than codes.min_trip_s, or nobody could ever authorize";
        problems.add(service.wrong("codes.lifetime_s", expected));
    }
    for client in clients {
        check_life(service, client, problems);
    }
    Some(Codes { device_code: device_code?, user_code: user_code? })
}

fn device_code(service: &Settings, problems: &mut Problems) -> Option<CodeFormat> {
    let length = service.whole("codes.device_code_length")? as usize;
    let format = CodeFormat::device_code(service.text(DEVICE_FORMAT)?, length);
    let format = well_formed(service, DEVICE_FORMAT, format, problems)?;
    if format.bits() < MIN_DEVICE_CODE_BITS {
        let expected = format!(
            "device codes of {MIN_DEVICE_CODE_BITS} random bits at least; with {length} characters of this format \
             they have {:.1}",
            format.bits()
        );
        problems.add(service.wrong(DEVICE_FORMAT, expected));
    }
    Some(format)
}

fn user_code(service: &Settings, windows: u32, problems: &mut Problems) -> Option<CodeFormat> {
    let (letters, length) = (service.text(FORMAT)?, service.whole(LENGTH)? as usize);
    let grouped = service.flag("codes.user_code_grouped");
    let format = well_formed(service, FORMAT, CodeFormat::user_code(letters, length, grouped), problems)?;
    let pairs = format.confusable_pairs();
    if !pairs.is_empty() {
        let pairs: Vec<_> = pairs.iter().map(|(one, other)| format!("{one}/{other}")).collect();
        let warning = "people take these characters of user codes for one another";
        problems.warnings.push(format!("{FORMAT} {letters:?}: {warning}: {}", pairs.join(", ")));
    }
    guard(service, (&format, letters), windows, problems);
    Some(format)
}

/// The same for one client that is registered in the store: its codes must be good for as long as they live.
pub(super) fn check_registered(service: &Settings, client: &Settings, problems: &mut Problems) {
    check_life(service, client, problems);
    let length = service.whole(LENGTH).unwrap_or_default() as usize;
    let letters = service.text(FORMAT).unwrap_or_default();
    let Ok(format) = CodeFormat::user_code(letters, length, false) else { return };
    let (guesses, live) = figures(service, windows(service, std::slice::from_ref(client)));
    if !GuessStrength::of(&format, guesses, live).is_enough() && !service.flag("codes.allow_weak_codes") {
        let expected = format!("a shorter life: codes of {:.1} bits are not good for so long", format.bits());
        problems.add(client.wrong("client.lifetime_s", expected));
    }
}

fn check_life(service: &Settings, client: &Settings, problems: &mut Problems) {
    let life = client.whole("client.lifetime_s");
    if life.is_some_and(|life| Some(life) <= service.whole("codes.min_trip_s")) {
        let expected = "a longer life than codes.min_trip_s, or nobody could ever authorize";
        problems.add(client.wrong("client.lifetime_s", expected));
    }
}

/// How many windows of the guess counters, each `codes.lifetime_s` long, the life of one code can touch: it begins within
/// one, and a client's codes may live longer than the service's.
fn windows(service: &Settings, clients: &[Settings]) -> u32 {
    let window = service.whole("codes.lifetime_s").unwrap_or(1).max(1);
    let longest = clients.iter().filter_map(|client| client.whole("client.lifetime_s")).max().unwrap_or(0);
    longest.max(window).div_ceil(window) + 1
}

/// How many guesses one guesser has in so many windows, and how many codes are live.
fn figures(service: &Settings, windows: u32) -> (u32, u32) {
    let figure = |path| service.whole(path).unwrap_or(u32::MAX);
    let a_window = if service.text("web.sign_in") == Some("on-approval") {
        figure("limits.anonymous_guesses_per_code_life_per_network")
    } else {
        figure("limits.guesses_per_code_life").max(figure("limits.guesses_per_code_life_per_network"))
    };
    (a_window.saturating_mul(windows), figure("codes.expected_live_requests"))
}

/// Refuses, with the figure, what can be guessed too easily. One guesser is an account, or everybody in a network; where
/// nobody needs an account, everybody in a network.
fn guard(service: &Settings, (format, letters): (&CodeFormat, &str), windows: u32, problems: &mut Problems) {
    let (guesses, live) = figures(service, windows);
    let strength = GuessStrength::of(format, guesses, live);
    if strength.is_enough() {
        return;
    }
    let found = format!(
        "user codes of {:.1} bits: one guesser with {guesses} guesses hits a given code with 2^-{:.1}, and any of \
         {live} live codes with 2^-{:.1}",
        strength.bits, strength.one_code, strength.any_code
    );
    if service.flag("codes.allow_weak_codes") {
        problems.warnings.push(format!("codes.allow_weak_codes: weak codes are allowed; these are {found}"));
        return;
    }
    let enough = (format.length()..=CodeFormat::MAX_LENGTH).find(|length| {
        CodeFormat::user_code(letters, *length, false)
            .is_ok_and(|longer| GuessStrength::of(&longer, guesses, live).is_enough())
    });
    let length = enough.map_or_else(String::new, |length| format!(", as a length of {length} gives"));
    let expected = format!("at most 2^-{GUESS_BITS} and 2^-{ANY_CODE_BITS}{length}");
    let path = if service.written(LENGTH).is_some() { LENGTH } else { FORMAT };
    problems.add(Problem::new(service.place(path), path, found, expected));
}

fn well_formed(
    service: &Settings,
    path: &str,
    format: Result<CodeFormat, FormatError>,
    problems: &mut Problems,
) -> Option<CodeFormat> {
    format
        .map_err(|error| problems.add(service.wrong(path, format!("letters of # a A b B ! ({error})"))))
        .ok()
}
