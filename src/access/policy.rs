//! What a caller must hold for each method, as the protocol itself declares it.
//!
//! Every method of ours carries the option `bursar.access.v1.scope`; whoever adds a method writes it there, where users read it too.
//!
//! **Owns** the table, read once from the descriptor set that reflection serves. **Fails** closed: what is not in the table, or has no
//! scope that we know, is allowed to nobody. **Limits**: one scope a method.

use std::collections::HashMap;

use prost::Message;

use crate::domain::access::Scope;

/// What a method asks of its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// None where the method declares none that we know: nobody may call it.
    pub scope: Option<Scope>,
    /// Whether it answers with a stream, which may stay open for longer than its caller may stay.
    pub answers_with_stream: bool,
}

/// The rule of every method, by its path: `/bursar.boleto.v1.BoletoService/GetBoleto`.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: HashMap<String, Rule>,
}

impl Policy {
    /// Reads a descriptor set; one that cannot be read has no method, and nobody may do anything.
    pub fn of(descriptor_set: &[u8]) -> Self {
        let set = FileSet::decode(descriptor_set).unwrap_or_default();
        let rules = set.files.iter().flat_map(|file| {
            file.services.iter().flat_map(move |service| {
                service.methods.iter().map(move |method| {
                    let path = format!("/{}.{}/{}", file.package, service.name, method.name);
                    let scope = method.options.as_ref().and_then(|options| options.scope.parse().ok());
                    (path, Rule { scope, answers_with_stream: method.server_streaming })
                })
            })
        });
        Self { rules: rules.collect() }
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

/// `google.protobuf.FileDescriptorSet`, as much of it as is needed here, with our option.
#[derive(Clone, PartialEq, Message)]
struct FileSet {
    #[prost(message, repeated, tag = "1")]
    files: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "6")]
    services: Vec<Service>,
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    methods: Vec<Method>,
}

#[derive(Clone, PartialEq, Message)]
struct Method {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "4")]
    options: Option<Options>,
    #[prost(bool, tag = "6")]
    server_streaming: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Options {
    /// `bursar.access.v1.scope`.
    #[prost(string, tag = "74001")]
    scope: String,
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
    fn what_is_no_descriptor_set_allows_nothing() {
        assert_eq!(Policy::of(b"nonsense").rules().count(), 0);
    }
}
