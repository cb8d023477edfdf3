//! What events, states, reasons, moments and amounts are called in the languages that messages are written in.
//!
//! **Owns** nothing. **Fails** nowhere: what has no word of its own is called by its name. **Limits**: the four languages of
//! [`Language`]; amounts are of BRL, in cents.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use super::config::Language;

/// A name, and what it is called in Portuguese, Spanish, English and Polish.
type Word = (&'static str, [&'static str; 4]);

const TITLES: &[Word] = &[
    (
        "boleto.registered",
        ["Boleto registrado", "Boleto registrado", "Boleto registered", "Boleto zarejestrowane"],
    ),
    (
        "boleto.refused",
        [
            "Boleto recusado pelo banco",
            "Boleto rechazado por el banco",
            "Boleto refused by the bank",
            "Boleto odrzucone przez bank",
        ],
    ),
    (
        "boleto.needs_review",
        ["Boleto em análise", "Boleto en revisión", "Boleto needs a review", "Boleto wymaga sprawdzenia"],
    ),
    ("boleto.cancelled", ["Boleto cancelado", "Boleto cancelado", "Boleto cancelled", "Boleto anulowane"]),
    ("boleto.paid", ["Boleto pago", "Boleto pagado", "Boleto paid", "Boleto opłacone"]),
    ("boleto.amended", ["Boleto alterado", "Boleto modificado", "Boleto amended", "Boleto zmienione"]),
    (
        "boleto.payment_recorded",
        [
            "Pagamento de boleto anotado",
            "Pago de boleto anotado",
            "Payment of a boleto recorded",
            "Odnotowano wpłatę na boleto",
        ],
    ),
    (
        "boleto.order_refused",
        [
            "Pedido sobre o boleto recusado pelo banco",
            "Orden sobre el boleto rechazada por el banco",
            "Order about a boleto refused by the bank",
            "Bank odrzucił zlecenie dotyczące boleto",
        ],
    ),
    (
        "endpoint.disabled",
        [
            "Destino de avisos desativado",
            "Destino de avisos desactivado",
            "Notification endpoint disabled",
            "Wyłączono adres powiadomień",
        ],
    ),
    (
        "transfer.done",
        [
            "Respostas gravadas analisadas",
            "Respuestas grabadas analizadas",
            "Recorded answers analysed",
            "Przeanalizowano nagrane odpowiedzi",
        ],
    ),
    (
        "transfer.failed",
        [
            "A análise de respostas gravadas falhou",
            "Falló el análisis de respuestas grabadas",
            "The analysis of recorded answers failed",
            "Analiza nagranych odpowiedzi nie powiodła się",
        ],
    ),
    (
        "transfer.skipped",
        [
            "Respostas gravadas não analisadas",
            "Respuestas grabadas no analizadas",
            "Recorded answers not analysed",
            "Nagranych odpowiedzi nie analizowano",
        ],
    ),
    ("payment.done", ["Pagamento concluído", "Pago realizado", "Payment done", "Płatność zrealizowana"]),
    (
        "payment.rejected",
        [
            "Pagamento recusado pelo banco",
            "Pago rechazado por el banco",
            "Payment rejected by the bank",
            "Bank odrzucił płatność",
        ],
    ),
    (
        "payment.cancelled",
        ["Pagamento cancelado", "Pago cancelado", "Payment cancelled", "Płatność anulowana"],
    ),
    (
        "payment.mixed",
        [
            "Lote de pagamentos concluído em parte",
            "Lote de pagos realizado en parte",
            "Bundle of payments done in part",
            "Paczka płatności zrealizowana częściowo",
        ],
    ),
    (
        "payment.unresolved",
        [
            "Não se sabe como o pagamento terminou",
            "No se sabe cómo terminó el pago",
            "Nobody knows how a payment ended",
            "Nie wiadomo, jak zakończyła się płatność",
        ],
    ),
    (
        "consent.expiring",
        [
            "Um consentimento termina em breve",
            "Un consentimiento termina pronto",
            "A consent ends soon",
            "Zgoda wkrótce wygaśnie",
        ],
    ),
    (
        "consent.expired",
        [
            "Um consentimento terminou",
            "Un consentimiento ha terminado",
            "A consent has expired",
            "Zgoda wygasła",
        ],
    ),
    (
        "consent.revoked",
        [
            "Um consentimento não vale mais",
            "Un consentimiento ya no vale",
            "A consent is not valid any more",
            "Zgoda została cofnięta",
        ],
    ),
    (
        "sync.failed",
        [
            "Não foi possível ler as contas de um cliente",
            "No se han podido leer las cuentas de un cliente",
            "A customer’s accounts could not be read",
            "Nie udało się odczytać rachunków klienta",
        ],
    ),
    ("endpoint.test", ["Mensagem de teste", "Mensaje de prueba", "Test message", "Wiadomość testowa"]),
];

