//! A queue as its address names it, after every rule has been asked.
//!
//! **Owns** nothing. **Fails** with the rule that was broken, in words for whoever gave the address.

use reqwest::Url;

use crate::connectors::egress::EgressPolicy;
use crate::domain::ids::TenantId;

use super::config::{FifoGroup, QueueRules, SqsConfig};

/// A queue that may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Queue {
    /// The address exactly as given: SQS takes it for the queue's name.
    pub(super) url: String,
    /// Where calls go.
    pub(super) endpoint: Url,
    pub(super) region: String,
    /// FIFO queues want a group and a deduplication id; nothing for others.
    pub(super) fifo: Option<FifoGroup>,
}

impl Queue {
    /// A queue that a caller named for a tenant.
    pub(super) fn open(
        config: &SqsConfig,
        policy: &EgressPolicy,
        tenant: &TenantId,
        queue_url: &str,
        region: Option<&str>,
    ) -> Result<Self, String> {
        let rules = config.tenants.get(tenant.as_str()).unwrap_or(&config.queues);
        Self::open_under(config, policy, Some(rules), queue_url, region)
    }

    /// A queue that the operator named; what callers may name does not bind it.
    pub(super) fn of_operator(
        config: &SqsConfig,
        policy: &EgressPolicy,
        queue_url: &str,
        region: Option<&str>,
    ) -> Result<Self, String> {
        Self::open_under(config, policy, None, queue_url, region)
    }

    /// What the account that has it calls it: the end of its address.
    pub(super) fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    fn open_under(
        config: &SqsConfig,
        policy: &EgressPolicy,
        rules: Option<&QueueRules>,
        queue_url: &str,
        region: Option<&str>,
    ) -> Result<Self, String> {
        let parsed = if config.endpoint.is_some() {
            Url::parse(queue_url).map_err(|_| "not an absolute URL".to_owned())?
        } else {
            policy.vet(queue_url).map_err(|error| error.to_string())?
        };
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err("a queue URL has no query and no fragment".to_owned());
        }
        let segments: Vec<&str> = parsed.path_segments().into_iter().flatten().collect();
        let [account, name] = segments[..] else {
            return Err("a queue URL ends in an account number and a queue name".to_owned());
        };
        check_names(account, name)?;
        if let Some(rules) = rules {
            check_rules(rules, account, name)?;
        }
        let region = region
            .or_else(|| region_of(parsed.host_str()?))
            .or(config.region.as_deref())
            .ok_or("the queue's region is neither in its URL nor configured")?;
        if !is_region(region) {
            return Err("the region is not a region's name".to_owned());
        }
        Ok(Self {
            url: queue_url.to_owned(),
            endpoint: match &config.endpoint {
                Some(endpoint) => endpoint.url().clone(),
                None => root_of(&parsed),
            },
            region: region.to_owned(),
            fifo: name.ends_with(".fifo").then_some(config.fifo_group),
        })
    }
}

fn check_names(account: &str, name: &str) -> Result<(), String> {
    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the account number in a queue URL has 12 digits".to_owned());
    }
    let base = name.strip_suffix(".fifo").unwrap_or(name);
    let plain = base.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if base.is_empty() || name.len() > 80 || !plain {
        return Err("a queue name has at most 80 letters, digits, hyphens and underscores".to_owned());
    }
    Ok(())
}

fn check_rules(rules: &QueueRules, account: &str, name: &str) -> Result<(), String> {
    if !rules.accounts.is_empty() && !rules.accounts.iter().any(|allowed| allowed == account) {
        return Err(format!("queues of account {account} are not allowed"));
    }
    let begins = |prefix: &String| name.starts_with(prefix.as_str());
    if !rules.name_prefixes.is_empty() && !rules.name_prefixes.iter().any(begins) {
        return Err(format!("queues named {name} are not allowed"));
    }
    Ok(())
}

/// `sqs.sa-east-1.amazonaws.com` and its kin in other partitions.
fn region_of(host: &str) -> Option<&str> {
    let mut labels = host.split('.');
    let service = labels.next()?;
    let region = labels.next()?;
    (matches!(service, "sqs" | "sqs-fips") && labels.next() == Some("amazonaws")).then_some(region)
}

fn is_region(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (1..=32).contains(&text.len()) && plain
}

fn root_of(url: &Url) -> Url {
    let mut root = url.clone();
    root.set_path("/");
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(config: &SqsConfig, url: &str) -> Result<Queue, String> {
        Queue::open(config, &EgressPolicy::new(config.egress.clone()), &TenantId::default(), url, None)
    }

    #[test]
    fn a_queue_of_aws_says_where_it_lives() {
        let url = "https://sqs.sa-east-1.amazonaws.com/123456789012/owners.fifo";
        let queue = open(&SqsConfig::default(), url).unwrap();
        assert_eq!(queue.region, "sa-east-1");
        assert_eq!(queue.endpoint.as_str(), "https://sqs.sa-east-1.amazonaws.com/");
        assert_eq!(queue.fifo, Some(FifoGroup::Owner));
        assert_eq!(queue.url, url);
    }

    #[test]
    fn other_addresses_are_refused() {
        for url in [
            "https://sqs.sa-east-1.amazonaws.com/123456789012/",
            "https://sqs.sa-east-1.amazonaws.com/123456789012/a/b",
            "https://sqs.sa-east-1.amazonaws.com/12345/owners",
            "https://sqs.sa-east-1.amazonaws.com/123456789012/own%20ers",
            "https://sqs.sa-east-1.amazonaws.com/123456789012/owners?Action=DeleteQueue",
            "http://sqs.sa-east-1.amazonaws.com/123456789012/owners",
            "https://sqs.sa-east-1.amazonaws.com@evil.example/123456789012/owners",
            "https://ec2-1-2-3-4.sa-east-1.compute.amazonaws.com/123456789012/owners",
            "https://evil.example/123456789012/owners",
            "https://169.254.169.254/123456789012/owners",
        ] {
            assert!(open(&SqsConfig::default(), url).is_err(), "{url} was let through");
        }
    }

    #[test]
    fn accounts_and_names_are_lists_and_a_tenant_may_have_its_own() {
        let queues =
            QueueRules { accounts: vec!["111111111111".into()], name_prefixes: vec!["shop-".into()] };
        let mut config = SqsConfig { queues, ..SqsConfig::default() };
        let at = |account: &str, name: &str| format!("https://sqs.us-east-1.amazonaws.com/{account}/{name}");
        open(&config, &at("111111111111", "shop-a")).unwrap();
        assert!(open(&config, &at("222222222222", "shop-a")).is_err());
        assert!(open(&config, &at("111111111111", "other")).is_err());
        let own = QueueRules { accounts: vec!["222222222222".into()], name_prefixes: Vec::new() };
        config.tenants.insert("default".into(), own);
        open(&config, &at("222222222222", "other")).unwrap();
        assert!(open(&config, &at("111111111111", "shop-a")).is_err());
    }

    #[test]
    fn an_endpoint_takes_the_calls_and_leaves_the_address_alone() {
        let config = SqsConfig {
            endpoint: Some(crate::connectors::http::HttpUrl::parse("http://127.0.0.1:5000").unwrap()),
            region: Some("us-east-1".into()),
            ..SqsConfig::default()
        };
        let queue = open(&config, "http://localhost:5000/123456789012/owners").unwrap();
        assert_eq!(queue.endpoint.as_str(), "http://127.0.0.1:5000/");
        assert_eq!(queue.url, "http://localhost:5000/123456789012/owners");
    }
}
