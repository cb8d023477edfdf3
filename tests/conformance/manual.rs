//! What people read about the protocol agrees with the protocol: comments and the table of reasons.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bursar::proto::DESCRIPTOR_SET;
use prost::Message as _;

const README: &str = include_str!("../../README.md");
const STATUS: &str = include_str!("../../src/grpc/status.rs");

/// The rows of the table of reasons in `text`: each reason with its code.
fn reasons(text: &str) -> BTreeMap<&str, &str> {
    let mut found = BTreeMap::new();
    let rows = text.lines().map(|line| line.trim_start_matches("//!").trim());
    for row in rows.skip_while(|row| !row.starts_with("| reason |")).take_while(|row| row.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        for name in cells[0].split('`').skip(1).step_by(2) {
            assert!(found.insert(name, cells[1]).is_none(), "{name} stands in two rows");
        }
    }
    found
}

/// The texts between quotes that can only be reasons, and what `NotFound` is made for, in all files under `folder`.
fn spoken(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            spoken(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a source");
        for what in text.split("NotFound(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            found.insert(format!("{what}_NOT_FOUND"));
        }
        if path.ends_with("grpc/status.rs") {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            let upper = |text: &&str| {
                text.len() > 3 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
            };
            for text in code.split('"').filter(upper) {
                // What `NotFound` is made for stands for its reason, which is there already.
                if !found.contains(&format!("{text}_NOT_FOUND")) {
                    found.insert(text.to_owned());
                }
            }
        }
    }
}

#[test]
fn the_readme_tells_the_reasons_that_the_code_gives() {
    let table = reasons(STATUS);
    assert_eq!(reasons(README), table);
    let mut given = BTreeSet::new();
    spoken(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/grpc"), &mut given);
    let named: BTreeSet<String> = table.keys().map(|&name| name.to_owned()).collect();
    assert_eq!(given, named);
}

#[test]
fn every_service_and_every_method_says_what_it_is_for() {
    let files = prost_types::FileDescriptorSet::decode(DESCRIPTOR_SET).expect("what the build wrote").file;
    let mut silent = Vec::new();
    for file in files.iter().filter(|file| file.package().starts_with("bursar.")) {
        let told = file.source_code_info.as_ref().expect("comments are kept").location.iter();
        let told: BTreeMap<&[i32], &str> =
            told.map(|location| (location.path.as_slice(), location.leading_comments())).collect();
        let is_silent = |path: &[i32]| told.get(path).is_none_or(|comment| comment.trim().is_empty());
        // Field 6 of a file is its services, field 2 of a service its methods (descriptor.proto).
        for (place, service) in (0..).zip(&file.service) {
            if is_silent(&[6, place]) {
                silent.push(service.name().to_owned());
            }
            let methods = (0..).zip(&service.method);
            let methods = methods.filter(|(method, _)| is_silent(&[6, place, 2, *method]));
            silent.extend(methods.map(|(_, method)| format!("{}/{}", service.name(), method.name())));
        }
    }
    assert_eq!(silent, [""; 0]);
}
