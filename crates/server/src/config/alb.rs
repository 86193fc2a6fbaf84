//! The load balancer that signs people in, from `[alb]`.

use device_grant_upstream::AlbConfig;
use url::Url;

use super::document::Settings;
use super::problem::Problems;
use super::service::seconds;

const SIGNER: &str = "alb.signer";
const CLIENT_ID: &str = "alb.client_id";
const KEY_URL: &str = "alb.key_url";
const PROXIES: &str = "network.trusted_proxies";
const EXPECTED: &str =
    "the ARN of the load balancer, arn:aws:elasticloadbalancing:<region>:<account>:loadbalancer/app/…";

/// Nothing, unless `web.sign_in` is `alb`.
pub(super) fn alb(service: &Settings, problems: &mut Problems) -> Option<AlbConfig> {
    if service.text("web.sign_in") != Some("alb") {
        return None;
    }
    // The default is a proxy on this machine, which no load balancer of AWS is.
    let named = service.written(PROXIES).and_then(|_| service.texts(PROXIES));
    if named.is_none_or(|proxies| proxies.is_empty()) {
        let expected = "the networks of the load balancer, since its headers are believed from there only";
        problems.add(service.wrong(PROXIES, expected));
    }
    if service.text(CLIENT_ID).is_none() {
        service.miss(
            CLIENT_ID,
            "the client at the pool that the load balancer signs people in with",
            problems,
        );
    }
    let Some(signer) = service.text(SIGNER) else {
        service.miss(SIGNER, EXPECTED, problems);
        return None;
    };
    let Some((partition, region)) = partition_and_region(signer) else {
        problems.add(service.wrong(SIGNER, EXPECTED));
        return None;
    };
    Some(AlbConfig {
        signer: signer.to_owned(),
        client_id: service.text(CLIENT_ID)?.to_owned(),
        issuer: service.text("alb.issuer").or_else(|| service.text("upstream.issuer"))?.to_owned(),
        key_url: key_url(service, partition, region, problems)?,
        account_claim: service.text("upstream.account_claim")?.to_owned(),
        leeway: seconds(service, "upstream.leeway_s"),
    })
}

/// `arn:<partition>:elasticloadbalancing:<region>:<account>:loadbalancer/app/…`
fn partition_and_region(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.splitn(6, ':');
    let ("arn", partition, "elasticloadbalancing", region) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?)
    else {
        return None;
    };
    let _account = parts.next()?;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let names_a_region = !region.is_empty() && region.chars().all(is_name);
    (names_a_region && parts.next()?.starts_with("loadbalancer/app/")).then_some((partition, region))
}

fn key_url(service: &Settings, partition: &str, region: &str, problems: &mut Problems) -> Option<Url> {
    let Some(text) = service.text(KEY_URL) else {
        if partition != "aws" {
            service.miss(
                KEY_URL,
                "where the load balancer's public keys are in this partition of AWS",
                problems,
            );
            return None;
        }
        return Url::parse(&format!("https://public-keys.auth.elb.{region}.amazonaws.com/")).ok();
    };
    let is_good = |url: &Url| url.has_host() && url.query().is_none() && url.fragment().is_none();
    let url = Url::parse(text).ok().filter(is_good);
    let url = url.filter(|url| {
        url.scheme() == "https" || (url.scheme() == "http" && super::service::is_loopback(url))
    });
    if url.is_none() {
        problems.add(service.wrong(KEY_URL, "an https URL"));
    }
    url
}
