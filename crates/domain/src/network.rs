//! Networks: where devices and browsers come from, as far as that counts.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// An IPv4 /24 and an IPv6 /48 are what people and logs are shown.
const SHOWN_IPV6: u8 = 48;

/// A sender's network: an IPv4 address, or an IPv6 /64. It is written and stored as that; the whole address is known only
/// while its request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Network(IpAddr);

/// How near two senders are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nearness {
    /// They share a network.
    Same,
    /// They do not.
    Different,
    /// Nobody can tell. A television on IPv4 and a telephone on IPv6 may well stand in one room.
    Unknown,
}

impl Network {
    /// The network of the sender `address`.
    pub fn of(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// Whether the sender's address lies in one of `networks`.
    pub fn is_within(self, networks: &[IpNet]) -> bool {
        networks.iter().any(|network| network.contains(&self.0))
    }

    /// Whether both are one network, as far as their addresses say.
    pub fn nearness(self, other: Self) -> Nearness {
        let nowhere = self.0.is_unspecified() || other.0.is_unspecified();
        match (self.0, other.0) {
            _ if nowhere => Nearness::Unknown,
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Nearness::Unknown,
            _ if self.to_string() == other.to_string() => Nearness::Same,
            // Inside, every machine has an address of its own, and how far their network reaches nobody says.
            (one, another) if is_inside(one) && is_inside(another) => Nearness::Unknown,
            _ => Nearness::Different,
        }
    }

    /// As people and logs see it: enough to recognise one's own, too little to find anybody.
    pub fn coarse(self) -> String {
        match self.0 {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                format!("{a}.{b}.{c}.x")
            }
            IpAddr::V6(address) => ipv6(address, SHOWN_IPV6),
        }
    }

    /// What counts as one guesser who has no account: an IPv4 address, or an IPv6 /48, since whoever has a network of
    /// their own has 65,536 of /64.
    pub(crate) fn wide(self) -> String {
        match self.0 {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => ipv6(address, 48),
        }
    }
}

/// Nowhere: nobody is told where that is.
impl Default for Network {
    fn default() -> Self {
        Self(IpAddr::V6(Ipv6Addr::UNSPECIFIED))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(address) => f.write_str(&ipv6(address, 64)),
        }
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

/// What cannot be read is nowhere.
impl From<String> for Network {
    fn from(stored: String) -> Self {
        let address = stored.strip_suffix("/64").unwrap_or(&stored).parse();
        address.map_or_else(|_| Self::default(), Self::of)
    }
}

fn ipv6(address: Ipv6Addr, bits: u8) -> String {
    let kept = u128::MAX << (128 - u32::from(bits));
    format!("{}/{bits}", Ipv6Addr::from_bits(address.to_bits() & kept))
}

/// Whether the address is one that no network outside knows.
fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_unique_local() || address.is_loopback() || address.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::of(text.parse().unwrap())
    }

    /// SEC-14: what can be told of two addresses, and what cannot.
    #[test]
    fn nearness_is_told_only_where_it_is_known() {
        use Nearness::{Different, Same, Unknown};
        for (device, browser, expected) in [
            ("192.0.2.1", "192.0.2.1", Same),
            ("192.0.2.1", "::ffff:192.0.2.1", Same),
            ("2001:db8::1", "2001:db8::ffff:2", Same),
            ("127.0.0.1", "127.0.0.1", Same),
            ("192.0.2.1", "192.0.2.2", Different),
            ("192.0.2.1", "198.51.100.1", Different),
            ("2001:db8::1", "2001:db8:0:1::1", Different),
            ("10.0.0.1", "192.0.2.1", Different),
            ("192.0.2.1", "2001:db8::1", Unknown),
            ("2001:db8::1", "192.0.2.1", Unknown),
            ("::", "2001:db8::1", Unknown),
            ("192.0.2.1", "0.0.0.0", Unknown),
            ("10.0.0.1", "10.0.0.2", Unknown),
            ("192.168.1.5", "172.16.0.9", Unknown),
            ("fd00::1", "fd00:1::1", Unknown),
        ] {
            assert_eq!(network(device).nearness(network(browser)), expected, "{device} and {browser}");
            assert_eq!(network(browser).nearness(network(device)), expected, "{browser} and {device}");
        }
    }

    #[test]
    fn a_network_is_stored_without_its_host() {
        for (address, stored, coarse) in [
            ("192.0.2.77", "192.0.2.77", "192.0.2.x"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ] {
            let network = network(address);
            assert_eq!((network.to_string().as_str(), network.coarse().as_str()), (stored, coarse));
            assert_eq!(Network::from(String::from(network)).nearness(network), Nearness::Same);
        }
        assert_eq!(Network::from("no address".to_owned()), Network::default());
    }

    /// SEC-15: a /128 is narrower than what is stored, and still means what it says.
    #[test]
    fn allowed_networks_are_compared_with_the_whole_address() {
        let allowed = ["10.0.0.0/8".parse().unwrap(), "2001:db8::7/128".parse().unwrap()];
        assert!(network("10.9.9.9").is_within(&allowed) && network("2001:db8::7").is_within(&allowed));
        assert!(!network("11.0.0.1").is_within(&allowed) && !network("2001:db8::8").is_within(&allowed));
    }
}
