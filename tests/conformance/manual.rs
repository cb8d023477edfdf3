//! What people read about the protocol agrees with the protocol: comments and the table of reasons.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bursar::cli::remedy;
use bursar::proto::DESCRIPTOR_SET;
use prost::Message as _;

const README: &str = include_str!("../../README.md");
const STATUS: &str = include_str!("../../src/grpc/status.rs");

/// The rows of the table of reasons in `text`: each reason with its code and with what to do.
fn reasons(text: &str) -> BTreeMap<&str, [&str; 2]> {
    let mut found = BTreeMap::new();
    let rows = text.lines().map(|line| line.trim_start_matches("//!").trim());
    for row in rows.skip_while(|row| !row.starts_with("| reason |")).take_while(|row| row.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        for name in cells[0].split('`').skip(1).step_by(2) {
            assert!(found.insert(name, [cells[1], cells[2]]).is_none(), "{name} stands in two rows");
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
    let codes = |text| reasons(text).into_iter().map(|(reason, [code, _])| (reason, code)).collect();
    let table: BTreeMap<&str, &str> = codes(STATUS);
    assert_eq!(codes(README), table);
    let mut given = BTreeSet::new();
    spoken(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/grpc"), &mut given);
    let named: BTreeSet<String> = table.keys().map(|&name| name.to_owned()).collect();
    assert_eq!(given, named);
}

#[test]
fn the_readme_lists_every_method_of_every_service() {
    let files = prost_types::FileDescriptorSet::decode(DESCRIPTOR_SET).expect("what the build wrote").file;
    let ours = files.iter().filter(|file| file.package().starts_with("bursar."));
    let services = ours.flat_map(|file| file.service.iter().map(move |service| (file.package(), service)));
    let served: BTreeMap<String, BTreeSet<&str>> = services
        .map(|(package, service)| {
            let methods = service.method.iter().map(prost_types::MethodDescriptorProto::name).collect();
            (format!("{package}.{}", service.name()), methods)
        })
        .collect();
    let rows = README
        .lines()
        .skip_while(|row| !row.starts_with("| service |"))
        .take_while(|row| row.starts_with('|'));
    let listed: BTreeMap<String, BTreeSet<&str>> = rows
        .filter_map(|row| {
            let mut names = row.split('`').skip(1).step_by(2);
            Some((names.next()?.to_owned(), names.collect()))
        })
        .collect();
    assert_eq!(listed, served);
}

#[test]
fn the_command_line_says_what_the_readme_says_to_do() {
    let table = reasons(README);
    assert!(table.len() > 60, "{table:?}");
    for (reason, [_, what_to_do]) in table {
        assert_eq!(remedy::by_reason(reason), Some(what_to_do.replace('`', "").as_str()), "{reason}");
    }
    assert_eq!(remedy::by_reason("OF_A_LATER_SERVICE"), None);
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
