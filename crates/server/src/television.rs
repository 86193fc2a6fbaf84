//! A device in the terminal.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::{anyhow, bail};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_client::{DeviceClient, Login, Outcome, Progress};
use device_grant_domain::{Clock, SystemClock};
use device_grant_protocol::{Scope, TokenResponse};
use fast_qr::{ECL, QRBuilder};

use crate::cli::Qr;

/// Light modules around a code, as its standard wants them.
const QUIET_ZONE: isize = 4;
/// Whoever presses Ctrl-C does not want to wait.
const LAST_WORD: Duration = Duration::from_secs(3);
const TICK: Duration = Duration::from_secs(1);
/// Whatever the terminal's own colours are: many phones cannot read an inverted code.
const BLACK_ON_WHITE: &str = "\x1b[38;5;16;48;5;231m";
const RESET: &str = "\x1b[0m";

/// What to show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(crate) qr: Qr,
    pub(crate) show_tokens: bool,
}

/// Logs in on this terminal, and prints what came of it. Once `interrupted` the code is given up.
pub(crate) async fn log_in(
    device: &DeviceClient,
    scope: Option<&Scope>,
    screen: Screen,
    interrupted: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let mut login = device.start(scope).await?;
    show_codes(&login, screen.qr);
    let outcome = tokio::select! {
        outcome = wait(device, &mut login) => outcome?,
        () = interrupted => return Err(give_up(device, &login).await),
    };
    match outcome {
        Outcome::Approved(tokens) => {
            print!("{}", summary(&tokens, screen.show_tokens));
            Ok(())
        }
        Outcome::Denied => bail!("access_denied: the person said no"),
        Outcome::Expired => {
            bail!("expired_token: nobody decided in time; run the command again for a new code")
        }
    }
}

/// The person has left: nobody shall approve a code that no device waits for.
async fn give_up(device: &DeviceClient, login: &Login) -> anyhow::Error {
    let told = tokio::time::timeout(LAST_WORD, device.cancel(login)).await;
    match told {
        Ok(Ok(true)) => anyhow!("interrupted; the code was given up"),
        Ok(Ok(false)) => {
            anyhow!("interrupted; this server takes no codes back, and the code runs out by itself")
        }
        Ok(Err(problem)) => {
            anyhow!("interrupted; the code could not be given up, and runs out by itself: {problem}")
        }
        Err(_) => anyhow!("interrupted; the code could not be given up in time, and runs out by itself"),
    }
}

fn show_codes(login: &Login, when: Qr) {
    let codes = login.codes();
    let link = codes.verification_uri_complete.as_ref().unwrap_or(&codes.verification_uri);
    let wanted = match when {
        Qr::Auto => std::io::stdout().is_terminal(),
        Qr::Always => true,
        Qr::Never => false,
    };
    println!();
    let drawn = wanted.then(|| qr(link)).flatten();
    match &drawn {
        Some(code) => println!("{code}\n  Scan the code, or open  {}", printable(&codes.verification_uri)),
        None => println!(
            "  To log in, go to {}\n  or open                 {}",
            printable(link),
            printable(&codes.verification_uri)
        ),
    }
    println!("  and enter               {}", printable(codes.user_code.expose()));
    println!();
}

/// Text from elsewhere, without what could move the cursor or change colours.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Polls at the server's pace; shows how long the code lives.
async fn wait(device: &DeviceClient, login: &mut Login) -> anyhow::Result<Outcome> {
    let clock = SystemClock;
    let live = std::io::stdout().is_terminal();
    let ends_at = clock.now() + Duration::from_secs(login.codes().expires_in);
    let mut next_poll = clock.now() + login.wait();
    let mut away = None;
    // A server may hand over a little after the end; a poll later than that would only hear `expired_token`.
    let last_poll = ends_at + login.wait() + Duration::from_secs(5);
    while clock.now() < last_poll {
        if live {
            draw_countdown(ends_at.since(clock.now()), away.as_deref());
        }
        tokio::time::sleep(TICK.min(next_poll.since(clock.now()))).await;
        if clock.now() < next_poll {
            continue;
        }
        match device.poll(login).await? {
            Progress::Pending => away = None,
            Progress::Away(cause) => away = Some(cause),
            Progress::Done(outcome) => {
                if live {
                    println!("\r\x1b[K");
                }
                return Ok(outcome);
            }
        }
        next_poll = clock.now() + login.wait();
    }
    Ok(Outcome::Expired)
}

fn draw_countdown(left: Duration, away: Option<&str>) {
    let (minutes, seconds) = (left.as_secs() / 60, left.as_secs() % 60);
    let trouble = away.map(|_| "  (the server is not answering; still trying)").unwrap_or_default();
    print!("\r\x1b[K  Waiting for you: {minutes}:{seconds:02} left{trouble}");
    // A terminal that is gone is noticed at the next full line.
    let _ = std::io::stdout().flush();
}