const STATES: &[Word] = &[
    ("issued", ["emitido", "emitido", "issued", "wystawione"]),
    (
        "pending_registration",
        [
            "aguardando registro",
            "pendiente de registro",
            "waiting for registration",
            "oczekuje na rejestrację",
        ],
    ),
    ("registered", ["registrado", "registrado", "registered", "zarejestrowane"]),
    ("refused", ["recusado", "rechazado", "refused", "odrzucone"]),
    ("needs_review", ["em análise", "en revisión", "needs a review", "wymaga sprawdzenia"]),
    ("cancelled", ["cancelado", "cancelado", "cancelled", "anulowane"]),
    ("paid", ["pago", "pagado", "paid", "opłacone"]),
];

/// Why a transfer was skipped or given up, or a consent has ended.
const REASONS: &[Word] = &[
    (
        "its_end",
        [
            "chegou o fim combinado",
            "ha llegado el final acordado",
            "its agreed end has come",
            "upłynął uzgodniony termin",
        ],
    ),
    (
        "tokens_refused",
        [
            "o banco não aceita mais o acesso",
            "el banco ya no acepta el acceso",
            "the bank does not accept the access any more",
            "bank nie przyjmuje już dostępu",
        ],
    ),
    (
        "too_old",
        [
            "gravada há mais tempo do que se analisa",
            "grabada hace más tiempo del que se analiza",
            "recorded longer ago than is analysed",
            "nagranie jest zbyt stare",
        ],
    ),
    (
        "in_the_future",
        [
            "a hora da gravação está no futuro",
            "la hora de la grabación está en el futuro",
            "the time of recording is in the future",
            "czas nagrania leży w przyszłości",
        ],
    ),
    (
        "no_time",
        [
            "não há hora de gravação legível",
            "no hay hora de grabación legible",
            "there is no readable time of recording",
            "brak czytelnego czasu nagrania",
        ],
    ),
    (
        "no_consent",
        [
            "falta o consentimento da pessoa",
            "falta el consentimiento de la persona",
            "the person's consent is missing",
            "brak zgody osoby",
        ],
    ),
    (
        "processed_elsewhere",
        [
            "a origem já tinha um resultado",
            "el origen ya tenía un resultado",
            "the feed had a result already",
            "źródło miało już wynik",
        ],
    ),
    (
        "deleted",
        [
            "o registro foi apagado na origem",
            "el registro fue borrado en el origen",
            "the record was deleted at the feed",
            "zapis usunięto ze źródła",
        ],
    ),
    (
        "unreadable",
        [
            "o registro não pode ser lido",
            "el registro no se puede leer",
            "the record cannot be read",
            "zapisu nie da się odczytać",
        ],
    ),
    (
        "alias",
        [
            "o registro remete a outro que não pode ser usado",
            "el registro remite a otro que no se puede usar",
            "the record refers to another that cannot be used",
            "zapis odsyła do innego, którego nie można użyć",
        ],
    ),
    (
        "questionnaire_missing",
        [
            "o questionário não existe",
            "el cuestionario no existe",
            "the questionnaire does not exist",
            "kwestionariusz nie istnieje",
        ],
    ),
    (
        "no_questions",
        [
            "o questionário não tem perguntas",
            "el cuestionario no tiene preguntas",
            "the questionnaire has no questions",
            "kwestionariusz nie zawiera pytań",
        ],
    ),
    (
        "gave_up",
        [
            "as tentativas de análise se esgotaram",
            "se agotaron los intentos de análisis",
            "all attempts at the analysis are spent",
            "wyczerpano próby analizy",
        ],
    ),
    (
        "not_written_back",
        [
            "as tentativas de devolver o resultado à origem se esgotaram",
            "se agotaron los intentos de devolver el resultado al origen",
            "all attempts to give the result back to the feed are spent",
            "wyczerpano próby zapisania wyniku w źródle",
        ],
    ),
];

const ANYTHING: [&str; 4] = ["Novo evento", "Nuevo evento", "New event", "Nowe zdarzenie"];

fn place(language: Language) -> usize {
    match language {
        Language::PtBr => 0,
        Language::Es => 1,
        Language::En => 2,
        Language::Pl => 3,
    }
}

