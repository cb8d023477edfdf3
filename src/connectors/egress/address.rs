//! What kind of place an IP address is.
//!
//! **Owns** nothing. **Limits**: addresses that carry an IPv4 address inside (mapped, compatible, NAT64, 6to4) are
//! judged by that one, because that is where the packets go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far away an address is, as egress rules see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The internet.
    Public,
    /// This machine.
    Loopback,
    /// A network of somebody's own.
    Private,
    /// Nothing that a caller may ever name: metadata services, link-local, multicast, reserved.
    Never,
}

/// The host agent of Azure: a public number that answers with the machine's own secrets.
const AZURE_HOST_AGENT: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
/// The metadata service of Alibaba Cloud, inside the carrier-grade NAT range.
const ALIBABA_METADATA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
/// The metadata service of AWS over IPv6, inside the unique-local range.
const AWS_METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

impl Reach {
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => Self::of_v6(v6),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        if address == AZURE_HOST_AGENT || address == ALIBABA_METADATA {
            return Self::Never;
        }
        if address.is_loopback() {
            return Self::Loopback;
        }
        match address.octets() {
            [10, ..] | [192, 168, ..] => Self::Private,
            [172, second, ..] if (16..32).contains(&second) => Self::Private,
            // Shared address space of carriers, RFC 6598.
            [100, second, ..] if (64..128).contains(&second) => Self::Private,
            // "This" network, link-local (with the metadata services), protocol assignments, documentation,
            // benchmarks, multicast, reserved and broadcast.
            [0, ..] | [169, 254, ..] | [192, 0, 0, _] | [192, 0, 2, _] => Self::Never,
            [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => Self::Never,
            [224..=255, ..] => Self::Never,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        if address == AWS_METADATA_V6 || address.is_unspecified() {
            return Self::Never;
        }
        if address.is_loopback() {
            return Self::Loopback;
        }
        match address.segments() {
            // Mapped, translated and compatible forms, and NAT64 with its well-known prefix.
            [0, 0, 0, 0, 0, 0xffff | 0, high, low]
            | [0, 0, 0, 0, 0xffff, 0, high, low]
            | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
            // 6to4 carries its IPv4 address right behind the prefix.
            | [0x2002, high, low, _, _, _, _, _] => Self::of_v4(embedded(high, low)),
            // NAT64 of a network's own, Teredo, documentation, discard.
            [0x64, 0xff9b, 1, ..] | [0x2001, 0, ..] | [0x2001, 0xdb8, ..] | [0x100, 0, 0, 0, ..] => Self::Never,
            [first, ..] if first & 0xfe00 == 0xfc00 => Self::Private,
            // Global unicast is 2000::/3; everything else is link-local, site-local, multicast or unassigned.
            [first, ..] if first & 0xe000 == 0x2000 => Self::Public,
            _ => Self::Never,
        }
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}