/// What was got, without the tokens themselves unless they were asked for.
fn summary(tokens: &TokenResponse, show_tokens: bool) -> String {
    let mut lines = vec!["Connected.".to_owned()];
    let claims = tokens.id_token.as_ref().and_then(|token| claims(token.expose())).unwrap_or_default();
    let named = ["name", "preferred_username", "email", "sub"];
    let who = named.iter().find_map(|name| claims.get(*name)?.as_str());
    lines.extend(who.map(|who| format!("  account        {}", printable(who))));
    lines.extend(tokens.scope.as_ref().map(|scope| format!("  scope          {scope}")));
    lines.extend(tokens.expires_in.map(|seconds| format!("  expires in     {seconds} s")));
    lines.push(format!("  refresh token  {}", if tokens.refresh_token.is_some() { "yes" } else { "no" }));
    if !claims.is_empty() {
        lines.push("  claims of the ID token:".to_owned());
        let shown = claims.iter().map(|(name, value)| (printable(name), printable(&value.to_string())));
        lines.extend(shown.map(|(name, value)| format!("    {name:<12} {value}")));
    }
    if show_tokens {
        lines.extend(serde_json::to_string_pretty(tokens).ok());
    }
    lines.join("\n") + "\n"
}

/// The claims as they stand: for showing on this terminal, not for trusting.
fn claims(id_token: &str) -> Option<serde_json::Map<String, serde_json::Value>> {
    let payload = id_token.split('.').nth(1)?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// A QR code in half blocks, dark on light whatever the terminal's colours are.
fn qr(text: &str) -> Option<String> {
    let code = QRBuilder::new(text).ecl(ECL::M).build().ok()?;
    let size = isize::try_from(code.size).ok()?;
    let dark = |x: isize, y: isize| {
        let inside = (0..size).contains(&x) && (0..size).contains(&y);
        inside && code[y.unsigned_abs()][x.unsigned_abs()].value()
    };
    let mut drawn = String::new();
    for y in (-QUIET_ZONE..size + QUIET_ZONE).step_by(2) {
        drawn.push_str(BLACK_ON_WHITE);
        for x in -QUIET_ZONE..size + QUIET_ZONE {
            drawn.push(match (dark(x, y), dark(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        drawn.push_str(RESET);
        drawn.push('\n');
    }
    Some(drawn)
}

#[cfg(test)]
mod tests {
    use device_grant_protocol::{AccessToken, IdToken, RefreshToken};

    use super::*;

    #[test]
    fn the_summary_shows_tokens_only_on_request() {
        let tokens = TokenResponse {
            access_token: AccessToken::new("ACCESS"),
            token_type: "Bearer".to_owned(),
            expires_in: Some(60),
            refresh_token: Some(RefreshToken::new("REFRESH")),
            id_token: Some(IdToken::new(format!(
                "h.{}.s",
                BASE64_URL_SAFE_NO_PAD.encode(r#"{"name":"Alice"}"#)
            ))),
            scope: None,
        };
        let shown = summary(&tokens, false);
        assert!(shown.contains("Alice") && shown.contains("60 s"), "{shown}");
        assert!(!shown.contains("ACCESS") && !shown.contains("REFRESH"));
        assert!(summary(&tokens, true).contains("ACCESS"));
    }

    #[test]
    fn a_server_cannot_write_to_the_terminal_itself() {
        assert_eq!(printable("a\u{1b}[2Jb\u{9b}c\r"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}");
    }

    #[test]
    fn the_drawing_holds_every_module_and_four_of_quiet_zone() {
        let url = "https://login.example.com/device?user_code=WDJB-MJHT";
        let code = QRBuilder::new(url).ecl(ECL::M).build().unwrap();
        let mut rows: Vec<Vec<bool>> = Vec::new();
        for line in qr(url).unwrap().lines() {
            let cells = line.strip_prefix(BLACK_ON_WHITE).unwrap().strip_suffix(RESET).unwrap();
            rows.push(cells.chars().map(|cell| matches!(cell, '█' | '▀')).collect());
            rows.push(cells.chars().map(|cell| matches!(cell, '█' | '▄')).collect());
        }
        assert!(rows.len() >= code.size + 8);
        for (y, row) in rows.iter().enumerate() {
            assert_eq!(row.len(), code.size + 8);
            for (x, dark) in row.iter().enumerate() {
                let inside = (4..code.size + 4).contains(&y) && (4..code.size + 4).contains(&x);
                assert_eq!(*dark, inside && code[y - 4][x - 4].value(), "row {y}, column {x}");
            }
        }
    }

    #[test]
    fn what_is_too_long_for_a_code_is_not_drawn() {
        assert!(qr(&"x".repeat(5000)).is_none());
    }
}
