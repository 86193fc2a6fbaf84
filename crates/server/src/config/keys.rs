//! Every setting there is, in one table: what may be written, what holds when nothing is, and what it means.
//!
//! The reader, the environment, the suggestions for unknown names and `docs/configuration.md` all come from here.

/// What may be written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Text that is not empty.
    Text,
    /// Text that is never shown.
    Secret,
    /// One of a few words. The second list is for a later version.
    OneOf(&'static [&'static str], &'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number from the first to the second, both included.
    Whole(i64, i64),
    /// A list of texts.
    Texts,
    /// A table of texts.
    Map,
}

/// What holds when nothing is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Default {
    /// Nothing.
    None,
    /// This text.
    Text(&'static str),
    /// This number.
    Whole(u32),
    /// This.
    Flag(bool),
    /// These texts.
    Texts(&'static [&'static str]),
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// Section and name, with a dot between; `client.` for what stands in each `[[client]]`.
    pub(crate) path: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: Default,
    /// The variable that the AWS sample has for it.
    pub(crate) sample: Option<&'static str>,
    /// What it means, in a sentence.
    pub(crate) meaning: &'static str,
}

impl Key {
    const fn new(path: &'static str, kind: Kind, meaning: &'static str) -> Self {
        Self { path, kind, default: Default::None, sample: None, meaning }
    }

    const fn text(self, default: &'static str) -> Self {
        Self { default: Default::Text(default), ..self }
    }

    const fn whole(self, default: u32) -> Self {
        Self { default: Default::Whole(default), ..self }
    }

    const fn flag(self, default: bool) -> Self {
        Self { default: Default::Flag(default), ..self }
    }

    const fn texts(self, default: &'static [&'static str]) -> Self {
        Self { default: Default::Texts(default), ..self }
    }

    const fn sample(self, name: &'static str) -> Self {
        Self { sample: Some(name), ..self }
    }

    /// The name without its section.
    pub(crate) fn name(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, name)| name)
    }

    /// The section; empty at the top.
    pub(crate) fn section(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// Whether it stands in a `[[client]]`.
    pub(crate) fn is_of_client(&self) -> bool {
        [CLIENT, POLICIES].contains(&self.section())
    }

    /// The environment variable that sets it. A `[[client]]` is set as a whole.
    pub(crate) fn variable(&self) -> Option<String> {
        let settable = !self.is_of_client();
        settable.then(|| format!("{PREFIX}{}", self.path.replace('.', "__").to_uppercase()))
    }

    /// What may be written, in words.
    pub(crate) fn expected(&self) -> String {
        match self.kind {
            Kind::Text | Kind::Secret => "text".to_owned(),
            Kind::OneOf(words, _) => {
                words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
            }
            Kind::Flag => "true or false".to_owned(),
            Kind::Whole(min, max) => format!("a whole number from {min} to {max}"),
            Kind::Texts => "a list of texts".to_owned(),
            Kind::Map => "a table of texts".to_owned(),
        }
    }
}

/// What environment variables begin with.
pub(crate) const PREFIX: &str = "DEVICE_GRANT__";
/// The name of the device clients' section.
pub(crate) const CLIENT: &str = "client";
/// The name of the table of policies in each of them.
pub(crate) const POLICIES: &str = "client.policies";

