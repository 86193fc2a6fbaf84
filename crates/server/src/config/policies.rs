//! Policies of a device client, from its `[client.policies]`.

use std::time::Duration;

use device_grant_domain::policy::{Policies, Prompt, Proximity, StepUp};

use super::document::Settings;
use super::problem::Problems;
use super::service::networks;

const TYPED: &str = "client.policies.typed_after_link";
const ACR_VALUES: &str = "client.policies.acr_values";

pub(super) fn policies(settings: &Settings, service: &Settings, problems: &mut Problems) -> Policies {
    let policies = Policies {
        proximity: match settings.text("client.policies.proximity") {
            Some("warn") => Proximity::Warn,
            Some("require_more") => Proximity::RequireMore,
            Some("refuse") => Proximity::Refuse,
            _ => Proximity::Off,
        },
        typed_after_link: settings.whole(TYPED).unwrap_or_default() as usize,
        own_device_check: settings.flag("client.policies.own_device_check"),
        step_up: step_up(settings, problems),
        start_networks: networks(settings, "client.policies.start_networks", problems),
    };
    // With all of it kept back there would be nothing left to compare.
    let length = service.whole("codes.user_code_length").unwrap_or_default() as usize;
    let most = policies.most_typed();
    if most > 0 && most >= length {
        let expected = format!("fewer characters than a code has: codes.user_code_length is {length}");
        problems.add(settings.wrong(TYPED, expected));
    }
    let compares = policies.proximity != Proximity::Off || !policies.start_networks.is_empty();
    let behind_one = service.texts("network.trusted_proxies").is_none_or(|proxies| proxies.is_empty());
    if compares && behind_one && service.text("public_url").is_some_and(|url| url.starts_with("https:")) {
        let client = settings.text("client.id").unwrap_or_default();
        problems.warnings.push(format!(
            "client {client:?}: its policies compare networks, but network.trusted_proxies is empty: behind a proxy \
             everybody seems to come from the proxy's own"
        ));
    }
    policies
}

fn step_up(settings: &Settings, problems: &mut Problems) -> StepUp {
    let acr_values = settings.texts(ACR_VALUES).unwrap_or_default();
    if acr_values.iter().any(|value| value.is_empty() || value.contains(char::is_whitespace)) {
        problems.add(settings.wrong(ACR_VALUES, "kinds of sign-in, one in each text, without blanks"));
    }
    StepUp {
        prompt: settings.text("client.policies.prompt").and_then(|prompt| match prompt {
            "login" => Some(Prompt::Login),
            "consent" => Some(Prompt::Consent),
            "select_account" => Some(Prompt::SelectAccount),
            _ => None,
        }),
        max_age: settings
            .whole("client.policies.max_age_s")
            .map(|seconds| Duration::from_secs(seconds.into())),
        acr_values: acr_values.into_iter().map(str::to_owned).collect(),
    }
}
