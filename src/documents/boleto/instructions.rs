//! What the form tells the cashier and the payer, in Portuguese: the owner's own words, then what was agreed.
//!
//! **Owns** the sentences. **Fails** never. **Limits**: eight paragraphs of the owner's and seven of ours at most, which the
//! form has room for.

use crate::documents::words::{amount, date};
use crate::domain::boleto::Boleto;
use crate::domain::boleto::charges::{
    Discount, DiscountValue, Fine, FineValue, Interest, InterestValue, Percent,
};
use crate::domain::boleto::terms::{LatePayment, Terms};
use crate::domain::money::Cents;

const OWN_PARAGRAPHS_MAX: usize = 8;

/// Where it may be paid.
pub(super) fn payment_place(terms: &Terms) -> String {
    match terms.late_payment {
        Some(LatePayment::Accepted { days }) => {
            format!("Pagável em qualquer banco até {} após o vencimento", counted(days))
        }
        _ => "Pagável em qualquer banco até o vencimento".to_owned(),
    }
}

/// Everything that is to be said, a paragraph each.
pub(super) fn instructions(boleto: &Boleto) -> Vec<String> {
    let mut said = own(boleto.instructions.as_deref().unwrap_or_default());
    let charges = &boleto.terms.charges;
    said.extend(charges.discounts.iter().map(discount));
    said.extend(charges.abatement.map(|abatement| format!("Conceder abatimento de {}.", reais(abatement))));
    said.extend(charges.fine.map(fine));
    said.extend(charges.interest.map(interest));
    said.extend(boleto.terms.late_payment.map(late_payment));
    said
}

/// The owner's lines; many short ones go on in the last paragraph, so that none is lost.
fn own(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.len() <= OWN_PARAGRAPHS_MAX {
        return lines.into_iter().map(str::to_owned).collect();
    }
    let (first, rest) = lines.split_at(OWN_PARAGRAPHS_MAX - 1);
    first.iter().map(|line| (*line).to_owned()).chain([rest.join(" ")]).collect()
}

fn discount(discount: &Discount) -> String {
    let until = date(discount.until);
    match discount.value {
        DiscountValue::Amount(cents) => format!("Até {until}, desconto de {}.", reais(cents)),
        DiscountValue::Percentage(rate) => format!("Até {until}, desconto de {}.", percent(rate)),
        DiscountValue::AmountPerDayEarly(cents) => {
            format!("Até {until}, desconto de {} por dia de antecipação.", reais(cents))
        }
    }
}

fn fine(fine: Fine) -> String {
    let value = match fine.value {
        FineValue::Amount(cents) => reais(cents),
        FineValue::Percentage(rate) => percent(rate),
    };
    format!("{}, multa de {value}.", from_day(fine.after_days))
}

fn interest(interest: Interest) -> String {
    let value = match interest.value {
        InterestValue::AmountPerDay(cents) => format!("{} por dia de atraso", reais(cents)),
        InterestValue::PercentagePerMonth(rate) => format!("{} ao mês", percent(rate)),
    };
    format!("{}, juros de {value}.", from_day(interest.after_days))
}

fn late_payment(late_payment: LatePayment) -> String {
    match late_payment {
        LatePayment::Refused => "Não receber após o vencimento.".to_owned(),
        LatePayment::Accepted { days } => format!("Não receber após {} do vencimento.", counted(days)),
    }
}

fn from_day(after_days: u16) -> String {
    match after_days {
        0 | 1 => "Após o vencimento".to_owned(),
        days => format!("A partir do {days}º dia após o vencimento"),
    }
}

fn counted(days: u16) -> String {
    if days == 1 { "1 dia".to_owned() } else { format!("{days} dias") }
}

fn reais(cents: Cents) -> String {
    format!("R$ {}", amount(cents))
}

fn percent(rate: Percent) -> String {
    format!("{}%", rate.to_string().replace('.', ","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_agreed_is_said_as_people_say_it() {
        let until = "2027-03-05".parse().unwrap();
        let rate = |text: &str| text.parse::<Percent>().unwrap();
        for (said, wanted) in [
            (
                discount(&Discount { until, value: DiscountValue::Amount(Cents(123_456)) }),
                "Até 05/03/2027, desconto de R$ 1.234,56.",
            ),
            (
                discount(&Discount { until, value: DiscountValue::AmountPerDayEarly(Cents(5)) }),
                "Até 05/03/2027, desconto de R$ 0,05 por dia de antecipação.",
            ),
            (
                fine(Fine { value: FineValue::Percentage(rate("2")), after_days: 1 }),
                "Após o vencimento, multa de 2%.",
            ),
            (
                interest(Interest { value: InterestValue::PercentagePerMonth(rate("0.29")), after_days: 3 }),
                "A partir do 3º dia após o vencimento, juros de 0,29% ao mês.",
            ),
            (
                interest(Interest { value: InterestValue::AmountPerDay(Cents(33)), after_days: 1 }),
                "Após o vencimento, juros de R$ 0,33 por dia de atraso.",
            ),
            (late_payment(LatePayment::Refused), "Não receber após o vencimento."),
            (late_payment(LatePayment::Accepted { days: 1 }), "Não receber após 1 dia do vencimento."),
        ] {
            assert_eq!(said, wanted);
        }
    }

    #[test]
    fn no_line_of_the_owners_is_lost() {
        let many: Vec<String> = (1..=60).map(|line| line.to_string()).collect();
        let said = own(&many.join("\n"));
        assert_eq!(said.len(), OWN_PARAGRAPHS_MAX);
        assert_eq!(said.join(" "), many.join(" "));
        assert_eq!(own("Pague em dia.\n\n  Obrigado. "), ["Pague em dia.", "Obrigado."]);
        assert!(own("").is_empty());
    }
}
