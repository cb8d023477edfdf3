//! What a caller must hold for each method, as the protocol itself declares it.
//!
//! Every method of ours carries the option `bursar.access.v1.scope`; whoever adds a method writes it there, where users read it too. What
//! of an answer is personal stands at its fields, and who writes down that it was read at the method.
//!
//! **Owns** the table, read once from the descriptor set that reflection serves. **Fails** closed: what is not in the table, or has no
//! scope that we know, is allowed to nobody. **Limits**: one scope a method, and one besides.

use std::collections::HashMap;

use prost::Message as _;

use super::descriptor::{FileSet, Method};
use super::personal::{PersonalFields, Shape};
use crate::domain::access::Scope;
use crate::proto::access::v1::Reading;

/// What a method asks of its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// None where the method declares none that we know: nobody may call it.
    pub scope: Option<Scope>,
    /// What is needed besides, because the answer cannot be masked.
    pub also: Option<Scope>,
    /// The answer, where it tells something of a person.
    pub personal: Option<Shape>,
    /// Who writes down that it was read in clear.
    pub reading: Reading,
    /// Whether it answers with a stream, which may stay open for longer than its caller may stay.
    pub answers_with_stream: bool,
}

/// The rule of every method, by its path: `/bursar.boleto.v1.BoletoService/GetBoleto`.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: HashMap<String, Rule>,
    personal: PersonalFields,
}

impl Policy {
    /// Reads a descriptor set; one that cannot be read has no method, and nobody may do anything.
    pub fn of(descriptor_set: &[u8]) -> Self {
        let set = FileSet::decode(descriptor_set).unwrap_or_default();
        let personal = PersonalFields::of(&set);
        let rules = set.files.iter().flat_map(|file| {
            let personal = &personal;
            file.services.iter().flat_map(move |service| {
                service.methods.iter().map(move |method| {
                    let path = format!("/{}.{}/{}", file.package, service.name, method.name);
                    (path, rule(method, personal))
                })
            })
        });
        Self { rules: rules.collect(), personal }
    }

    /// What of answers is about persons.
    pub fn personal(&self) -> &PersonalFields {
        &self.personal
    }

    /// The rule of the method at this path, if there is such a method.
    pub fn rule(&self, path: &str) -> Option<Rule> {
        self.rules.get(path).copied()
    }

    /// Every method with its rule.
    pub fn rules(&self) -> impl Iterator<Item = (&str, Rule)> {
        self.rules.iter().map(|(path, rule)| (path.as_str(), *rule))
    }
}

fn rule(method: &Method, personal: &PersonalFields) -> Rule {
    let options = method.options.clone().unwrap_or_default();
    let also: Option<Scope> = options.also.parse().ok();
    Rule {
        // One that nobody knows may be held by nobody.
        scope: options.scope.parse().ok().filter(|_| options.also.is_empty() || also.is_some()),
        also,
        personal: personal.shape(&method.answer),
        reading: options.reading(),
        answers_with_stream: method.server_streaming,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::DESCRIPTOR_SET;

    #[test]
    fn every_method_of_ours_declares_a_scope() {
        let policy = Policy::of(DESCRIPTOR_SET);
        let undeclared: Vec<&str> =
            policy.rules().filter(|(_, rule)| rule.scope.is_none()).map(|(path, _)| path).collect();
        assert!(undeclared.is_empty(), "no scope that we know: {undeclared:?}");
        assert!(policy.rules().count() > 100, "the whole protocol was read");
    }

    #[test]
    fn what_only_reads_needs_no_right_to_write_and_nothing_else_is_read_only() {
        const READS: [&str; 11] = [
            "Get", "List", "Watch", "Parse", "Quote", "Render", "Export", "Find", "Stream", "Plan", "Verify",
        ];
        for (path, rule) in Policy::of(DESCRIPTOR_SET).rules() {
            let (_, method) = path.rsplit_once('/').unwrap();
            let scope = rule.scope.unwrap().as_str();
            let is_read = READS.iter().any(|word| method.starts_with(word));
            assert!(
                scope == "admin" || scope.ends_with(if is_read { ".read" } else { ".write" }),
                "{path}: {scope}"
            );
        }
    }

    #[test]
    fn a_stream_is_told_from_an_answer() {
        let policy = Policy::of(DESCRIPTOR_SET);
        let of = |path| policy.rule(path).unwrap().answers_with_stream;
        assert!(of("/bursar.boleto.v1.BoletoService/WatchBoletos"));
        assert!(!of("/bursar.boleto.v1.BoletoService/GetBoleto"));
        assert_eq!(policy.rule("/bursar.boleto.v1.BoletoService/DropBoletos"), None);
    }

    #[test]
    fn what_cannot_be_masked_is_for_those_who_may_read_it() {
        let policy = Policy::of(DESCRIPTOR_SET);
        let mut also: Vec<&str> = policy
            .rules()
            .filter(|(_, rule)| rule.also == Some(Scope::PiiRead))
            .map(|(path, _)| path)
            .collect();
        also.sort_unstable();
        let expected = [
            "/bursar.boleto.v1.BoletoService/CreateDocumentLink",
            "/bursar.boleto.v1.BoletoService/RenderBoleto",
            "/bursar.transfer.v1.TransferService/GetAnalysis",
        ];
        assert_eq!(also, expected);
    }

    #[test]
    fn who_writes_down_a_reading_is_said_only_where_something_is_told_of_a_person() {
        for (path, rule) in Policy::of(DESCRIPTOR_SET).rules() {
            let says = rule.reading != Reading::Unspecified || rule.also.is_some();
            assert!(!says || rule.personal.is_some(), "{path} tells nothing of anybody");
        }
    }

    #[test]
    fn what_is_no_descriptor_set_allows_nothing() {
        assert_eq!(Policy::of(b"nonsense").rules().count(), 0);
    }
}
