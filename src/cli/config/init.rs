//! `bursar config init`: writes a first configuration, with a comment for every line.
//!
//! What no flag says is asked for, where a person is there to answer; what nobody answers is as the defaults have it.
//!
//! **Owns** nothing. **Fails** when the file is there already: it is never written over. **Limits**: what it writes is read
//! back before it counts as written.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tonic::Code;

use super::super::failure::Failure;
use super::super::screen::Screen;
use super::refused;
use crate::config::{Config, Sources};

/// What a configuration begins with.
#[derive(Args)]
pub(in crate::cli) struct InitArgs {
    /// Where it is written; a file that is there is left alone
    #[arg(long, value_name = "FILE", default_value = "bursar.toml")]
    to: PathBuf,
    /// Where the embedded store is kept
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// sqlite:PATH or postgres://…, without a password, which belongs into PGPASSWORD or ~/.pgpass; empty for the embedded store
    #[arg(long, value_name = "URL")]
    store_url: Option<String>,
    /// Where gRPC is served
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The reference under which the key of sealed secrets is found, such as file:/run/secrets/bursar/key
    #[arg(long, value_name = "REFERENCE")]
    secrets_key: Option<String>,
    /// Where spans are sent, such as http://127.0.0.1:4317; empty for nowhere
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// Ask nothing: what no flag says is as the defaults have it
    #[arg(long)]
    no_questions: bool,
}

/// A question, the key that it is about, and why it is asked.
struct Question {
    key: &'static str,
    question: &'static str,
    comment: &'static str,
}

const QUESTIONS: [Question; 5] = [
    Question {
        key: "data_dir",
        question: "Folder of the embedded store",
        comment: "Where what this process owns is kept. An absolute path does not depend on where it is started.",
    },
    Question {
        key: "store.url",
        question: "Database (postgres://USER@HOST/NAME), or nothing for the embedded one",
        comment: "Empty for the embedded SQLite, which one process opens; a PostgreSQL for several. A password belongs into \
                  PGPASSWORD or ~/.pgpass.",
    },
    Question {
        key: "api.listen",
        question: "Address and port of gRPC",
        comment: "Loopback unless TLS and tokens are set up.",
    },
    Question {
        key: "secrets.key",
        question: "Reference to the key of sealed secrets (env:NAME or file:PATH), or nothing",
        comment: "What is made by `openssl rand -base64 32`. Without it no token of a bank and no webhook secret can be kept.",
    },
    Question {
        key: "telemetry.otlp_endpoint",
        question: "OpenTelemetry collector (http://HOST:4317), or nothing",
        comment: "Empty: nothing is exported.",
    },
];

pub(super) fn run(args: InitArgs, screen: &mut Screen) -> Result<(), Failure> {
    let flags = [&args.data_dir, &args.store_url, &args.listen, &args.secrets_key, &args.otlp_endpoint];
    if args.to.exists() {
        return Err(taken(&args));
    }
    let asks = !args.no_questions && io::stdin().is_terminal() && io::stderr().is_terminal();
    let mut answers = Vec::new();
    for (question, flag) in QUESTIONS.iter().zip(flags) {
        let answer = match flag {
            Some(text) => text.clone(),
            None if asks => ask(question)?,
            None => default_of(question.key),
        };
        answers.push(answer.trim().to_owned());
    }
    // What is wrong is told before anything is written.
    let mut sources = Sources::default();
    for (question, answer) in QUESTIONS.iter().zip(&answers) {
        sources = sources.with(question.key, answer.clone());
    }
    Config::load(&sources).map_err(refused)?;
    let text = written(&answers);
    let mut file = match OpenOptions::new().write(true).create_new(true).open(&args.to) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(taken(&args)),
        Err(error) => return Err(unwritable(&args, &error)),
    };
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|error| unwritable(&args, &error))?;
    let path = args.to.display().to_string();
    screen.show(&json!({ "file": path }), |_| {
        format!(
            "{path} is written; `bursar config check --config {path}` looks at it, \
             `bursar serve --config {path}` opens the house\n"
        )
    })
}

fn taken(args: &InitArgs) -> Failure {
    let path = args.to.display();
    Failure::found(
        Code::AlreadyExists,
        format!("{path} is there already and is not written over; give another --to, or move it away"),
    )
}

fn unwritable(args: &InitArgs, error: &io::Error) -> Failure {
    Failure::found(
        Code::FailedPrecondition,
        format!("{} cannot be written: {}", args.to.display(), error.kind()),
    )
}

fn default_of(key: &str) -> String {
    let defaults = Config::default();
    match key {
        "data_dir" => defaults.data_dir.display().to_string(),
        "api.listen" => defaults.api.listen.to_string(),
        _ => String::new(),
    }
}

/// Asks a person; an empty line takes what is proposed.
fn ask(question: &Question) -> Result<String, Failure> {
    let proposed = default_of(question.key);
    eprint!("{} [{proposed}]: ", question.question);
    io::stderr().flush()?;
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    let length = read.map_err(|error| {
        Failure::found(Code::InvalidArgument, format!("the answer cannot be read: {}", error.kind()))
    })?;
    if length == 0 {
        return Err(Failure::found(Code::Cancelled, "nothing was written: the questions were not answered"));
    }
    let answer = line.trim();
    Ok(if answer.is_empty() { proposed } else { answer.to_owned() })
}

/// The file: every answer under its table, with its comment above.
fn written(answers: &[String]) -> String {
    let mut text = "# A configuration of bursar. Every key, with its unit and the reason for its default, stands in the manual \
                    (config/default.toml);\n# `bursar config show` prints what is in effect and where it comes from.\n"
        .to_owned();
    for (question, answer) in QUESTIONS.iter().zip(answers) {
        let (table, key) = question.key.rsplit_once('.').unwrap_or(("", question.key));
        text.push('\n');
        if !table.is_empty() {
            text.push_str(&format!("[{table}]\n"));
        }
        text.push_str(&format!("# {}\n{key} = {}\n", question.comment, toml::Value::from(answer.as_str())));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_as_it_was_answered() {
        let answers =
            ["/var/lib/bursar \"a\"", "postgres://bursar@db/bursar", "127.0.0.1:7500", "env:KEY", ""];
        let text = written(&answers.map(str::to_owned));
        let path = std::env::temp_dir().join(format!("bursar-init-{}.toml", uuid::Uuid::now_v7()));
        std::fs::write(&path, &text).unwrap();
        let config = Config::load(&Sources { file: Some(path.clone()), ..Sources::default() });
        std::fs::remove_file(path).unwrap();
        let config = config.unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        assert_eq!(config.data_dir.display().to_string(), answers[0]);
        assert_eq!(config.store.url, answers[1]);
        assert_eq!(config.api.listen.to_string(), answers[2]);
        assert_eq!(config.telemetry.otlp_endpoint, None);
        assert_eq!(text.matches("\n# ").count(), QUESTIONS.len() + 1, "a comment for every line: {text}");
    }
}
