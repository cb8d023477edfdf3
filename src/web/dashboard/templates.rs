//! The pages as templates: everything that is put into them is text, whatever it holds.
//!
//! **Owns** the compiled templates. **Fails** where a template and what is put into it do not fit, which is our fault.
//! **Limits**: none but the API's own on what there is to show.

use chrono::{DateTime, Utc};
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

macro_rules! own {
    ($($name:literal),* $(,)?) => { [$(($name, include_str!(concat!("templates/", $name)))),*] };
}

/// Every template.
pub struct Templates(Environment<'static>);

impl Templates {
    pub fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.add_filter("moment", |text: String| moment(&text));
        environment.add_filter("span", span);
        environment.add_filter("money", money);
        for (name, text) in own![
            "base.html",
            "boleto.html",
            "boletos.html",
            "dead_letters.html",
            "history.html",
            "overview.html",
            "queues.html",
            "queues_table.html",
            "sign_in.html",
            "timetable.html",
            "transfer.html",
            "transfers.html",
            "trouble.html",
            "work.html",
        ] {
            environment.add_template(name, text).expect("a test compiles every template of the program");
        }
        Self(environment)
    }

    /// Fills in a template.
    ///
    /// # Errors
    /// Which template, which line and what is wrong there.
    pub fn fill_in(&self, name: &str, values: serde_json::Value) -> Result<String, String> {
        let template = self.0.get_template(name).map_err(|error| error.to_string())?;
        template.render(Value::from(Serde(values))).map_err(|error| format!("{error:#}"))
    }
}

/// `2026-11-22 12:00:00`, of a time of RFC 3339 in UTC.
fn moment(text: &str) -> Result<String, Error> {
    let unfit = |_| Error::new(ErrorKind::InvalidOperation, "a time of RFC 3339 is needed");
    let at: DateTime<Utc> = text.parse().map_err(unfit)?;
    Ok(at.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// Seconds as people say them, by their two largest units.
fn span(seconds: f64) -> String {
    if !(0.0..1e15).contains(&seconds) {
        return "0 s".to_owned();
    }
    if seconds < 1.0 {
        return format!("{:.0} ms", seconds * 1_000.0);
    }
    // Below the bound above, so that nothing is lost but the fraction.
    let whole = seconds as u64;
    match whole {
        0..MINUTE => format!("{whole} s"),
        MINUTE..HOUR => two(whole, (MINUTE, "min"), (1, "s")),
        HOUR..DAY => two(whole, (HOUR, "h"), (MINUTE, "min")),
        _ => two(whole, (DAY, "d"), (HOUR, "h")),
    }
}

/// A span in two units, of which the smaller may be nothing.
fn two(seconds: u64, (large, name): (u64, &str), (small, its_name): (u64, &str)) -> String {
    match seconds % large / small {
        0 => format!("{} {name}", seconds / large),
        rest => format!("{} {name} {rest} {its_name}", seconds / large),
    }
}

/// Cents as `1,234.56`.
fn money(cents: i64) -> String {
    let (whole, rest) = (cents.unsigned_abs() / 100, cents.unsigned_abs() % 100);
    let digits = whole.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{}{grouped}.{rest:02}", if cents < 0 { "-" } else { "" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_spans_and_amounts_are_said_as_people_say_them() {
        assert_eq!(moment("2026-11-22T12:00:00.123456Z").unwrap(), "2026-11-22 12:00:00");
        assert!(moment("noon").is_err());
        let spans: Vec<String> =
            [0.0, 0.0129, 1.9, 75.0, 3_723.0, 21_600.0, 90_000.0, -1.0, f64::NAN].map(span).into();
        assert_eq!(
            spans,
            ["0 ms", "13 ms", "1 s", "1 min 15 s", "1 h 2 min", "6 h", "1 d 1 h", "0 s", "0 s"]
        );
        let amounts: Vec<String> = [0, 7, 12_590, 123_456_789, 100_000_000, -5].map(money).into();
        assert_eq!(amounts, ["0.00", "0.07", "125.90", "1,234,567.89", "1,000,000.00", "-0.05"]);
    }

    #[test]
    fn whatever_is_shown_is_text() {
        let templates = Templates::new();
        let hostile = "<script>alert(1)</script>\" onload='x' {{ 7 * 7 }}";
        let values = json!({
            "title": hostile, "at": hostile, "live_ms": null, "form_key": hostile, "has_menu": true,
            "is_signed_in": true, "now": "2026-11-22T12:00:00Z", "trouble": hostile,
            "next": hostile,
        });
        let page = templates.fill_in("sign_in.html", values).unwrap();
        assert_eq!(
            page.matches("&lt;script&gt;alert(1)&lt;&#x2f;script&gt;&quot; onload=&#x27;x&#x27; {{ 7 * 7 }}")
                .count(),
            4,
            "{page}"
        );
        assert!(!page.contains("<script") && !page.contains("49"), "{page}");
    }

    #[test]
    fn no_template_needs_what_the_policy_forbids() {
        for (name, template) in Templates::new().0.templates() {
            let source = template.source().to_lowercase();
            assert!(
                !source.contains("style=") && !source.contains("<style"),
                "{name} has a style of its own"
            );
            assert!(!source.contains("safe") && !source.contains("autoescape"), "{name} lets markup in");
            assert!(!source.contains("javascript:"), "{name} has an address that is a script");
            for rest in source.split(" on").skip(1) {
                let word = rest.split(|letter: char| !letter.is_ascii_lowercase()).next().unwrap_or_default();
                assert!(!rest[word.len()..].starts_with('='), "{name} has a script in on{word}");
            }
            for rest in source.split("<script").skip(1) {
                assert!(rest.starts_with(" src=\"/assets/"), "{name} has a script within");
            }
        }
    }
}
