//! Templates: ours in every language, the operator's before them, and what is said of those that do not work.

use std::path::PathBuf;

use super::*;

const ZONE: Tz = chrono_tz::America::Sao_Paulo;

/// A folder of templates that goes away with its test.
struct Shelf(PathBuf);

impl Shelf {
    fn with(files: &[(&str, &str)]) -> Self {
        let shelf = Self(std::env::temp_dir().join(format!("bursar-templates-{}", uuid::Uuid::now_v7())));
        fs::create_dir_all(&shelf.0).unwrap();
        for (name, text) in files {
            let path = shelf.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        shelf
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        // Left behind, it only costs the system's own cleaning.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn ours() -> Templates {
    Templates::load(Path::new(""), ZONE).unwrap()
}

fn faults(files: &[(&str, &str)]) -> Vec<String> {
    Templates::load(&Shelf::with(files).0, ZONE).unwrap_err()
}

#[test]
fn a_boleto_is_told_of_in_every_language() {
    let templates = ours();
    let told = sample("boleto.paid");
    let subjects = Language::ALL.map(|language| templates.fill_in(&told, language).unwrap().subject);
    assert_eq!(
        subjects,
        [
            "Boleto pago – order-1",
            "Boleto pagado – order-1",
            "Boleto paid – order-1",
            "Boleto opłacone – order-1"
        ]
    );
    for language in Language::ALL {
        let letter = templates.fill_in(&told, language).unwrap();
        for part in [&letter.text, &letter.page] {
            assert!(
                part.contains(told.subject) && part.contains(&told.event_id) && part.contains("order-1"),
                "{part}"
            );
        }
        assert!(letter.page.starts_with("<!DOCTYPE html>"));
        assert!(letter.page.contains(&format!("<html lang=\"{}\">", language.tag())));
        assert!(!letter.text.contains('<') && !letter.text.starts_with("Subject"));
    }
}

#[test]
fn ours_can_tell_of_every_event() {
    assert_eq!(ours().try_all(), Vec::<String>::new());
}

#[test]
fn what_has_no_template_of_its_own_is_told_all_the_same() {
    let letter = ours().fill_in(&sample("something.new"), Language::En).unwrap();
    assert_eq!(letter.subject, "New event: something.new");
    assert!(letter.text.contains("About: something 019abcde"));
    let mut told = sample("boleto.paid");
    told.body = json!({});
    let bare = ours().fill_in(&told, Language::En).unwrap();
    assert_eq!(bare.subject, "Boleto paid");
    assert!(!bare.text.contains("Reference") && !bare.text.contains("Status"));
}

#[test]
fn the_reason_of_an_endpoints_end_is_told() {
    let letter = ours().fill_in(&sample("endpoint.disabled"), Language::Pl).unwrap();
    assert!(letter.text.contains("Powód: every delivery has failed for 5days"), "{}", letter.text);
    assert!(letter.text.contains("Nie działa od: 22.11.2026 09:00 (UTC-03:00)"), "{}", letter.text);
}

#[test]
fn scores_are_told_as_the_vendors_and_what_is_none_as_none() {
    let labels = [
        (
            Language::PtBr,
            "Pontuação de risco do fornecedor",
            "mais alta quer dizer menor risco",
            "Resposta 2: sem pontuação",
        ),
        (
            Language::Es,
            "Puntuación de riesgo del proveedor",
            "más alta quiere decir menor riesgo",
            "Respuesta 2: sin puntuación",
        ),
        (Language::En, "Vendor risk score", "higher means lower vendor risk", "Answer 2: no score"),
        (Language::Pl, "Wynik ryzyka dostawcy", "wyższy oznacza mniejsze ryzyko", "Odpowiedź 2: brak wyniku"),
    ];
    for (language, label, sense, none) in labels {
        let mut told = sample("transfer.done");
        let letter = ours().fill_in(&told, language).unwrap();
        for text in [&letter.text, &letter.page] {
            assert!(text.contains(label) && text.contains(sense), "{text}");
            assert!(text.contains("38|40|95"), "the fillers are shown where they stand: {text}");
        }
        assert!(letter.text.contains(none) && letter.text.contains(" 1: 38\n"), "{}", letter.text);
        assert!(letter.subject.ends_with("– -Nsample0000000000A1"), "{}", letter.subject);
        told.body["data"]["has_fillers"] = json!(false);
        told.body["data"]["formula"] = json!(null);
        let unscored = ours().fill_in(&told, language).unwrap();
        for text in [&unscored.text, &unscored.page] {
            assert!(!text.contains(sense) && !text.contains("38"), "{text}");
        }
    }
}

#[test]
fn a_questionnaire_of_the_longest_fits_into_a_message() {
    let mut told = sample("transfer.done");
    told.body["data"]["vendor_risk_scores"] = json!(vec![38; crate::domain::transfer::QUESTIONS_MAX]);
    for language in Language::ALL {
        let letter = ours().fill_in(&told, language).unwrap();
        assert!(letter.text.contains(" 1000: 38\n"));
        assert!(
            letter.page.len() + letter.text.len() < 128 * 1024,
            "both become longer when they are encoded"
        );
    }
}

#[test]
fn a_failure_says_why_and_has_no_number() {
    let mut told = sample("transfer.failed");
    let letter = ours().fill_in(&told, Language::En).unwrap();
    for text in [&letter.text, &letter.page] {
        assert!(text.contains("the questionnaire does not exist"), "{text}");
        assert!(text.contains("questionnaire_missing: the feed holds none of that key"), "{text}");
        assert!(text.contains("A failure is never a score") && !text.contains("Vendor risk score"), "{text}");
    }
    told.body["data"]["reason"] = json!("gave_up: the vendor said\r\nSubject: 12 <b>");
    let letter = ours().fill_in(&told, Language::En).unwrap();
    assert!(letter.text.contains("gave_up: the vendor said Subject: 12 <b>"), "{}", letter.text);
    assert!(letter.page.contains("&lt;b&gt;"), "{}", letter.page);
    let skipped = ours().fill_in(&sample("transfer.skipped"), Language::PtBr).unwrap();
    assert!(skipped.text.contains("Ela não é analisada"), "{}", skipped.text);
}

#[test]
fn what_callers_wrote_changes_no_page_and_no_header() {
    let mut told = sample("boleto.paid");
    told.body["reference_id"] = json!("</td><script>alert(1)</script>\r\nBcc: other@example.com");
    let letter = ours().fill_in(&told, Language::En).unwrap();
    assert!(!letter.page.contains("<script>"), "{}", letter.page);
    assert!(letter.page.contains("&lt;script&gt;"));
    assert!(!letter.subject.contains(['\r', '\n']), "{}", letter.subject);
    told.body["reference_id"] = json!("x".repeat(5_000));
    assert_eq!(ours().fill_in(&told, Language::En).unwrap().subject.chars().count(), SUBJECT_CHARS_MAX);
}

#[test]
fn an_operators_template_goes_before_ours() {
    let shelf = Shelf::with(&[
        (
            "en/boleto.paid.txt",
            "Subject: Money! {{ 123456|money }}\n\nOn {{ '2026-11-22'|date }}: {{ subject.id }}\n",
        ),
        (
            "en/boleto.paid.html",
            "{% extends \"layout.html\" %}{% block rows %}<tr><td>{{ event.title }}</td></tr>{% endblock %}",
        ),
        (
            "layout.html",
            "<html><body>Acme {% block rows %}{% endblock %}{% block note %}{% endblock %}{% block footer %}{% endblock %}</body></html>",
        ),
    ]);
    let templates = Templates::load(&shelf.0, ZONE).unwrap();
    let letter = templates.fill_in(&sample("boleto.paid"), Language::En).unwrap();
    assert_eq!(letter.subject, "Money! R$1,234.56");
    assert_eq!(letter.text, "On 22 Nov 2026: 019abcde-0000-7000-8000-000000000001");
    assert_eq!(letter.page, "<html><body>Acme <tr><td>Boleto paid</td></tr></body></html>");
    let other = templates.fill_in(&sample("boleto.cancelled"), Language::En).unwrap();
    assert_eq!(other.subject, "Boleto cancelled – order-1");
}

#[test]
fn a_template_that_does_not_work_is_named_with_its_line() {
    let page = ("pl/boleto.html", "<p></p>");
    let broken = faults(&[("pl/boleto.txt", "Subject: a\n\n{% if %}\n"), page]);
    assert!(broken[0].contains("pl/boleto.txt:3"), "{broken:?}");
    let unknown = faults(&[("pl/boleto.txt", "Subject: a\n\n\n{{ payer.name }}\n"), page]);
    assert_eq!(unknown.len(), 1, "{unknown:?}");
    assert!(unknown[0].contains("pl/boleto.txt:4"), "{unknown:?}");
    let endless =
        "Subject: a\n\n{% for a in range(9999) %}{% for b in range(9999) %}.{% endfor %}{% endfor %}";
    assert!(faults(&[("pl/boleto.txt", endless), page])[0].contains("fuel"), "{endless}");
    let no_subject = faults(&[("pl/boleto.txt", "Hello\n"), page]);
    assert!(no_subject[0].contains("pl/boleto.txt: must begin with a line"), "{no_subject:?}");
}

#[test]
fn files_that_nobody_would_use_are_told() {
    let lonely = faults(&[("en/boleto.paid.txt", "Subject: a\n\na\n")]);
    assert_eq!(lonely, ["en/boleto.paid.txt: en/boleto.paid.html has to be beside it"]);
    for (name, text) in
        [("fr/boleto.txt", "x"), ("en/bolto.paid.txt", "x"), ("en/boleto.mjml", "x"), ("boleto.txt", "x")]
    {
        let found = faults(&[(name, text)]);
        assert!(found[0].contains("must be"), "{name}: {found:?}");
    }
    let missing = Templates::load(Path::new("/nowhere/at/all"), ZONE).unwrap_err();
    assert_eq!(missing, ["the folder cannot be read: entity not found"]);
}
