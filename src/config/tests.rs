//! The configuration as an operator meets it: what is in the manual holds, and what is wrong is told at once.

use std::time::Duration;

use super::*;
use crate::telemetry::LogFormat;

mod access;
mod feeds;
mod metrics;
mod openbanking;

/// A file in the temporary folder that goes away with the test.
struct File(PathBuf);

impl File {
    fn of(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bursar-config-{}.toml", uuid::Uuid::now_v7()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn sources(&self) -> Sources {
        Sources { file: Some(self.0.clone()), ..Sources::default() }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

fn env(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn refused(sources: &Sources) -> String {
    Config::load(sources).expect_err("this configuration is wrong").to_string()
}

#[test]
fn every_key_has_its_comment_directly_above() {
    let mut keys = 0;
    let lines: Vec<_> = DEFAULT_TOML.lines().collect();
    for (at, line) in
        lines.iter().enumerate().filter(|(_, line)| line.contains(" = ") && !line.starts_with('#'))
    {
        let comment: Vec<_> = lines[..at].iter().rev().take_while(|line| line.starts_with("# ")).collect();
        let text =
            comment.iter().rev().map(|line| line.trim_start_matches("# ")).collect::<Vec<_>>().join(" ");
        // What it means, what it takes, and why the default is what it is: three sentences at least.
        assert!(text.matches(['.', ';', '?']).count() >= 3, "{line}: {text}");
        let units = [
            "Duration,",
            "Count,",
            "Bytes,",
            "Share,",
            "true or false",
            "ext",
            "URL",
            "Path",
            "List of",
            "address",
            "Reference",
        ];
        assert!(units.iter().any(|unit| text.contains(unit)), "{line} does not say what it takes: {text}");
        keys += 1;
    }
    assert!(keys > 80);
    let tables = schema::flatten(Schema::of_defaults().defaults().clone());
    assert_eq!(keys, tables.iter().filter(|(_, value)| !value.is_table()).count());
}

#[test]
fn the_bounds_in_a_comment_are_the_bounds() {
    let mut table = String::new();
    let mut comment = String::new();
    let mut held = 0;
    for line in DEFAULT_TOML.lines() {
        if let Some(text) = line.strip_prefix("# ") {
            comment = format!("{comment} {text}");
        } else if let Some((name, _)) = line.split_once(" = ") {
            if let Some(bounds::Rule::Span(least, most)) = bounds::rule(&format!("{table}{name}")) {
                let said = comment.split("Duration, ").nth(1).and_then(|rest| rest.split(['.', ';']).next());
                let (from, to) =
                    said.unwrap_or_else(|| panic!("{name}: {comment}")).split_once(" to ").unwrap();
                let ms = |text: &str| humantime::parse_duration(text).unwrap().as_millis();
                assert_eq!((ms(from), ms(to)), (least.into(), most.into()), "{table}{name}");
                held += 1;
            } else if let Some(bounds::Rule::Count(least, most)) = bounds::rule(&format!("{table}{name}")) {
                let said = comment.split_once("Count, ").or_else(|| comment.split_once("Bytes, ")).unwrap().1;
                let (from, to) = said.split_once(" to ").unwrap();
                assert_eq!(from.replace(',', ""), least.to_string(), "{table}{name}");
                let to = to.split(['.', ';']).next().unwrap().replace(',', "");
                assert!(to == most.to_string() || to.starts_with('`'), "{table}{name}: {to}");
                held += 1;
            }
        } else {
            comment.clear();
            table = line.strip_prefix('[').map_or(table, |name| format!("{}.", name.trim_end_matches(']')));
        }
    }
    assert!(held > 50, "{held}");
}

#[test]
fn the_defaults_are_what_the_issue_and_the_rooms_say() {
    let config = Config::default();
    assert_eq!(config.data_dir, PathBuf::from("bursar-data"));
    assert_eq!(config.api.listen, "127.0.0.1:7400".parse().unwrap());
    assert!(!config.api.bind_beyond_loopback);
    assert_eq!((config.api.streams_max, config.api.streams_per_caller_max), (256, 32));
    assert_eq!((config.api.requests_in_flight_max, config.api.message_bytes_max), (1024, 1024 * 1024));
    assert_eq!((config.limits.page_size_default, config.limits.page_size_max), (50, 500));
    assert_eq!(config.limits.watch_poll, Duration::from_millis(200));
    assert_eq!((config.store.url.as_str(), config.store.timeout), ("", Duration::from_secs(5)));
    let work = &config.work;
    assert_eq!((work.claim_batch, work.group_max, work.lanes), (64, 64, 1));
    assert_eq!(
        [work.poll_interval, work.heartbeat_interval, work.fence_after, work.reap_after]
            .map(|span| span.as_secs()),
        [1, 5, 12, 15]
    );
    assert_eq!(work.archive_retention, Duration::from_secs(30 * 24 * 3600));
    let registration = &config.registration;
    assert_eq!((registration.in_flight_max, registration.attempts_max), (64, 40));
    assert_eq!(registration.inline_deadline, Duration::from_secs(2));
    assert_eq!((registration.retry_base.as_secs(), registration.retry_cap.as_secs()), (2, 600));
    let notification = &config.notification;
    assert!(notification.enabled);
    assert_eq!(
        (notification.in_flight_max, notification.per_endpoint_max, notification.attempts_max),
        (1024, 128, 30)
    );
    assert_eq!((notification.retry_base.as_secs(), notification.retry_cap.as_secs()), (5, 6 * 3600));
    let (analysis, write_back) = (&config.transfers.analysis, &config.transfers.write_back);
    assert_eq!((analysis.slots, analysis.per_company_max, analysis.attempts_max), (16, 4, 20));
    assert_eq!((write_back.in_flight_max, write_back.attempts_max), (8, 30));
    assert_eq!(config.transfers.feed.age_max, Duration::from_mins(4320));
    assert!(config.transfers.feeds.is_empty());
    let supervision = &config.supervision;
    assert_eq!(
        (supervision.restarts_max, supervision.restarts_within.as_secs(), supervision.mailbox),
        (10, 60, 1024)
    );
    assert_eq!(
        (config.http, config.secrets, config.banks, config.channels, config.analyzers),
        Default::default()
    );
    assert_eq!((config.telemetry.log_format, config.telemetry.otlp_endpoint), (LogFormat::Text, None));
}

#[test]
fn every_number_and_duration_has_bounds_and_every_bound_a_key() {
    let schema = Schema::of_defaults();
    let path = |key: &str| key.split('.').map(str::to_owned).collect::<Vec<_>>();
    for (key, _) in bounds::keys() {
        assert!(schema.find(&path(key)).is_some(), "there is no {key}");
    }
    for (key, value) in schema::flatten(schema.defaults().clone()) {
        let spans = value.as_str().is_some_and(|text| humantime::parse_duration(text).is_ok());
        if spans || value.is_integer() || value.is_float() {
            let key = key.join(".");
            assert!(bounds::keys().any(|(known, is_rule)| is_rule && known == key), "{key} has no bounds");
        }
    }
}

#[test]
fn each_source_goes_over_the_one_before_it() {
    let file =
        File::of("[work]\nlanes = 3\npoll_interval = '3s'\nclaim_batch = 3\n[store]\nurl = 'sqlite:5'\n");
    let mut sources = file.sources();
    sources.env =
        vec![env("BURSAR__WORK__LANES", "4"), env("BURSAR__WORK__POLL_INTERVAL", "4s"), env("HOME", "/")];
    let config = Config::load(&sources.with("work.lanes", "5")).unwrap();
    assert_eq!((config.work.claim_batch, config.work.poll_interval.as_secs(), config.work.lanes), (3, 4, 5));
    assert_eq!(config.store.url, "sqlite:5");
    assert_eq!(config.work.group_max, 64);
}

#[test]
fn text_from_the_environment_is_read_as_its_key_wants_it() {
    let sources = Sources {
        env: vec![
            env("BURSAR__DATA_DIR", "42"),
            env("BURSAR__NOTIFICATION__ENABLED", "false"),
            env("BURSAR__TELEMETRY__SAMPLE_RATIO", "1"),
            env("BURSAR__TELEMETRY__OTLP_ENDPOINT", "http://127.0.0.1:4317"),
            env("BURSAR__CHANNELS__SQS__EGRESS__HOSTS", r#"["a.example", "b.example"]"#),
            env("BURSAR__CHANNELS__SQS__TENANTS__ACME__ACCOUNTS", r#"["123456789012"]"#),
        ],
        ..Sources::default()
    };
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("42"));
    assert!(!config.notification.enabled);
    assert_eq!(config.telemetry.otlp_endpoint.as_deref(), Some("http://127.0.0.1:4317"));
    assert_eq!(config.channels.sqs.egress.hosts, ["a.example", "b.example"]);
    assert_eq!(config.channels.sqs.tenants["acme"].accounts, ["123456789012"]);
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let file = File::of(
        "[registraton]\ninline_deadline = '2s'\n[work]\nlanes = 0\npoll_intervall = '1s'\n\
         [channels.sqs.tenants.acme]\nacounts = []\n[telemetry]\nlog_format = 'xml'\nlog_level = 'inof'\n[api]\nlisten = 7400\n",
    );
    let mut sources = file.sources();
    sources.env =
        vec![env("BURSAR__WORK__DRAIN_TIMEOUT", "5 parsecs"), env("BURSAR__API__LISTEN__PORT", "1")];
    let text = refused(&sources.with("banks.banco_do_brasil.pix", "perhaps").with("http", "fast"));
    let origin = file.0.display();
    for line in [
        format!("unknown key registraton.inline_deadline ({origin}); did you mean registration.inline_deadline?"),
        format!("unknown key work.poll_intervall ({origin}); did you mean work.poll_interval?"),
        format!("unknown key channels.sqs.tenants.acme.acounts ({origin}); did you mean channels.sqs.tenants.acme.accounts?"),
        format!("work.lanes ({origin}): must be a whole number from 1 to 64"),
        format!("telemetry.log_format ({origin}): must be one of text, json"),
        format!("telemetry.log_level ({origin}): must be levels of logging, such as info,bursar::store=debug"),
        format!("api.listen ({origin}): must be an IP address with a port, such as 127.0.0.1:7400"),
        "work.drain_timeout (variable BURSAR__WORK__DRAIN_TIMEOUT): must be a duration with its unit, such as 30s, from 0s to 1h".to_owned(),
        "unknown key api.listen.port (variable BURSAR__API__LISTEN__PORT); did you mean api.listen?".to_owned(),
        "banks.banco_do_brasil.pix (command line): must be a boolean".to_owned(),
        "http (command line): must be a table".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
    }
    assert_eq!(text.lines().count(), 11, "{text}");
}

#[test]
fn settings_must_fit_each_other_but_a_bad_one_is_told_once() {
    let text =
        refused(&Sources::default().with("work.fence_after", "15s").with("http.connect_timeout", "1min"));
    assert_eq!(
        text,
        "work.fence_after (all sources together): is \"15s\" and must be below work.reap_after, which is \"15s\": a process must stop before others take its rows\n\
         http.connect_timeout (all sources together): is \"1min\" and must be at most http.timeout, which is \"20s\": connecting is a part of a call"
    );
    let text = refused(&Sources::default().with("work.fence_after", "soon").with("work.reap_after", "10s"));
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn an_address_that_others_can_reach_needs_a_word() {
    let open = Sources::default().with("api.listen", "0.0.0.0:7400");
    assert!(refused(&open).starts_with("api.listen (all sources together): must be a loopback address"));
    assert!(Config::load(&open.with("api.bind_beyond_loopback", "true")).is_ok());
    assert!(Config::load(&Sources::default().with("api.listen", "[::1]:0")).is_ok());
}

#[test]
fn links_lead_somewhere_that_others_cannot_listen_to() {
    let on = Sources::default().with("documents.links.enabled", "true");
    let text = refused(&on);
    assert_eq!(
        text,
        "documents.links.base_url (all sources together): must be set if documents.links.enabled is true"
    );
    for url in [
        "https://pay.example.com",
        "https://example.com:8443/boletos",
        "http://127.0.0.1:7480",
        "http://[::1]",
    ] {
        assert!(Config::load(&on.clone().with("documents.links.base_url", url)).is_ok(), "{url}");
    }
    for url in [
        "http://pay.example.com",
        "https://pay.example.com/",
        "https://u:p@example.com",
        "https://a.b?c",
        "pay",
        "x://y",
    ] {
        let text = refused(&on.clone().with("documents.links.base_url", url));
        assert!(
            text.contains("documents.links.base_url (command line): must be an https address"),
            "{url}: {text}"
        );
    }
    let reachable = Sources::default().with("documents.links.address", "0.0.0.0:7480");
    assert!(
        refused(&reachable).starts_with("documents.links.address (all sources together): must be a loopback")
    );
    assert!(Config::load(&reachable.with("api.bind_beyond_loopback", "true")).is_ok());
}

#[test]
fn an_empty_prefix_does_not_open_the_whole_environment() {
    for (key, value) in [("secrets.env_prefixes", r#"["A_", ""]"#), ("secrets.folders", r#"[""]"#)] {
        let text = refused(&Sources::default().with(key, value));
        assert_eq!(text, format!("{key} (command line): must be a list of texts that are not empty"));
    }
    let none = Sources::default().with("secrets.env_prefixes", "[]").with("secrets.folders", "[]");
    assert!(Config::load(&none).unwrap().secrets.env_prefixes.is_empty());
}

#[cfg(unix)]
#[test]
fn a_path_that_is_no_text_can_be_shown() {
    use std::os::unix::ffi::OsStringExt;
    let data_dir = std::ffi::OsString::from_vec(vec![b'd', 0xff]).into();
    assert!(format!("{:?}", Config { data_dir, ..Config::default() }).contains("data_dir = \"d"));
}

#[test]
fn access_keys_are_whole_or_absent() {
    let id = Sources::default().with("channels.sqs.credentials.access_key_id", "env:ID");
    let text = refused(&id);
    assert!(
        text.starts_with("channels.sqs.credentials.secret_access_key (all sources together): must be set"),
        "{text}"
    );
    let config = Config::load(&id.with("channels.sqs.credentials.secret_access_key", "file:secret")).unwrap();
    let keys = config.channels.sqs.credentials.as_ref().unwrap();
    assert_eq!((keys.secret_access_key.to_string().as_str(), &keys.session_token), ("file:secret", &None));
    assert!(config.to_toml_redacted().contains("secret_access_key = \"file:secret\""));
}

#[test]
fn a_house_signs_in_at_nats_in_one_way() {
    let key = |name: &str| format!("channels.nats.credentials.{name}");
    let user = Sources::default().with(&key("user"), "env:USER_NAME");
    assert!(
        refused(&user).starts_with("channels.nats.credentials.password (all sources together): must be set")
    );
    let whole = user.with(&key("password"), "env:PASSWORD");
    assert!(Config::load(&whole).is_ok());
    let both = whole.with(&key("creds"), "file:creds");
    assert!(refused(&both).starts_with("channels.nats.credentials (all sources together): must hold one of"));
    let half = Sources::default().with("channels.nats.certificate_file", "client.pem");
    assert!(refused(&half).starts_with("channels.nats.private_key_file (all sources together): must be set"));
    let told = Sources::default().with("channels.nats.servers", r#"["nats://u:s3cret@127.0.0.1"]"#);
    assert!(!refused(&told).contains("s3cret"));
}

#[test]
fn no_value_is_ever_repeated() {
    let file = File::of("[store]\nurl = 'postgres://u:s3cret@h/db\n");
    let text = refused(&file.sources());
    assert_eq!(text, format!("{} cannot be read: line 2 is not TOML", file.0.display()));
    let misplaced = Sources::default()
        .with("store.timeout", "s3cret")
        .with("store.urll", "s3cret")
        .with("banks.banco_do_brasil.api_url", "s3cret")
        .with("channels.sqs.credentials.access_key_id", "s3cret")
        .with("telemetry.log_format", "s3cret")
        .with("channels.sqs.egress.hosts", "s3cret");
    let text = refused(&misplaced);
    assert!(text.lines().count() >= 6 && !text.contains("s3cret"), "{text}");
}

#[test]
fn what_is_shown_has_every_key_no_password_and_reads_back() {
    let config = Config::load(
        &Sources::default().with("store.url", "postgres://u:s3cret@h/db").with("work.lanes", "7"),
    )
    .unwrap();
    let shown = config.to_toml_redacted();
    assert!(shown.contains("url = \"postgres://u:***@h/db\""), "{shown}");
    assert!(!format!("{config:?}").contains("s3cret"));
    let keys = |text: &str| {
        let flat = schema::flatten(text.parse().unwrap());
        flat.into_iter().map(|(path, _)| path.join(".")).collect::<Vec<_>>()
    };
    assert_eq!(keys(&shown), keys(DEFAULT_TOML));
    let again = Config::load(&File::of(&shown).sources()).unwrap();
    assert_eq!(again.to_toml_redacted(), shown);
}

#[test]
fn every_value_says_where_it_comes_from() {
    let file = File::of(
        "[work]\nlanes = 2\n\n[openbanking.aspsp]\ntimeout = '7s'\n[openbanking.aspsps.north]\nbase_url = 'https://north.example'\n",
    );
    let mut sources = file.sources();
    sources.env = vec![
        env("BURSAR__WORK__DRAIN_TIMEOUT", "5s"),
        env("BURSAR__CHANNELS__SQS__TENANTS", "{ acme = { accounts = ['123456789012'] } }"),
        env("SchedulerServiceStartupConfig__Jobs__DailyJobs__SyncUpdate__JobArguments__BatchSize", "7"),
    ];
    let (config, origins) = Config::load_with_origins(&sources.with("work.poll_interval", "3s")).unwrap();
    let path = file.0.display();
    for (key, origin) in [
        ("work.lanes", format!("{path}:2")),
        ("openbanking.aspsps.north.base_url", format!("{path}:7")),
        ("openbanking.aspsps.north.timeout", format!("{path}:5, as openbanking.aspsp.timeout")),
        (
            "timetable.sync_update.batch_size",
            "variable SchedulerServiceStartupConfig__Jobs__DailyJobs__SyncUpdate__JobArguments__BatchSize"
                .to_owned(),
        ),
        ("work.drain_timeout", "variable BURSAR__WORK__DRAIN_TIMEOUT".to_owned()),
        ("channels.sqs.tenants.acme.accounts", "variable BURSAR__CHANNELS__SQS__TENANTS".to_owned()),
        ("work.poll_interval", "command line".to_owned()),
        ("api.listen", "default".to_owned()),
    ] {
        assert_eq!(origins.of(key), origin, "{key}");
    }
    let shown = config.to_toml_with_origins(&origins);
    assert!(shown.contains(&format!("lanes = 2  # {path}:2\n")), "{shown}");
    assert!(shown.contains("listen = \"127.0.0.1:7400\"  # default\n"), "{shown}");
    let read = |text: &str| text.parse::<Table>().unwrap();
    assert_eq!(read(&shown), read(&config.to_toml_redacted()), "the comments change nothing");
}

#[test]
fn a_file_that_is_not_there_is_told_and_the_rest_as_well() {
    let sources = Sources {
        file: Some(PathBuf::from("no-such-folder/bursar.toml")),
        ..Sources::default().with("work.lanes", "many")
    };
    let text = refused(&sources);
    assert!(text.starts_with("no-such-folder/bursar.toml cannot be read: "), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn a_tenant_without_keys_may_name_any_queue() {
    let file = File::of("[channels.sqs.tenants.acme]\n");
    let config = Config::load(&file.sources()).unwrap();
    assert!(config.channels.sqs.tenants.contains_key("acme"));
}

#[test]
fn mail_has_a_sender_and_does_not_leave_in_the_open_by_mistake() {
    let server = Sources::default().with("channels.mail.server", "smtp.example.com");
    assert_eq!(
        refused(&server),
        "channels.mail.from (all sources together): must be set if channels.mail.server is"
    );
    let whole = server.with("channels.mail.from", "Shop <notices@example.com>");
    assert!(Config::load(&whole).is_ok());
    let open = whole.with("channels.mail.security", "none");
    assert!(
        refused(&open)
            .starts_with("channels.mail.security (all sources together): must be starttls or tls unless")
    );
    assert!(Config::load(&open.clone().with("channels.mail.allow_plaintext", "true")).is_ok());
    assert!(Config::load(&open.with("channels.mail.server", "127.0.0.1")).is_ok());
    let half = Sources::default().with("channels.mail.credentials.username", "env:MAILER");
    assert!(refused(&half).contains("channels.mail.credentials"), "{}", refused(&half));
    for (key, value) in
        [("from", "nobody"), ("server", "smtp://example.com"), ("time_zone", "Brasília"), ("language", "pt")]
    {
        let text = refused(&Sources::default().with(&format!("channels.mail.{key}"), value));
        assert!(text.starts_with(&format!("channels.mail.{key} (command line): must be")), "{text}");
        assert!(!text.contains(value) || key == "language", "{text}");
    }
}

#[test]
fn a_mail_template_that_does_not_work_is_told_with_its_file_and_line() {
    let folder = std::env::temp_dir().join(format!("bursar-config-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir_all(folder.join("en")).unwrap();
    std::fs::write(folder.join("en/boleto.txt"), "Subject: Boleto\n\n{{ payer }}\n").unwrap();
    std::fs::write(folder.join("en/boleto.html"), "<p>{% if %}</p>").unwrap();
    let text = refused(&Sources::default().with("channels.mail.templates", folder.display().to_string()));
    assert!(text.starts_with("channels.mail.templates (all sources together): "), "{text}");
    assert!(text.contains("en/boleto.html:1"), "{text}");
    std::fs::write(folder.join("en/boleto.html"), "<p></p>").unwrap();
    let text = refused(&Sources::default().with("channels.mail.templates", folder.display().to_string()));
    assert!(text.contains("en/boleto.txt:3"), "{text}");
    std::fs::remove_dir_all(&folder).unwrap();
}
