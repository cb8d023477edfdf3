//! What callers try in order to reach where they may not.

use std::net::IpAddr;

use super::*;

fn open() -> EgressPolicy {
    EgressPolicy::new(EgressConfig {
        ports: Vec::new(),
        schemes: vec!["https".into(), "http".into()],
        ..Default::default()
    })
}

#[test]
fn hostile_urls_are_refused() {
    let policy = open();
    let hostile = [
        "",
        "example.com",
        "//example.com",
        "file:///etc/passwd",
        "gopher://example.com/",
        "ftp://example.com/",
        "data:text/plain,x",
        "unix:///run/docker.sock",
        "https://",
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "https://:secret@example.com/",
        "https://example.com@127.0.0.1/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://127.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://017700000001/",
        "https://0177.0.0.1/",
        "https://127.0.0.1./",
        "https://①②⑦.0.0.1/",
        "https://0.0.0.0/",
        "https://0/",
        "https://localhost/",
        "https://LOCALHOST/",
        "https://localhost./",
        "https://a.localhost/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://172.31.255.255/",
        "https://192.168.1.1/",
        "https://100.64.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://0xa9fea9fe/",
        "https://2852039166/",
        "https://168.63.129.16/",
        "https://100.100.100.200/",
        "https://192.0.0.192/",
        "https://198.18.0.1/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://240.0.0.1/",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[::127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[64:ff9b::169.254.169.254]/",
        "https://[64:ff9b:1::1]/",
        "https://[2002:7f00:1::]/",
        "https://[2002:a9fe:a9fe::]/",
        "https://[fe80::1]/",
        "https://[fc00::1]/",
        "https://[fd00:ec2::254]/",
        "https://[fec0::1]/",
        "https://[ff02::1]/",
        "https://[2001:db8::1]/",
        "https://[::ffff:0:127.0.0.1]/",
    ];
    assert!(hostile.len() >= 60);
    for url in hostile {
        assert!(policy.vet(url).is_err(), "{url} was let through");
    }
}

#[test]
fn ordinary_urls_pass() {
    let policy = open();
    for url in [
        "https://example.com/hook?x=1",
        "http://example.com:8080/",
        "https://93.184.215.14/",
        "https://[2606:2800:21f::1]/",
    ] {
        policy.vet(url).unwrap();
    }
}

#[test]
fn no_setting_opens_metadata_or_link_local() {
    let policy =
        EgressPolicy::new(EgressConfig { allow_loopback: true, allow_private: true, ..Default::default() });
    policy.vet("https://10.1.2.3/").unwrap();
    policy.vet("https://[fd12::1]/").unwrap();
    policy.vet("https://[::ffff:192.168.0.1]/").unwrap();
    policy.vet("https://localhost/").unwrap();
    for url in [
        "https://169.254.169.254/",
        "https://[fe80::1]/",
        "https://[fd00:ec2::254]/",
        "https://100.100.100.200/",
    ] {
        assert!(matches!(policy.vet(url), Err(EgressError::Address(_))), "{url}");
    }
}

#[test]
fn schemes_hosts_and_ports_are_lists() {
    let policy = EgressPolicy::new(EgressConfig {
        hosts: vec!["sqs.*.amazonaws.com".into(), "*.shop.example".into(), "one.example".into()],
        ..Default::default()
    });
    for url in ["https://sqs.sa-east-1.amazonaws.com/", "https://a.b.shop.example/", "https://ONE.example./"]
    {
        policy.vet(url).unwrap();
    }
    let refused = [
        (
            "https://ec2-1-2-3-4.compute.amazonaws.com/",
            EgressError::Host("ec2-1-2-3-4.compute.amazonaws.com".into()),
        ),
        ("https://sqs.a.b.amazonaws.com/", EgressError::Host("sqs.a.b.amazonaws.com".into())),
        ("https://shop.example/", EgressError::Host("shop.example".into())),
        ("https://evilshop.example/", EgressError::Host("evilshop.example".into())),
        ("https://one.example.evil.example/", EgressError::Host("one.example.evil.example".into())),
        ("https://one.example:8443/", EgressError::Port(8443)),
        ("http://one.example/", EgressError::Scheme("http".into())),
    ];
    for (url, error) in refused {
        assert_eq!(policy.vet(url).unwrap_err(), error, "{url}");
    }
}

#[test]
fn a_name_resolves_only_to_what_may_be_reached() {
    let policy = open();
    let socket = |text: &str| SocketAddr::new(text.parse::<IpAddr>().unwrap(), 0);
    let kept = policy.sift(vec![socket("127.0.0.1"), socket("93.184.215.14")]).unwrap();
    assert_eq!(kept, [socket("93.184.215.14")]);
    let error = policy.sift(vec![socket("10.0.0.1"), socket("::1")]).unwrap_err();
    assert_eq!(error, EgressError::Address("10.0.0.1".parse().unwrap()));
}

proptest::proptest! {
    /// However an IPv4 address is wrapped, it is as far away as it is.
    #[test]
    fn a_wrapped_address_is_judged_by_what_it_wraps(number: u32) {
        let plain = std::net::Ipv4Addr::from(number);
        let [a, b, c, d] = plain.octets().map(u16::from);
        let nat64 = std::net::Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a << 8 | b, c << 8 | d);
        for wrapped in [plain.to_ipv6_mapped(), nat64] {
            proptest::prop_assert_eq!(Reach::of(wrapped.into()), Reach::of(plain.into()));
        }
    }
}
