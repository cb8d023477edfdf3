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
    let table = include_str!("../../../tests/fixtures/hostile_urls.txt");
    let hostile: Vec<_> = table.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(hostile.len() >= 60);
    for url in hostile.into_iter().chain([""]) {
        for url in [url.replace("{port}", "8080"), url.replace("{port}", "443").replace("http:", "https:")] {
            assert!(policy.vet(&url).is_err(), "{url} was let through");
        }
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

/// Whoever is asked for the addresses of a name says these, one answer after the other; the last one stays.
fn saying(answers: &[&[&str]]) -> LookUp {
    let answers: Vec<Vec<SocketAddr>> = answers
        .iter()
        .map(|answer| answer.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect())
        .collect();
    let asked = std::sync::atomic::AtomicUsize::new(0);
    Arc::new(move |_| {
        let place = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst).min(answers.len() - 1);
        let answer = answers[place].clone();
        Box::pin(async move { Ok(answer) })
    })
}

async fn resolved(resolver: &VettingResolver) -> Result<Vec<IpAddr>, String> {
    let name: Name = "hook.example".parse().unwrap();
    let found = resolver.resolve(name).await.map_err(|error| error.to_string())?;
    Ok(found.map(|socket| socket.ip()).collect())
}

#[tokio::test]
async fn every_answer_of_a_name_is_vetted_and_only_what_is_public_is_kept() {
    let mixed = ["127.0.0.1", "93.184.215.14", "::1", "169.254.169.254", "10.0.0.1", "2606:2800:21f::1"];
    let resolver = VettingResolver::with(open(), saying(&[&mixed, &["127.0.0.1"], &["93.184.215.14"]]));
    let public: Vec<IpAddr> = ["93.184.215.14", "2606:2800:21f::1"].map(|text| text.parse().unwrap()).into();
    assert_eq!(resolved(&resolver).await, Ok(public));
    assert_eq!(resolved(&resolver).await, Err("address 127.0.0.1 may not be reached".to_owned()));
    assert_eq!(resolved(&resolver).await.unwrap().len(), 1);
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
