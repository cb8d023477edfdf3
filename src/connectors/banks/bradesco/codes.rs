//! Bradesco's response codes, as the replaced service had them, and what each means.
//!
//! **Owns** nothing: two complete tables. A code in neither is unknown, and so are those that look like an end and are
//! none (system unavailable, registration in progress).
//!
//! We differ where the replaced service told an owner no although the bank holds the title: "already registered" (74),
//! and the codes by which ShopFacil says that the order was authorised before. After an attempt of ours these mean that
//! it arrived; a refusal would leave a title on file that can be paid and that nobody knows of.

use std::ops::RangeInclusive;

/// Whose codes they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::connectors::banks) enum Table {
    ApiRegistro,
    ShopFacil,
}

/// What a code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::connectors::banks) enum Class {
    Registered,
    /// The bank holds a title under this number already.
    OnFile,
    Refused,
    Unknown,
}

use Class::{OnFile, Refused, Registered, Unknown};

/// What most codes begin with; the number of the message follows without zeros before it.
const PREFIX: &str = "93005";

type Ranges<T> = [(Class, RangeInclusive<T>)];

/// By the number behind the prefix.
const APIREGISTRO: &Ranges<u32> = &[
    (Registered, 1..=1),
    (Registered, 3..=3),
    (Registered, 119..=119),
    (OnFile, 74..=74),
    (Refused, 2..=2),
    (Refused, 4..=73),
    (Refused, 75..=115),
    (Refused, 117..=118),
    (Refused, 120..=120),
    (Refused, 126..=126),
    // The system is unavailable; the registration is in progress.
    (Unknown, 116..=116),
    (Unknown, 999..=999),
];

/// By the number behind the prefix.
const SHOPFACIL: &Ranges<u32> = &[
    (Registered, 1..=1),
    (Registered, 3..=3),
    (Registered, 119..=119),
    (OnFile, 74..=74),
    (Refused, 2..=2),
    (Refused, 4..=73),
    (Refused, 75..=88),
    (Refused, 99..=115),
    (Refused, 117..=118),
    (Refused, 120..=128),
    (Unknown, 116..=116),
    (Unknown, 999..=999),
];

/// ShopFacil's codes without the prefix.
const SHOPFACIL_NEGATIVE: &Ranges<i32> = &[
    // The order was authorised before.
    (OnFile, -394..=-393),
    (OnFile, -401..=-401),
    (OnFile, -999..=-999),
    (Refused, -400..=-395),
    (Refused, -415..=-415),
    (Refused, -514..=-513),
    (Refused, -531..=-516),
    (Refused, -546..=-545),
    (Refused, -549..=-549),
    (Refused, -902..=-902),
    (Refused, -998..=-998),
    (Refused, -5163..=-5162),
    (Unknown, -548..=-548),
];

impl Table {
    /// What a code means by this table.
    pub(in crate::connectors::banks) fn class(self, code: &str) -> Class {
        if code == "0" {
            return Registered;
        }
        if let Some(suffix) = code.strip_prefix(PREFIX).and_then(canonical) {
            return within(if self == Self::ApiRegistro { APIREGISTRO } else { SHOPFACIL }, suffix);
        }
        match (self, canonical(code)) {
            (Self::ShopFacil, Some(code)) => within(SHOPFACIL_NEGATIVE, code),
            _ => Unknown,
        }
    }
}

fn within<T: PartialOrd>(ranges: &Ranges<T>, number: T) -> Class {
    ranges.iter().find(|(_, range)| range.contains(&number)).map_or(Unknown, |(class, _)| *class)
}

/// A number as it is written when nothing is added: no sign but a minus, no zeros before it.
fn canonical<T: std::str::FromStr + ToString>(text: &str) -> Option<T> {
    text.parse().ok().filter(|number: &T| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(table: Table, class: Class) -> (usize, usize) {
        let positive =
            (0..10_000_u32).filter(|suffix| table.class(&format!("93005{suffix}")) == class).count();
        let plain = (-9_999..10_000_i32).filter(|code| table.class(&code.to_string()) == class).count();
        (positive, plain)
    }

    /// The counts of the replaced service's tables; 74, -393, -394, -401 and -999 have moved to a class of their own.
    #[test]
    fn the_tables_are_complete() {
        for (table, class, counted) in [
            (Table::ApiRegistro, Registered, (5 - 2, 1)),
            (Table::ApiRegistro, OnFile, (1, 0)),
            (Table::ApiRegistro, Refused, (116, 0)),
            (Table::ShopFacil, Registered, (4 - 1, 1)),
            (Table::ShopFacil, OnFile, (1, 4)),
            (Table::ShopFacil, Refused, (114 - 1, 36 - 4)),
        ] {
            assert_eq!(count(table, class), counted, "{table:?} {class:?}");
        }
    }

    #[test]
    fn each_edge_is_where_the_sheet_has_it() {
        use Table::{ApiRegistro, ShopFacil};
        for (code, apiregistro, shopfacil) in [
            ("0", Registered, Registered),
            ("930051", Registered, Registered),
            ("930052", Refused, Refused),
            ("930053", Registered, Registered),
            ("9300573", Refused, Refused),
            ("9300574", OnFile, OnFile),
            ("9300588", Refused, Refused),
            ("9300589", Refused, Unknown),
            ("9300598", Refused, Unknown),
            ("9300599", Refused, Refused),
            ("93005115", Refused, Refused),
            ("93005116", Unknown, Unknown),
            ("93005119", Registered, Registered),
            ("93005121", Unknown, Refused),
            ("93005126", Refused, Refused),
            ("93005128", Unknown, Refused),
            ("93005129", Unknown, Unknown),
            ("93005999", Unknown, Unknown),
            ("-393", Unknown, OnFile),
            ("-395", Unknown, Refused),
            ("-400", Unknown, Refused),
            ("-402", Unknown, Unknown),
            ("-515", Unknown, Unknown),
            ("-548", Unknown, Unknown),
            ("-999", Unknown, OnFile),
            ("-5163", Unknown, Refused),
            // What is written otherwise is another code.
            ("9300501", Unknown, Unknown),
            ("93005", Unknown, Unknown),
            ("930050", Unknown, Unknown),
            ("93005-1", Unknown, Unknown),
            ("93005+1", Unknown, Unknown),
            ("00", Unknown, Unknown),
            ("-0393", Unknown, Unknown),
            ("+0", Unknown, Unknown),
            ("74", Unknown, Unknown),
            ("", Unknown, Unknown),
            ("MP400", Unknown, Unknown),
        ] {
            assert_eq!((ApiRegistro.class(code), ShopFacil.class(code)), (apiregistro, shopfacil), "{code}");
        }
    }
}
