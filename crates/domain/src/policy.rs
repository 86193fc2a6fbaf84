//! What an operator asks of one client's logins beyond the usual: defences against people being talked into approving a
//! stranger's device (RFC 8628 section 5.4).

use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::network::Nearness;
use crate::time::Timestamp;

/// Characters that are to be typed when [`Proximity::RequireMore`] asks for them.
pub const MORE_TYPED: usize = 3;

/// The policies of one client. The default asks for nothing.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    /// What follows when device and browser are in different networks.
    pub proximity: Proximity,
    /// How many characters of the code are to be typed from the device's screen when the code came by a link.
    pub typed_after_link: usize,
    /// Whether the person has to say that the device is in front of them.
    pub own_device_check: bool,
    /// What the sign-in at the pool has to be.
    pub step_up: StepUp,
    /// From where requests may be started; from anywhere when empty.
    pub start_networks: Vec<IpNet>,
}

/// What follows when device and browser are in different networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proximity {
    /// Nothing: a television on cable and a telephone on the mobile network are an honest pair.
    #[default]
    Off,
    /// The page says so.
    Warn,
    /// The person has to show that they see the device. Also where nearness cannot be told: it costs an honest person
    /// little, and else a swindler would only have to start over the other address family.
    RequireMore,
    /// Nothing can be authorized.
    Refuse,
}

/// What the person has to do before Authorize counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// How many characters at the end of the code are hidden, to be typed from the device's screen.
    pub typed: usize,
    /// Whether they have to say that the device is in front of them.
    pub own_device: bool,
    /// Whether they are told that the device is in another network.
    pub far: bool,
    /// Whether nothing they do lets them authorize.
    pub refused: bool,
}

/// What is asked of the pool for a client's logins, and checked in what comes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepUp {
    /// `prompt` of OpenID Connect Core section 3.1.2.1.
    pub prompt: Option<Prompt>,
    /// `max_age`: the sign-in may be this old when the person authorizes.
    pub max_age: Option<Duration>,
    /// `acr_values`: the sign-in must be of one of these kinds.
    pub acr_values: Vec<String>,
}

/// What the pool is to show although the person has a session there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// The sign-in.
    Login,
    /// The consent.
    Consent,
    /// The choice of an account.
    SelectAccount,
}

/// How a pool is asked for a sign-in although it may have a session: which `prompt` (OpenID Connect Core section 3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FreshPrompt {
    /// `login`, beside what the client's policy asks for.
    #[default]
    Login,
    /// `login` and nothing else: the pool takes one value only (Entra).
    LoginAlone,
    /// `select_account`: the pool does not know `login` (Google).
    SelectAccount,
}

/// What an ID token must say of its sign-in (OpenID Connect Core section 3.1.3.7, items 12 and 13).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInDemand {
    /// `acr` must be one of these; it does not matter when there are none.
    pub acr_values: Vec<String>,
    /// `auth_time` must not lie before this.
    pub since: Option<Timestamp>,
}

impl Policies {
    /// What a person must do to authorize a request of this client, who came by a link with the code or typed it.
    pub fn demands(&self, nearness: Nearness, linked: bool) -> Demands {
        let usual = Demands {
            typed: if linked { self.typed_after_link } else { 0 },
            own_device: self.own_device_check,
            far: self.proximity != Proximity::Off && nearness == Nearness::Different,
            refused: false,
        };
        match (self.proximity, nearness) {
            (Proximity::RequireMore, Nearness::Different | Nearness::Unknown) => {
                Demands { typed: self.most_typed(), own_device: true, ..usual }
            }
            (Proximity::Refuse, Nearness::Different) => Demands { refused: true, ..usual },
            _ => usual,
        }
    }

    /// The most characters that may have to be typed.
    pub fn most_typed(&self) -> usize {
        let more = if self.proximity == Proximity::RequireMore { MORE_TYPED } else { 0 };
        self.typed_after_link.max(more)
    }
}

impl StepUp {
    /// The parameters of the authorization request. With `anew` the person is to sign in whatever else the policy wants to
    /// be shown; `prompt` is a list, where the pool takes one.
    pub fn parameters(&self, anew: Option<FreshPrompt>) -> Vec<(&'static str, String)> {
        let acr_values = (!self.acr_values.is_empty()).then(|| self.acr_values.join(" "));
        let anew = anew.filter(|_| self.prompt != Some(Prompt::Login));
        let own = self.prompt.map(Prompt::as_str);
        let prompt = match (anew.map(FreshPrompt::as_str), own) {
            (Some(fresh), Some(own)) if fresh != own && anew != Some(FreshPrompt::LoginAlone) => {
                Some(format!("{fresh} {own}"))
            }
            (fresh, own) => fresh.or(own).map(str::to_owned),
        };
        // Only who asks for an age is owed an `auth_time` (OpenID Connect Core section 2), and `login` is judged by that.
        let max_age = self.max_age.or((self.prompt == Some(Prompt::Login)).then_some(Duration::ZERO));
        let parameters = [
            ("prompt", prompt),
            ("max_age", max_age.map(|age| age.as_secs().to_string())),
            ("acr_values", acr_values),
        ];
        parameters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// What the ID token of a trip that began at `departed` must say.
    pub fn demand(&self, departed: Timestamp) -> SignInDemand {
        let anew = (self.prompt == Some(Prompt::Login)).then_some(Duration::ZERO);
        let age = anew.or(self.max_age);
        SignInDemand { acr_values: self.acr_values.clone(), since: age.map(|age| departed - age) }
    }
}

impl Prompt {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Consent => "consent",
            Self::SelectAccount => "select_account",
        }
    }
}

