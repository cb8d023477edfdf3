//! The methods that the house has, by the path of a call.
//!
//! **Owns** a table made once from the compiled protocol. **Fails** never: a path of nothing is the one method [`UNKNOWN`].

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::Message as _;
use prost_types::FileDescriptorSet;

use super::OTHER;
use crate::proto::DESCRIPTOR_SET;

/// One method, as metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Method {
    /// With its package: `bursar.boleto.v1.BoletoService`.
    pub service: &'static str,
    pub name: &'static str,
}

/// What every other path counts as: health, reflection, and whatever a hostile client makes up.
pub const UNKNOWN: Method = Method { service: OTHER, name: OTHER };

static METHODS: LazyLock<HashMap<String, (String, String)>> = LazyLock::new(|| {
    // The build wrote it; were it unreadable, reflection would not start either, and all would count as unknown here.
    let files = FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap_or_default().file;
    let mut methods = HashMap::new();
    for file in files.iter().filter(|file| file.package().starts_with("bursar.")) {
        for service in &file.service {
            let full = format!("{}.{}", file.package(), service.name());
            for method in &service.method {
                let path = format!("/{full}/{}", method.name());
                methods.insert(path, (full.clone(), method.name().to_owned()));
            }
        }
    }
    methods
});

/// The method that a path calls as OpenTelemetry's conventions name it, `bursar.boleto.v1.BoletoService/CreateBoleto`; nothing for every
/// other path.
pub fn full_name(path: &str) -> Option<&'static str> {
    METHODS.get_key_value(path).map(|(path, _)| path.trim_start_matches('/'))
}

/// The method that a path calls.
pub fn of_path(path: &str) -> Method {
    let found = METHODS.get(path);
    found.map_or(UNKNOWN, |(service, name)| Method { service: service.as_str(), name: name.as_str() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_methods_of_the_protocol_or_nothing() {
        let known = of_path("/bursar.boleto.v1.BoletoService/CreateBoleto");
        assert_eq!((known.service, known.name), ("bursar.boleto.v1.BoletoService", "CreateBoleto"));
        let full = full_name("/bursar.boleto.v1.BoletoService/CreateBoleto");
        assert_eq!(full, Some("bursar.boleto.v1.BoletoService/CreateBoleto"));
        let control = of_path("/bursar.control.v1.ControlService/GetTree");
        assert_eq!(control.name, "GetTree");
        for path in [
            "",
            "/",
            "/bursar.boleto.v1.BoletoService/createboleto",
            "/bursar.boleto.v1.BoletoService/CreateBoleto/",
            "/bursar.control.v1.ControlService/DropTables-18c2",
            "/grpc.health.v1.Health/Check",
        ] {
            assert_eq!((of_path(path), full_name(path)), (UNKNOWN, None), "{path}");
        }
    }
}