/// The key at `path`.
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// Every setting, in the order of the reference.
#[rustfmt::skip]
pub(crate) const KEYS: &[Key] = &[
    Key::new("public_url", Kind::Text, "The origin that devices and people use: `https://` and a host. Plain http is for the loopback only. The sample's `CODE_VERIFICATION_URI` (a host name or a URL) says the same; where both are given they must agree.")
        .sample("CODE_VERIFICATION_URI"),
    Key::new("listen", Kind::Text, "Address and port to listen on, in clear text: TLS ends at the proxy in front.")
        .text("127.0.0.1:8080"),
    Key::new("store.kind", Kind::OneOf(&["embedded", "dynamodb"], &[]), "Where requests live: one file that one process owns, or a DynamoDB table that replicas share. `DYNAMODB_TABLE` in the environment makes it `dynamodb`.")
        .text("embedded"),
    Key::new("store.path", Kind::Text, "The file of the embedded store, on a local disk.").text("device-grant.db"),
    Key::new("store.table", Kind::Text, "The DynamoDB table; `device-grant migrate` makes it.")
        .text("DeviceGrant")
        .sample("DYNAMODB_TABLE"),
    Key::new("store.region", Kind::Text, "The AWS region of the table; without it, what the AWS environment says.")
        .sample("CUP_REGION"),
    Key::new("store.endpoint_url", Kind::Text, "Where DynamoDB is, for DynamoDB Local and the like; absent on AWS."),
    Key::new("store.timeout_s", Kind::Whole(1, 10), "The longest a call of the store may take, in seconds. Rather longer than a conditional write ever takes.")
        .whole(3),
    Key::new("store.clock_skew_s", Kind::Whole(0, 60), "How far the clocks of replicas may be apart, in seconds. It lengthens the lease of an exchange.")
        .whole(2),
    Key::new("upstream.preset", Kind::OneOf(&["none", "cognito"], &[]), "A pool that has ways of its own. `cognito`: the pool is named in `[cognito]`, `upstream.issuer` is not needed, every trip carries `identity_provider = \"COGNITO\"` unless `upstream.authorize_params` says otherwise, people sign out with Cognito's `logout_uri`, and what Cognito does not have is refused at the start. `CUP_ID` in the environment sets it.")
        .text("none"),
    Key::new("upstream.issuer", Kind::Text, "The issuer of the user pool, character for character as its discovery document has it. With `upstream.preset = \"cognito\"` it is not needed."),
    Key::new("upstream.client_id", Kind::Text, "Our own client at the pool: it signs people in, and serves device clients without a pool client of their own.")
        .sample("APP_CLIENT_ID"),
    Key::new("upstream.client_secret", Kind::Secret, "Its secret; none for a public client.").sample("APP_CLIENT_SECRET"),
    Key::new("upstream.client_secret_file", Kind::Text, "A file with the secret instead."),
    Key::new("upstream.client_secret_manager", Kind::Text, "A secret of AWS Secrets Manager instead, by its name or ARN: JSON with a text `client_secret`. It needs `secretsmanager:GetSecretValue`. `device-grant rotate-pool-secret` rotates it at Cognito, and keeps what Cognito calls it as `client_secret_id`. It is read at the start, every five minutes, and at once when the pool refuses what we have: whoever rotates it needs no restart. Without an ARN it is in `store.region`."),
    Key::new("upstream.client_auth", Kind::OneOf(&["client_secret_basic", "client_secret_post"], &["private_key_jwt"]), "How pool clients with a secret prove themselves at the pool.")
        .text("client_secret_basic"),
    Key::new("upstream.authorize_params", Kind::Map, "Further parameters of every trip to the pool, such as `{ identity_provider = \"COGNITO\" }`."),
    Key::new("upstream.fresh_prompt", Kind::OneOf(&["login", "login_alone", "select_account"], &[]), "Which `prompt` asks the pool for a fresh sign-in, after \"Not you?\" and while user codes are being guessed. `login` goes beside what `client.policies.prompt` asks for; `login_alone` takes its place, for a pool that takes one value (Entra); `select_account` is for a pool that does not know `login` (Google).")
        .text("login"),
    Key::new("upstream.sign_out", Kind::Flag, "Whether \"Not you?\" ends the person's session at the pool too, where discovery names an endpoint for that. `false` for a pool that wants more there than a `client_id` (Okta: an `id_token_hint`). The next sign-in is asked for anew in any case.")
        .flag(true),
    Key::new("upstream.account_claim", Kind::Text, "The claim that names one person across two clients of the pool. `sub` unless the pool gives pairwise subjects (Entra: `oid`).")
        .text("sub"),
    Key::new("upstream.rotates_refresh_tokens", Kind::Flag, "Whether the pool gives a new refresh token at each refresh and notices when an old one comes again (Keycloak: Revoke Refresh Token; Cognito: refresh token rotation). Where it does not, nothing notices a public client's refresh token that somebody has copied, and the start says so, unless the client demands DPoP (RFC 9700 section 4.14.2).").flag(false),
    Key::new("upstream.leeway_s", Kind::Whole(0, 300), "How far other clocks may be from ours, in seconds, when the times in an ID token of the pool, or in a device's client assertion or DPoP proof, are checked. One number for all of them.")
        .whole(60),
    Key::new("upstream.timeout_s", Kind::Whole(1, 15), "The longest a call of the pool may take, in seconds.").whole(10),
    Key::new("cognito.user_pool_id", Kind::Text, "With `upstream.preset = \"cognito\"`: the id of the user pool, such as `eu-west-1_Ab12Cd34E`.")
        .sample("CUP_ID"),
    Key::new("cognito.region", Kind::Text, "Its AWS region; without it, what its id begins with.").sample("CUP_REGION"),
    Key::new("cognito.domain", Kind::Text, "Its domain: the prefix in front of `.auth.<region>.amazoncognito.com`, or the host of a custom domain. People sign in there, and tokens come from there. Without it, what the pool's discovery says.")
        .sample("CUP_DOMAIN"),
    Key::new("codes.user_code_format", Kind::Text, "The alphabet of user codes in the sample's letters: `#` digits, `a` and `A` letters, `b` and `B` letters without vowels and Y, `!` special characters.")
        .text("#B")
        .sample("USER_CODE_FORMAT"),
    Key::new("codes.user_code_length", Kind::Whole(1, 128), "Significant characters of a user code.")
        .whole(8)
        .sample("USER_CODE_LENGTH"),
    Key::new("codes.user_code_grouped", Kind::Flag, "Show user codes in groups of four, as `WDJB-MJHT`. What people type may have dashes or not.")
        .flag(true),
    Key::new("codes.device_code_format", Kind::Text, "The alphabet of device codes; of the special characters only those that a URL takes as they are.")
        .text("#aA")
        .sample("DEVICE_CODE_FORMAT"),
    Key::new("codes.device_code_length", Kind::Whole(1, 128), "Characters of a device code. It must hold 128 random bits at least.")
        .whole(64)
        .sample("DEVICE_CODE_LENGTH"),
    Key::new("codes.lifetime_s", Kind::Whole(10, 86_400), "The life of both codes, in seconds.")
        .whole(1800)
        .sample("CODE_EXPIRATION"),
    Key::new("codes.interval_s", Kind::Whole(1, 60), "Seconds between two polls of a device.").whole(5).sample("POLLING_INTERVAL"),
    Key::new("codes.min_trip_s", Kind::Whole(0, 600), "Authorize is refused when less than this is left of the codes' life, in seconds.")
        .whole(30),
    Key::new("codes.expected_live_requests", Kind::Whole(1, 100_000_000), "How many codes are alive at once at the busiest time. The strength of user codes is measured against it at the start; while more are alive, or more guesses miss, new codes are longer by a group or two.")
        .whole(10_000),
    Key::new("codes.allow_weak_codes", Kind::Flag, "Start although user codes can be guessed too easily, and do not lengthen them by themselves. For tests on this machine.").flag(false),
    Key::new("codes.token_set", Kind::Text, "Which kinds of token devices get: any of `ID`, `ACCESS`, `REFRESH`, joined by `+`, `ACCESS` always among them. ID tokens are to be checked against the pool's issuer, not ours.")
        .text("ACCESS+REFRESH")
        .sample("RESULT_TOKEN_SET"),
    Key::new("polls.poll_reads", Kind::OneOf(&["eventual", "consistent"], &[]), "How a poll reads. Terminal answers rest on consistent reads in any case; `consistent` doubles the price of a poll and shows an approval a moment sooner.")
        .text("eventual"),
    Key::new("polls.poll_pace", Kind::OneOf(&["memory", "shared"], &[]), "Where it is kept when a request was last polled. `memory`: in each replica, so that a poll that changes nothing writes nothing; N replicas tolerate N times the pace. `shared`: in the store, so that all replicas see one pace; each poll costs one write. On AWS Lambda, whose functions may forget everything between two polls, `shared` holds unless something is written here.")
        .text("memory"),
    Key::new("polls.on_store_failure", Kind::OneOf(&["slow_down", "503"], &[]), "What a poll hears while the store is away. Strict clients give up at a 503.")
        .text("slow_down"),
    Key::new("web.service_name", Kind::Text, "What people read at the top of each page.").text("Device login"),
    Key::new("web.sign_in", Kind::OneOf(&["first", "on-approval", "alb"], &[]), "When people sign in. `first`: at the pool, before they enter a code. `on-approval`: only after they have authorized, with one trip to the pool; whoever has a code then sees what it is for without an account, nobody's account is shown before, and fewer guesses are free. `alb`: an AWS load balancer signs people in (`authenticate-cognito` or `authenticate-oidc` on `/device` and `/device/sign-out`, and on nothing else: `/device*` would also stand in the way of devices, of the pool and of the page that tells the outcome) and says who they are; see `[alb]`.").text("first"),
    Key::new("web.session_idle_s", Kind::Whole(60, 3600), "A browser's session ends when nothing comes from it for this long, in seconds. What was typed is kept, and where the pool's own session lasts, signing in again is silent.")
        .whole(900),
    Key::new("web.session_s", Kind::Whole(60, 3600), "A browser's session ends after this, whatever happens, in seconds.").whole(3600),
    Key::new("web.sample_way", Kind::Flag, "Take requests as the AWS sample does: `POST /token` without `grant_type` starts, and parameters may stand in the query.")
        .flag(true),
    Key::new("alb.signer", Kind::Text, "For `web.sign_in = \"alb\"`: the ARN of the load balancer, `arn:aws:elasticloadbalancing:…:loadbalancer/app/…`. What any other balancer signed is refused. Its addresses must be among `network.trusted_proxies`."),
    Key::new("alb.client_id", Kind::Text, "The client at the pool that the balancer signs people in with, as its headers name it."),
    Key::new("alb.issuer", Kind::Text, "The issuer that the balancer's headers name; without it, `upstream.issuer`."),
    Key::new("alb.key_url", Kind::Text, "Where the balancer's public keys are, each below this at its id; without it, `https://public-keys.auth.elb.<region>.amazonaws.com`. AWS GovCloud and China have other places."),
    Key::new("network.trusted_proxies", Kind::Texts, "The proxies where TLS ends: networks such as `10.0.0.0/8`, or addresses. Only from them `X-Forwarded-For` is believed, and with an `https` `public_url` only they may bring requests, each with `X-Forwarded-Proto`. The default is a proxy on this machine.").texts(&["127.0.0.0/8", "::1/128"]),
    Key::new("network.header_timeout_s", Kind::Whole(1, 3600), "A connection ends when no whole request head comes for this long, in seconds; this is its idle time too. Behind a load balancer it must exceed the balancer's (60 s on ALB).")
        .whole(75),
    Key::new("network.body_timeout_s", Kind::Whole(1, 3600), "How long the body of a request may take to arrive, in seconds; then it is answered 408.").whole(20),
    Key::new("network.max_connections", Kind::Whole(1, 1_000_000), "The most connections at once. Further ones wait.").whole(10_000),
    Key::new("network.drain_delay_s", Kind::Whole(0, 300), "How long to go on accepting after SIGTERM while `/readyz` already answers 503, in seconds, so that balancers notice.")
        .whole(2),
    Key::new("network.drain_timeout_s", Kind::Whole(1, 3600), "How long open requests may take to finish after that, in seconds.").whole(25),
    Key::new("keyring.file", Kind::Text, "The file with the keys; `device-grant init --keyring FILE` makes one. Replicas need the same keys. The embedded store makes its own beside its file, named `<store.path>.keys`."),
    Key::new("keyring.keys", Kind::Secret, "The content of such a file instead, for an environment variable that a secret manager fills."),
    Key::new("keyring.kms", Kind::Text, "Instead, the keys stand in the store, each wrapped by this key of AWS KMS: its id, ARN or alias. The first server makes them; `device-grant key` adds, activates and retires them there. It needs `kms:GenerateDataKeyWithoutPlaintext` and `kms:Decrypt`, with the encryption context `device-grant:table`. Without an ARN the key is in `store.region`."),
    Key::new("keyring.secret_manager", Kind::Text, "Instead, the content of such a file is the value of this secret of AWS Secrets Manager: its name or ARN. It needs `secretsmanager:GetSecretValue`, and is read again every five minutes. Without an ARN the secret is in `store.region`."),
    Key::new("keyring.refresh_token_rest_days", Kind::Whole(1, 3650), "How long a device may rest before its refresh token is used again, in days. A durable key is not retired before it has opened nothing for as long.").whole(180),
    Key::new("clients.in_store", Kind::Flag, "Whether device clients are kept in the store too, where `device-grant client` registers them. Every server knows of a change within ten seconds. A `[[client]]` of the same id counts more.").flag(false),
    Key::new("clients.from_pool", Kind::Flag, "With `upstream.preset = \"cognito\"`: app clients of the pool are device clients, as in the AWS sample, with nothing to register here. A device shows the id and the secret of its app client (Basic), or the id alone where that has no secret. The app client needs the code grant, `<public_url>/callback` among its callback URLs and `openid` among its scopes, which are the most that its devices may ask for. Each is looked up when it is first named (`cognito-idp:DescribeUserPoolClient`), kept for five minutes, and looked up anew when its secret is refused. A `[[client]]` of the same id counts more.").flag(false),
    Key::new("limits.starts_per_minute_per_network", Kind::Whole(1, 1_000_000), "Requests that one network (an IPv4 address, an IPv6 /64) may start in a minute, on each replica; more hear 429. The default has room for a carrier that puts a town's televisions behind one address: ten a second.")
        .whole(600),
    Key::new("limits.starts_per_minute_per_client_and_network", Kind::Whole(1, 1_000_000), "The same for one client in one network.").whole(300),
    Key::new("limits.starts_per_minute_of_a_client_alarm", Kind::Whole(1, 100_000_000), "Requests that one client starts in a minute, on one replica, before the log says so. Nobody is refused: a whole fleet shares one `client_id`. A ceiling is `client.starts_per_minute`.").whole(6000),
    Key::new("limits.guesses_per_code_life", Kind::Whole(1, 10_000), "User codes that one account, and one browser session, may try in vain in `codes.lifetime_s`.").whole(20),
    Key::new("limits.guesses_per_code_life_per_network", Kind::Whole(1, 10_000), "User codes that all people in one network may try in vain in `codes.lifetime_s`. A full network refuses only accounts that have missed before: a guesser locks nobody else out.").whole(60),
    Key::new("limits.wrong_secrets_per_minute", Kind::Whole(1, 10_000), "Wrong secrets that one network may show for one client in a minute, on each replica. Beyond it that client is refused there for the rest of the minute, right secret or not, with 429 (polls: `slow_down`) and `Retry-After`; elsewhere it goes on.").whole(100),
    Key::new("limits.vain_pool_calls_per_minute", Kind::Whole(1, 1_000_000), "How often one network may make us ask the pool in vain in a minute, on each replica: by sign-ins that bring nothing, by approvals that bring nothing, and for each client by refreshes that bring nothing and by revocations, to which a pool says yes whatever they are of. Beyond it the pool is not asked; sign-ins, refreshes and revocations hear 429 with `Retry-After`, an approval \"try again\". A user pool limits the calls of its clients: no stranger shall use ours up.").whole(300),
    Key::new("limits.unknown_codes_per_minute", Kind::Whole(1, 1_000_000), "Polls for device codes that there are not that one network may send for one client in a minute, on each replica. Beyond it all polls of that client there hear `slow_down` for the rest of the minute, and cost no read; no login is lost by that.").whole(3000),
    Key::new("limits.requests_at_once", Kind::Whole(1, 1_000_000), "How many requests are answered at once, on each replica, in each of three lanes: devices that start or poll; people; and all that wait for the user pool (refreshes, revocations, people who come back from there). What comes beyond that is refused at once, with `Retry-After`: polls hear `slow_down`, other devices 503, people a page. So a crowd makes nobody wait long, and a pool that hangs slows no poll.")
        .whole(1000),
    Key::new("limits.assertion_life_s", Kind::Whole(10, 86_400), "The furthest ahead that the `exp` of a client assertion may lie, in seconds; `upstream.leeway_s` comes on top.").whole(600),
    Key::new("limits.anonymous_guesses_per_code_life", Kind::Whole(1, 10_000), "With `web.sign_in = \"on-approval\"`, where a guesser needs no account: user codes that one browser session may try in `codes.lifetime_s`. It slows down honest fingers only, since sessions cost nothing.")
        .whole(10),
    Key::new("limits.anonymous_guesses_per_code_life_per_network", Kind::Whole(1, 10_000), "With `web.sign_in = \"on-approval\"`: user codes that may be tried from one IPv4 address or one IPv6 /48 in `codes.lifetime_s`. This is what holds one guesser back: with the default codes 30 tries in each of two windows hit a given code with less than 2^-33.")
        .whole(30),
    Key::new("dpop.nonce", Kind::Flag, "Demand a nonce of ours in DPoP proofs. It costs a device one more request at the start and tells it the time: with it the clock of the device does not matter, and proofs cannot be made in advance.").flag(false),
    Key::new("dpop.proof_life_s", Kind::Whole(5, 300), "How old a DPoP proof may be, in seconds, where no nonce is demanded; `upstream.leeway_s` comes on top.").whole(60),
    Key::new("metrics.listen", Kind::Text, "Where `GET /metrics` answers, such as `127.0.0.1:9090`; nowhere without it. It is a listener of its own, for the operators' network: nothing secret is there, but nobody else needs to know. See [metrics.md](metrics.md)."),
    Key::new("log.format", Kind::OneOf(&["json", "human"], &[]), "How log lines look, on standard error.").text("json"),
    Key::new("log.level", Kind::OneOf(&["error", "warn", "info", "debug", "trace"], &[]), "What is logged. No level logs a code, a token or a secret.").text("info"),
    Key::new("client.id", Kind::Text, "The `client_id` of the device client."),
    Key::new("client.name", Kind::Text, "What people see when they are asked to approve; without it, the id."),
    Key::new("client.auth_method", Kind::OneOf(&["client_secret_basic", "client_secret_post", "private_key_jwt", "none"], &[]), "How the client proves itself. `none` makes it a public client; `private_key_jwt` wants its public keys; with a secret and without this both ways of showing it are good."),
    Key::new("client.secret", Kind::Secret, "Its secret."),
    Key::new("client.secret_file", Kind::Text, "A file with the secret instead."),
    Key::new("client.secret_hash", Kind::Secret, "The SHA-256 of the secret instead, as `sha256:` and 64 hexadecimal digits."),
    Key::new("client.next_secret", Kind::Secret, "A second secret that is good as well, while devices change over to it. Afterwards it takes the place of the first. (At the pool the first is used.)"),
    Key::new("client.next_secret_file", Kind::Text, "A file with that secret instead."),
    Key::new("client.next_secret_hash", Kind::Secret, "The SHA-256 of that secret instead."),
    Key::new("client.jwks_file", Kind::Text, "For `private_key_jwt`: a file with the client's public keys, a JWK set. Old and new keys may stand there side by side. RSA keys have 2048 bits at least."),
    Key::new("client.jwks_uri", Kind::Text, "For `private_key_jwt`: where the client publishes that set; https. It is fetched when it is needed, kept for a quarter of an hour, and looked at again for an unknown `kid`, every ten seconds at most; a new key should be published that much before it signs."),
    Key::new("client.assertion_algorithms", Kind::Texts, "For `private_key_jwt`: what it may sign with. Never `none` nor an HMAC.")
        .texts(&["ES256", "ES384", "EdDSA", "PS256", "RS256"]),
    Key::new("client.assertion_audience", Kind::OneOf(&["issuer", "endpoint"], &[]), "For `private_key_jwt`: the `aud` of its assertions. `issuer`: `public_url` without a slash at its end, and nothing else. `endpoint`: also the URL of the endpoint, for clients that know no better.")
        .text("issuer"),
    Key::new("client.dpop", Kind::OneOf(&["off", "optional", "required"], &[]), "Whether the client proves that it holds a key (RFC 9449). `optional`: a device that begins with a proof must go on with that key; `required`: there is no other way. A public client's refresh tokens are bound to the key; access tokens stay the pool's own, and bearer tokens.")
        .text("off"),
    Key::new("client.upstream_client_id", Kind::Text, "Its own client at the pool. `same`: its own id and secret, as in the AWS sample. Without it the service's pool client is shared, and refresh tokens are handed out sealed."),
    Key::new("client.upstream_client_secret", Kind::Secret, "The secret of that pool client; none for a public one."),
    Key::new("client.upstream_client_secret_file", Kind::Text, "A file with that secret instead."),
    Key::new("client.upstream_client_secret_manager", Kind::Text, "As `upstream.client_secret_manager`, for that pool client."),
    Key::new("client.scopes", Kind::Texts, "The most it may ask for.").texts(&["openid"]),
    Key::new("client.default_scope", Kind::Texts, "What it gets when it asks for nothing; without it, `openid` if it may ask for that, else everything it may ask for."),
    Key::new("client.extra_scopes", Kind::Texts, "What the pool is asked for in addition, such as `offline_access`.").texts(&[]),
    Key::new("client.token_set", Kind::Text, "As `codes.token_set`, for this client."),
    Key::new("client.lifetime_s", Kind::Whole(10, 86_400), "As `codes.lifetime_s`, for this client."),
    Key::new("client.starts_per_minute", Kind::Whole(1, 100_000_000), "The most requests it may start in a minute, on each replica; more hear 429. Without it only its networks are limited."),
    Key::new("client.redelivery_s", Kind::Whole(0, 300), "For how long a device can fetch its tokens again when the answer that brought them was lost on its way, in seconds; 0: not at all, and it starts again. Every poll of the same `device_code` by the same client then gets the same tokens. For clients that prove themselves: by a secret, a key, or `dpop = \"required\"`.").whole(0),
    Key::new("client.grant_types", Kind::Texts, "The grants it may use.")
        .texts(&["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"]),
    Key::new("client.policies.proximity", Kind::OneOf(&["off", "warn", "require_more", "refuse"], &[]), "What follows when the device's network is not the browser's. `warn`: the page says so. `require_more`: the person types characters from the device's screen and says that it is theirs, also where nearness cannot be told (IPv4 here, IPv6 there). `refuse`: nothing can be authorized; only Deny is left. A television on cable and a telephone on mobile data are an honest pair, so nothing follows by default.")
        .text("off"),
    Key::new("client.policies.typed_after_link", Kind::Whole(0, 4), "When a link (a QR code) brought the code: how many of its last characters the pages keep back, to be typed from the device's screen. Whoever was sent a link by a stranger has no such screen. It costs each honest person a look and some typing, so it is for devices worth the trouble; 2 is plenty.")
        .whole(0),
    Key::new("client.policies.own_device_check", Kind::Flag, "Authorize counts only with a tick at \"I started this, and the device is in front of me\". The page says the same without it, and a tick that is always asked for is soon made unread: so it is off by default.")
        .flag(false),
    Key::new("client.policies.prompt", Kind::OneOf(&["login", "consent", "select_account"], &[]), "`prompt` of the trip to the pool (OpenID Connect Core section 3.1.2.1). With `login` the ID token's `auth_time` must lie on this very trip, or nothing is handed over."),
    Key::new("client.policies.max_age_s", Kind::Whole(0, 2_592_000), "`max_age` of the trip to the pool: how old the person's sign-in may be, in seconds. The ID token's `auth_time` must say so, within `upstream.leeway_s`."),
    Key::new("client.policies.acr_values", Kind::Texts, "`acr_values` of the trip to the pool, the kinds of sign-in that will do. The ID token's `acr` must be one of them. A pool that sends no `acr` (Cognito) can never satisfy this.")
        .texts(&[]),
    Key::new("client.policies.start_networks", Kind::Texts, "The networks that the client may start from, such as `10.0.0.0/8`, or addresses; from anywhere when empty. Elsewhere it hears `unauthorized_client`.")
        .texts(&[]),
];
