//! `bursar config`: checks or shows a configuration, without a service and without opening anything.

use clap::Subcommand;
use serde_json::{Value, json};
use tonic::Code;

use super::args::SettingsArgs;
use super::failure::{Failure, Violation};
use super::screen::Screen;
use crate::config::{Config, ConfigErrors};

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Say everything that is wrong with it, at once
    Check(SettingsArgs),
    /// Show every setting in effect, without passwords
    Show(SettingsArgs),
}

pub(super) fn run(command: ConfigCommand, screen: &mut Screen) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(args) => {
            load(&args)?;
            screen.show(&json!({ "valid": true }), |_| "the configuration is valid\n".to_owned())
        }
        ConfigCommand::Show(args) => {
            let text = load(&args)?.to_toml_redacted();
            let document: Value = toml::from_str(&text).map_err(|_| {
                Failure::found(Code::Internal, "the configuration cannot be read back from its own text")
            })?;
            screen.show(&document, |_| text)
        }
    }
}

fn load(args: &SettingsArgs) -> Result<Config, Failure> {
    Config::load(&args.sources()).map_err(refused)
}

fn refused(errors: ConfigErrors) -> Failure {
    let violations = errors
        .problems()
        .iter()
        // The text of a problem names the key already, with where it was set.
        .map(|problem| Violation { field: String::new(), description: problem.to_string() })
        .collect();
    Failure::violated(Code::InvalidArgument, "the configuration is refused", violations)
}
