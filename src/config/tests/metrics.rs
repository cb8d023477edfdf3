//! Metrics as an operator configures them: off unless somebody wants them, and on loopback unless somebody says otherwise.

use super::*;

#[test]
fn metrics_are_served_where_somebody_says_so_and_to_this_machine_alone() {
    assert_eq!(Config::default().metrics.listen, None);
    let listening = Sources::default().with("metrics.listen", "127.0.0.1:9464");
    let config = Config::load(&listening).unwrap();
    assert_eq!(config.metrics.listen.map(|address| address.port()), Some(9464));
    let reachable = Sources::default().with("metrics.listen", "0.0.0.0:9464");
    let text = refused(&reachable);
    assert!(text.starts_with("metrics.listen (all sources together): must be a loopback address"), "{text}");
    assert!(Config::load(&reachable.clone().with("api.bind_beyond_loopback", "true")).is_ok());
    let config = Config::load(&reachable.with("metrics.bind_beyond_loopback", "true")).unwrap();
    assert!(!config.api.bind_beyond_loopback, "nothing else of the house can be reached by that");
    let both =
        Sources::default().with("metrics.bind_beyond_loopback", "true").with("api.listen", "0.0.0.0:0");
    assert!(refused(&both).starts_with("api.listen (all sources together): must be a loopback address"));
    assert!(
        refused(&Sources::default().with("metrics.listen", "here"))
            .starts_with("metrics.listen (command line)")
    );
}

#[test]
fn metrics_for_a_collector_need_a_collector() {
    let told = Sources::default().with("metrics.otlp", "true");
    let text = refused(&told);
    assert_eq!(text, "telemetry.otlp_endpoint (all sources together): must be set if metrics.otlp is true");
    let config = Config::load(&told.with("telemetry.otlp_endpoint", "http://127.0.0.1:4318")).unwrap();
    assert!(config.metrics.otlp);
}

#[test]
fn who_says_whom_to_believe_does_not_send_in_plain_text() {
    let believing = Sources::default().with("telemetry.otlp_ca_file", "collector.pem");
    let text = refused(&believing.clone().with("telemetry.otlp_endpoint", "http://collector:4317"));
    let reason = "must be an https address if telemetry.otlp_ca_file is set";
    assert_eq!(text, format!("telemetry.otlp_endpoint (all sources together): {reason}"));
    let config = Config::load(&believing.with("telemetry.otlp_endpoint", "https://collector:4317")).unwrap();
    assert_eq!(config.telemetry.otlp_ca_file, "collector.pem");
}
