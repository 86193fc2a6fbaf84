//! Discovery documents: no accepted one leads anywhere unsafe.
#![no_main]

use device_grant_fuzz::ISSUER;
use device_grant_upstream::OidcPoolConfig;
use device_grant_upstream::fuzzing::discovery;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for url in discovery(data, &OidcPoolConfig::new(ISSUER)).unwrap_or_default() {
        assert_eq!(url.scheme(), "https");
        assert!(url.has_host() && url.fragment().is_none());
        assert!(url.username().is_empty() && url.password().is_none());
    }
    let loopback = OidcPoolConfig { allow_http: true, ..OidcPoolConfig::new("http://127.0.0.1/realm") };
    for url in discovery(data, &loopback).unwrap_or_default() {
        assert!(url.scheme() == "http" && matches!(url.host_str(), Some(host) if is_loopback(host)), "{url}");
    }
});

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
}