fn find(words: &'static [Word], name: &str, language: Language) -> Option<&'static str> {
    words.iter().find(|(known, _)| *known == name).map(|(_, called)| called[place(language)])
}

/// What a type of event is called; one without a word of its own is new, and named.
pub(super) fn title(event_type: &str, language: Language) -> String {
    match find(TITLES, event_type, language) {
        Some(title) => title.to_owned(),
        None => format!("{}: {event_type}", ANYTHING[place(language)]),
    }
}

/// What a state of a boleto is called.
pub(super) fn state(name: &str, language: Language) -> String {
    find(STATES, name, language).unwrap_or(name).to_owned()
}

/// What a reason is called: the words for its name, which ends at a colon.
pub(super) fn reason(text: &str, language: Language) -> String {
    let name = text.split(':').next().unwrap_or_default();
    find(REASONS, name, language).unwrap_or(name).to_owned()
}

/// A moment in a zone, with the zone's distance from UTC: `22/11/2026 08:37 (UTC-03:00)`.
pub(super) fn moment(at: DateTime<Utc>, zone: Tz, language: Language) -> String {
    let pattern = match language {
        Language::PtBr | Language::Es => "%d/%m/%Y %H:%M (UTC%:z)",
        Language::En => "%-d %b %Y, %H:%M (UTC%:z)",
        Language::Pl => "%d.%m.%Y %H:%M (UTC%:z)",
    };
    at.with_timezone(&zone).format(pattern).to_string()
}

/// A day on the calendar.
pub(super) fn day(date: NaiveDate, language: Language) -> String {
    let pattern = match language {
        Language::PtBr | Language::Es => "%d/%m/%Y",
        Language::En => "%-d %b %Y",
        Language::Pl => "%d.%m.%Y",
    };
    date.format(pattern).to_string()
}

/// An amount of BRL. What belongs together is not parted at the end of a line.
pub(super) fn money(cents: i64, language: Language) -> String {
    let (group, point) = match language {
        Language::PtBr | Language::Es => (".", ","),
        Language::En => (",", "."),
        Language::Pl => ("\u{a0}", ","),
    };
    let sign = if cents < 0 { "-" } else { "" };
    let (whole, rest) = (cents.unsigned_abs() / 100, cents.unsigned_abs() % 100);
    let digits = whole.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push_str(group);
        }
        grouped.push(digit);
    }
    match language {
        Language::PtBr | Language::Es => format!("{sign}R$\u{a0}{grouped}{point}{rest:02}"),
        Language::En => format!("{sign}R${grouped}{point}{rest:02}"),
        Language::Pl => format!("{sign}{grouped}{point}{rest:02}\u{a0}R$"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::boleto::status::Status;
    use crate::domain::event::{ENDPOINT_TEST, types_for_owners};
    use crate::domain::transfer::judgement::Reason;

    #[test]
    fn every_event_and_every_state_has_a_word_in_every_language() {
        for name in types_for_owners().iter().map(String::as_str).chain([ENDPOINT_TEST]) {
            for language in Language::ALL {
                assert!(!title(name, language).contains('.'), "{name} has no title in {}", language.tag());
            }
        }
        for status in Status::ALL {
            assert!(STATES.iter().any(|(known, _)| *known == status.as_str()), "{status:?}");
        }
        for known in Reason::ALL {
            assert!(REASONS.iter().any(|(name, _)| *name == known.as_str()), "{known:?}");
        }
        assert_eq!(reason("too_old: 80 h", Language::Pl), "nagranie jest zbyt stare");
        assert_eq!(reason("of_another_kind: so it is", Language::Pl), "of_another_kind");
        assert_eq!(title("payment.settled", Language::Pl), "Nowe zdarzenie: payment.settled");
    }

    #[test]
    fn amounts_are_written_as_readers_write_them() {
        let written = Language::ALL.map(|language| money(123_456_789, language));
        assert_eq!(
            written,
            [
                "R$\u{a0}1.234.567,89",
                "R$\u{a0}1.234.567,89",
                "R$1,234,567.89",
                "1\u{a0}234\u{a0}567,89\u{a0}R$"
            ]
        );
        assert_eq!(money(5, Language::En), "R$0.05");
        assert_eq!(money(-100_000, Language::PtBr), "-R$\u{a0}1.000,00");
        assert_eq!(money(i64::MIN, Language::En), "-R$92,233,720,368,547,758.08");
    }

    #[test]
    fn moments_are_told_in_the_zone_and_say_so() {
        let at: DateTime<Utc> = "2026-11-22T02:05:00Z".parse().unwrap();
        let told = Language::ALL.map(|language| moment(at, chrono_tz::America::Sao_Paulo, language));
        assert_eq!(
            told,
            [
                "21/11/2026 23:05 (UTC-03:00)",
                "21/11/2026 23:05 (UTC-03:00)",
                "21 Nov 2026, 23:05 (UTC-03:00)",
                "21.11.2026 23:05 (UTC-03:00)",
            ]
        );
        let date = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
        assert_eq!(
            Language::ALL.map(|language| day(date, language)),
            ["01/03/2026", "01/03/2026", "1 Mar 2026", "01.03.2026"]
        );
    }
}
