//! `bursar completions` and `bursar man`: what shells and readers of manuals are given, made from the command line itself.
//!
//! **Owns** nothing. **Fails** when a page cannot be written. **Limits**: pages go into a folder that is there; those of the
//! same names are replaced.

use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory as _, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;
use serde_json::json;
use tonic::Code;

use super::Cli;
use super::failure::Failure;
use super::screen::Screen;

#[derive(Args)]
pub(super) struct CompletionsArgs {
    /// For which shell
    shell: ShellName,
}

/// The shells that complete our commands.
#[derive(Clone, Copy, ValueEnum)]
enum ShellName {
    Bash,
    Zsh,
    Fish,
}

#[derive(Args)]
pub(super) struct ManArgs {
    /// The folder that takes a page for every command
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

pub(super) fn completions(args: CompletionsArgs, screen: &mut Screen) -> Result<(), Failure> {
    let shell = match args.shell {
        ShellName::Bash => Shell::Bash,
        ShellName::Zsh => Shell::Zsh,
        ShellName::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "bursar", &mut script);
    screen.write_bytes(&script)
}

pub(super) fn man(args: ManArgs, screen: &mut Screen) -> Result<(), Failure> {
    let mut pages = Vec::new();
    // It is not built before: that would give every page the options of every command, which stand on the first.
    write_pages(Cli::command(), &[], &args.to, &mut pages)?;
    screen.show(&json!({ "pages": pages }), |_| {
        format!("{} pages written; read one with `man {}`\n", pages.len(), args.to.join("bursar.1").display())
    })
}

/// A page for a command and for each below it that people are shown; `path` is what is typed before its name.
fn write_pages(
    command: Command,
    path: &[String],
    folder: &Path,
    pages: &mut Vec<String>,
) -> Result<(), Failure> {
    let path = [path, &[command.get_name().to_owned()]].concat();
    let below: Vec<Command> = command.get_subcommands().filter(|one| !one.is_hide_set()).cloned().collect();
    let name = path.join("-");
    let file = folder.join(format!("{name}.1"));
    let unwritable = |error: std::io::Error| {
        Failure::found(
            Code::FailedPrecondition,
            format!("{} cannot be written: {}", file.display(), error.kind()),
        )
    };
    let command = command.display_name(name.clone()).bin_name(path.join(" "));
    let mut page = Vec::new();
    Man::new(command).render(&mut page).map_err(unwritable)?;
    std::fs::write(&file, page).map_err(unwritable)?;
    pages.push(format!("{name}.1"));
    for command in below {
        write_pages(command, &path, folder, pages)?;
    }
    Ok(())
}