impl FreshPrompt {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Login | Self::LoginAlone => Prompt::Login.as_str(),
            Self::SelectAccount => Prompt::SelectAccount.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies(proximity: Proximity, typed_after_link: usize, own_device_check: bool) -> Policies {
        Policies { proximity, typed_after_link, own_device_check, ..Policies::default() }
    }

    fn demands(typed: usize, own_device: bool, far: bool, refused: bool) -> Demands {
        Demands { typed, own_device, far, refused }
    }

    /// SEC-14: what each policy makes of each nearness.
    #[test]
    fn each_policy_asks_for_what_it_says() {
        use Nearness::{Different, Same, Unknown};
        use Proximity::{Off, Refuse, RequireMore, Warn};
        for (proximity, nearness, expected) in [
            (Off, Different, demands(0, false, false, false)),
            (Off, Unknown, demands(0, false, false, false)),
            (Warn, Same, demands(0, false, false, false)),
            (Warn, Unknown, demands(0, false, false, false)),
            (Warn, Different, demands(0, false, true, false)),
            (RequireMore, Same, demands(0, false, false, false)),
            (RequireMore, Unknown, demands(3, true, false, false)),
            (RequireMore, Different, demands(3, true, true, false)),
            (Refuse, Same, demands(0, false, false, false)),
            (Refuse, Unknown, demands(0, false, false, false)),
            (Refuse, Different, demands(0, false, true, true)),
        ] {
            let found = policies(proximity, 0, false).demands(nearness, false);
            assert_eq!(found, expected, "{proximity:?} {nearness:?}");
        }
    }

    #[test]
    fn characters_are_typed_after_a_link_only() {
        let two = policies(Proximity::Off, 2, true);
        assert_eq!(two.demands(Nearness::Same, true), demands(2, true, false, false));
        assert_eq!(two.demands(Nearness::Same, false), demands(0, true, false, false));
        let four = policies(Proximity::RequireMore, 4, false);
        assert_eq!(four.demands(Nearness::Different, false).typed, 4);
        assert_eq!((two.most_typed(), four.most_typed(), Policies::default().most_typed()), (2, 4, 0));
    }

    /// SEC-14: `max_age` counts back from the departure, and `prompt=login` means a sign-in on this very trip.
    #[test]
    fn a_step_up_says_what_must_come_back() {
        let departed = Timestamp::from_secs(10_000);
        let step_up = StepUp {
            prompt: Some(Prompt::SelectAccount),
            max_age: Some(Duration::from_mins(5)),
            acr_values: vec!["mfa".to_owned(), "gold".to_owned()],
        };
        assert_eq!(
            step_up.parameters(None),
            [
                ("prompt", "select_account".to_owned()),
                ("max_age", "300".to_owned()),
                ("acr_values", "mfa gold".to_owned())
            ]
        );
        assert_eq!(step_up.demand(departed).since, Some(Timestamp::from_secs(9700)));
        let anew = StepUp { prompt: Some(Prompt::Login), ..step_up };
        assert_eq!(anew.demand(departed).since, Some(departed));
        assert_eq!(StepUp::default().demand(departed), SignInDemand::default());
        assert!(StepUp::default().parameters(None).is_empty());
    }

    /// SEC-14: a fresh sign-in is asked for beside what the policy asks for, as far as the pool takes both.
    #[test]
    fn a_fresh_sign_in_is_asked_for_in_the_pools_way() {
        use FreshPrompt::{Login, LoginAlone, SelectAccount};
        for (own, fresh, expected) in [
            (None, Login, "login"),
            (None, LoginAlone, "login"),
            (None, SelectAccount, "select_account"),
            (Some(Prompt::Consent), Login, "login consent"),
            (Some(Prompt::Consent), LoginAlone, "login"),
            (Some(Prompt::Consent), SelectAccount, "select_account consent"),
            (Some(Prompt::SelectAccount), SelectAccount, "select_account"),
            (Some(Prompt::Login), Login, "login"),
            (Some(Prompt::Login), SelectAccount, "login"),
        ] {
            let step_up = StepUp { prompt: own, ..StepUp::default() };
            assert_eq!(
                step_up.parameters(Some(fresh))[0],
                ("prompt", expected.to_owned()),
                "{own:?} {fresh:?}"
            );
        }
        let login = StepUp { prompt: Some(Prompt::Login), ..StepUp::default() };
        assert_eq!(login.parameters(None), [("prompt", "login".to_owned()), ("max_age", "0".to_owned())]);
    }
}
