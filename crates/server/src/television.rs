//! A device in the terminal.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_client::{DeviceClient, Login, Outcome, Progress};
use device_grant_domain::{Clock, SystemClock};
use device_grant_protocol::{Scope, TokenResponse};
use fast_qr::{ECL, QRBuilder};

/// Light modules around a code, as its standard wants them.
const QUIET_ZONE: isize = 4;
const TICK: Duration = Duration::from_secs(1);

/// Logs in on this terminal, and prints what came of it.
pub(crate) async fn log_in(
    device: &DeviceClient,
    scope: Option<&Scope>,
    show_tokens: bool,
) -> anyhow::Result<()> {
    let mut login = device.start(scope).await?;
    show_codes(&login);
    let outcome = wait(device, &mut login).await?;
    match outcome {
        Outcome::Approved(tokens) => {
            print!("{}", summary(&tokens, show_tokens));
            Ok(())
        }
        Outcome::Denied => bail!("access_denied: the person said no"),
        Outcome::Expired => {
            bail!("expired_token: nobody decided in time; run the command again for a new code")
        }
    }
}

fn show_codes(login: &Login) {
    let codes = login.codes();
    let link = codes.verification_uri_complete.as_ref().unwrap_or(&codes.verification_uri);
    println!();
    if let Some(code) = qr(link) {
        println!("{code}");
    }
    println!("  Scan the code, or open  {}", codes.verification_uri);
    println!("  and enter               {}", codes.user_code.expose());
    println!();
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
    if let Some(claims) = tokens.id_token.as_ref().and_then(|token| claims(token.expose())) {
        let named = ["name", "preferred_username", "email", "sub"];
        let who = named.iter().find_map(|name| claims.get(name)?.as_str().map(str::to_owned));
        lines.extend(who.map(|who| format!("  account        {who}")));
    }
    lines.extend(tokens.scope.as_ref().map(|scope| format!("  scope          {scope}")));
    lines.extend(tokens.expires_in.map(|seconds| format!("  expires in     {seconds} s")));
    lines.push(format!("  refresh token  {}", if tokens.refresh_token.is_some() { "yes" } else { "no" }));
    if show_tokens {
        let tokens = serde_json::to_string_pretty(tokens).unwrap_or_default();
        lines.push(tokens);
    }
    lines.join("\n") + "\n"
}

/// The claims as they stand: for showing on this terminal, not for trusting.
fn claims(id_token: &str) -> Option<serde_json::Value> {
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
        drawn.push_str("  \x1b[30;107m");
        for x in -QUIET_ZONE..size + QUIET_ZONE {
            drawn.push(match (dark(x, y), dark(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        drawn.push_str("\x1b[0m\n");
    }
    Some(drawn)
}

/// The device behind `login` and `demo`.
pub(crate) async fn discover(
    issuer: &url::Url,
    credentials: device_grant_client::Credentials,
) -> anyhow::Result<DeviceClient> {
    DeviceClient::discover(issuer, credentials)
        .await
        .with_context(|| format!("no device grant was found at {issuer}"))
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
    fn the_qr_code_has_its_quiet_zone() {
        let drawn = qr("https://login.example.com/device?user_code=WDJB-MJHT").unwrap();
        let lines: Vec<&str> = drawn.lines().collect();
        let modules = |line: &str| line.replace("\u{1b}[30;107m", "").replace("\u{1b}[0m", "");
        assert!(modules(lines[0]).trim().is_empty() && modules(lines[1]).trim().is_empty());
        assert!(!modules(lines[3]).trim().is_empty());
    }
}
