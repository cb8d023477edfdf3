//! The runbook's commands, as the program's own arguments: whoever is woken by an alert can type what stands there.
//!
//! **Owns** nothing. **Fails** where a command is none, with clap's words. **Limits**: nothing is run. A command stands in code,
//! begins with `bursar` and has no quotes; a fenced one is one line. A word in capitals stands for what only the operator knows.

use clap::Parser as _;

use super::Cli;

const RUNBOOK: &str = include_str!("../../../config/alerts/RUNBOOK.md");

/// The commands of a page, one a line of code or several behind each other. What follows a `#` is a comment.
fn commands(page: &str) -> Vec<String> {
    code(page).iter().flat_map(|code| separate(code)).collect()
}

/// What stands between fences, line by line, and what stands between two backticks.
fn code(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut prose = String::new();
    let mut is_fenced = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        } else if is_fenced {
            found.push(line.to_owned());
        } else {
            prose.push_str(line);
            prose.push(' ');
        }
    }
    assert!(!is_fenced, "a fence is not closed");
    let parts: Vec<&str> = prose.split('`').collect();
    assert!(parts.len() % 2 == 1, "a backtick is not closed");
    found.extend(parts.iter().skip(1).step_by(2).map(|part| (*part).to_owned()));
    found
}

fn separate(code: &str) -> Vec<String> {
    let line = format!(" {code}");
    let line = line.split(" #").next().unwrap_or_default();
    let parts = line.split([';', '|', '&']).map(str::trim);
    parts.filter(|part| part.starts_with("bursar ")).map(str::to_owned).collect()
}

/// Something valid for a word in capitals; every other word as it stands.
fn filled(word: &str) -> &str {
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    match word {
        "SLOTS" => "8",
        "TIME" => "2027-03-01T00:00:00Z",
        _ if word.len() > 1 && word.bytes().all(is_letter) => "0190a5f4-7c1e-7b3a-9d52-3f6e8c2b1a47",
        _ => word,
    }
}

/// Why clap refuses a command, if it does.
fn fault(command: &str) -> Option<String> {
    let refused = Cli::try_parse_from(command.split_whitespace().map(filled)).err()?;
    Some(format!("`{command}`: {refused}"))
}

#[test]
fn every_command_of_the_runbook_can_be_typed() {
    let commands = commands(RUNBOOK);
    assert!(commands.len() >= 30, "{commands:#?}");
    let faults: Vec<String> = commands.iter().filter_map(|command| fault(command)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn commands_are_found_wherever_they_stand() {
    let page = "\
# bursar ps
Ask `bursar ps`, `bursar
info` and `bursar.toml`, or bursar top:

```sh
bursar queue list | less   # bursar queue pause
# bursar drain
systemctl stop bursar; bursar work list && bursar work get ID
```
";
    let found = ["bursar queue list", "bursar work list", "bursar work get ID", "bursar ps", "bursar info"];
    assert_eq!(commands(page), found);
}

#[test]
fn a_command_that_lacks_something_is_refused() {
    assert_eq!(fault("bursar delivery recover ID --since TIME --reason TEXT"), None);
    let said = fault("bursar delivery recover ID").unwrap();
    assert!(said.starts_with("`bursar delivery recover ID`: error: ") && said.contains("--since"), "{said}");
    assert!(fault("bursar delivery list").is_some() && fault("bursar actor resize analysis").is_some());
    assert!(fault("bursar quue list").is_some());
}
