//! The configurations that the book shows for each user pool.

use device_grant_domain::policy::FreshPrompt;

use super::good;

const POOLS: [(&str, &str); 6] = [
    ("auth0", include_str!("../../../../../docs/pools/auth0.md")),
    ("cognito", include_str!("../../../../../docs/pools/cognito.md")),
    ("entra", include_str!("../../../../../docs/pools/entra.md")),
    ("google", include_str!("../../../../../docs/pools/google.md")),
    ("keycloak", include_str!("../../../../../docs/pools/keycloak.md")),
    ("okta", include_str!("../../../../../docs/pools/okta.md")),
];

/// Only the file with the secret is not on this machine.
#[test]
fn the_configuration_for_each_pool_is_good() {
    for (pool, page) in POOLS {
        let blocks: Vec<&str> =
            page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert_eq!(blocks.len(), 1, "{pool}");
        let text =
            blocks[0].replace("client_secret_file = \"/run/secrets/device-grant\"", "client_secret = \"s\"");
        let config = good(&text);
        let fresh = match pool {
            "entra" => FreshPrompt::LoginAlone,
            "google" => FreshPrompt::SelectAccount,
            _ => FreshPrompt::Login,
        };
        assert_eq!(config.pool.fresh_prompt, fresh, "{pool}");
        assert_eq!(config.pool.signs_out, pool != "okta", "{pool}");
        assert_eq!(config.settings.public_url.as_str(), "https://login.example.com/", "{pool}");
        // One that is shown, or all of the pool's.
        assert_eq!(config.clients.len() + usize::from(config.from_pool), 1, "{pool}");
    }
}
