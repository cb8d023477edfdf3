//! The command line: arguments in, one command run, an exit code out.
//!
//! What it shows and does goes over the same gRPC as for everybody else; only `serve`, `sandbox` and `bench` open
//! a house of their own, `store` and `import` open databases without one, and `config` reads a configuration without opening anything, but for a reload.
//!
//! **Owns** nothing. **Fails** with one of the codes of [`Exit`], after saying on stderr why.
//! **Limits**: an answer is waited for as long as `--timeout` says; a file that is read holds at most 1 MiB.
//!
//! Tour: one command is one file; `connection` reaches the service, `failure`, `remedy` and `exit` say what went wrong,
//! `input` reads JSON, `render` writes it, `table` and `screen` are what a person sees.

mod account;
mod actor;
pub mod args;
mod audit;
mod backup;
pub mod bench;
mod boleto;
mod config;
mod connection;
mod credentials;
mod delivery;
mod doctor;
mod drain;
mod endpoint;
mod exit;
mod failure;
mod hand;
mod health;
pub mod house;
mod import;
mod info;
mod input;
mod job;
mod manual;
mod openbanking;
mod paging;
mod progress;
mod ps;
mod queue;
pub mod remedy;
mod render;
mod sample;
pub mod sandbox;
mod screen;
pub mod serve;
mod store;
mod table;
mod tls;
mod token;
mod top;
mod trace;
mod transfer;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use self::args::{SandboxArgs, ServeArgs};
use self::connection::{Address, Connection};
use self::credentials::Credentials;
pub use self::exit::Exit;
use self::failure::Failure;
use self::screen::Screen;
use self::tls::TlsArgs;

const GLOBAL: &str = "Options of every command";

/// The arguments of the `bursar` program.
#[derive(Parser)]
#[command(
    name = "bursar",
    version,
    about = "A supervised runtime for the payment back office",
    after_help = exit::HELP,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args)]
struct Global {
    /// Where the service listens
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL,
        env = "BURSAR_ADDRESS",
        default_value = "http://127.0.0.1:7400",
        value_name = "URL",
        value_parser = Address::parse
    )]
    address: Address,
    /// A file that holds the token to be shown, and nothing else; without it BURSAR_TOKEN is shown, if it is set
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "PATH")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    tls: TlsArgs,
    /// Print JSON, with the field names of the protocol
    #[arg(long, global = true, help_heading = GLOBAL)]
    json: bool,
    /// How long to wait for an answer, such as 500ms or 1min
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL,
        default_value = "10s",
        value_name = "DURATION",
        value_parser = humantime::parse_duration
    )]
    timeout: Duration,
}

#[derive(Subcommand)]
enum Command {
    /// Open the house and serve until a signal ends it
    Serve(ServeArgs),
    /// Open the house with the outside world in miniature beside it, for a first look
    Sandbox(SandboxArgs),
    /// The outside world in miniature, as the process that `sandbox` starts
    #[command(hide = true)]
    SandboxWorld(sandbox::WorldArgs),
    /// Measure what this machine can do
    Bench(bench::BenchArgs),
    #[command(flatten)]
    Client(ClientCommand),
}

/// The commands that end with what they have shown.
#[derive(Subcommand)]
enum ClientCommand {
    /// Show the tree of supervisors and actors, and the processes on the store
    Ps(ps::PsArgs),
    /// Watch the tree, queues, breakers, timetable, failing work, boletos and transfers in a terminal, live
    Top(top::TopArgs),
    /// Issue, find, follow and read boletos
    #[command(subcommand)]
    Boleto(boleto::BoletoCommand),
    /// Keep the bank accounts under which boletos are issued
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Find, follow, repeat and read analyses of recorded questionings
    #[command(subcommand)]
    Transfer(transfer::TransferCommand),
    /// Customers of banks: their consents, accounts and payments, and the visits at their banks
    #[command(subcommand, alias = "ob")]
    Openbanking(openbanking::OpenBankingCommand),
    /// Keep the destinations that owners are told at
    #[command(subcommand)]
    Endpoint(endpoint::EndpointCommand),
    /// See what owners were told and what they answered; send again, or no more
    #[command(subcommand)]
    Delivery(delivery::DeliveryCommand),
    /// See and steer what waits, runs or has ended in the durable engine
    #[command(subcommand)]
    Work(work::WorkCommand),
    /// See the queues, hold them back, and let them go on
    #[command(subcommand)]
    Queue(queue::QueueCommand),
    /// See the timetable and the runs of its jobs; begin, pause, repeat and cancel them
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Show what was done under one execution id
    Trace(trace::TraceArgs),
    /// Restart, stop, start, pause or resume an actor, or a whole branch
    #[command(subcommand)]
    Actor(actor::ActorCommand),
    /// Have the service refuse new work, finish what it has in hand, and end
    Drain(drain::DrainArgs),
    /// Show version, store and readiness of the service
    Info,
    /// Say whether the service is ready, or lives; for probes
    Health(health::HealthArgs),
    /// Make, list and revoke the tokens by which callers are known
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// See who did what, and that nobody has changed the record of it
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Take over what another service has
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Move a closed store into another database
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Check, show or begin a configuration without opening anything, or have the service read its own again
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Copy the embedded store beside an open house, and read the copy back
    Backup(backup::BackupArgs),
    /// Look for what is wrong here or soon will be: database, clock, certificates, secrets, queues
    Doctor(doctor::DoctorArgs),
    /// Print what a shell needs to complete our commands
    Completions(manual::CompletionsArgs),
    /// Write the pages of the manual, one for each command
    Man(manual::ManArgs),
}

/// Runs one command and says how it went.
///
/// # Errors
/// What `serve`, `sandbox` and `bench` fail with; the other commands say their failures themselves.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { global, command } = cli;
    match command {
        Command::Serve(args) => serve::run(args).await,
        Command::Sandbox(args) => sandbox::run(SandboxArgs { json: global.json, ..args }).await,
        Command::SandboxWorld(args) => sandbox::run_world(args).await,
        Command::Bench(args) => bench::run(args, global.json).await,
        Command::Client(command) => {
            let mut screen = Screen::of_process(global.json);
            let result = ask(&global, command, &mut screen).await;
            Ok(conclude(result, &mut screen).into())
        }
    }
}

/// Runs a command that ends with what it has shown.
async fn ask(global: &Global, command: ClientCommand, screen: &mut Screen) -> Result<(), Failure> {
    // Configurations and closed stores are dealt with here and now; everything else is asked of the service.
    let command = match command {
        ClientCommand::Backup(args) => return backup::run(args, screen).await,
        ClientCommand::Doctor(args) => return doctor::run(args, screen).await,
        ClientCommand::Completions(args) => return manual::completions(args, screen),
        ClientCommand::Man(args) => return manual::man(args, screen),
        ClientCommand::Store(command) => return store::run(command, global, screen).await,
        ClientCommand::Import(command) => return import::run(command, global, screen).await,
        ClientCommand::Top(args) => return top::run(args, global, screen).await,
        ClientCommand::Audit(command) => match audit::without_service(command, global, screen).await? {
            Some(command) => ClientCommand::Audit(command),
            None => return Ok(()),
        },
        ClientCommand::Config(command) => match config::without_service(command, screen).await? {
            Some(command) => ClientCommand::Config(command),
            None => return Ok(()),
        },
        ClientCommand::Token(command) => match token::without_service(command, global, screen).await? {
            Some(command) => ClientCommand::Token(command),
            None => return Ok(()),
        },
        command => command,
    };
    let credentials = Credentials::read(global.token_file.as_deref())?;
    let connection = Connection::open(&global.address, &global.tls, credentials, global.timeout).await?;
    match command {
        ClientCommand::Ps(args) => ps::run(args, &connection, screen).await,
        ClientCommand::Boleto(command) => boleto::run(command, &connection, screen).await,
        ClientCommand::Account(command) => account::run(command, &connection, screen).await,
        ClientCommand::Transfer(command) => transfer::run(command, &connection, screen).await,
        ClientCommand::Openbanking(command) => openbanking::run(command, &connection, screen).await,
        ClientCommand::Endpoint(command) => endpoint::run(command, &connection, screen).await,
        ClientCommand::Delivery(command) => delivery::run(command, &connection, screen).await,
        ClientCommand::Work(command) => work::run(command, &connection, screen).await,
        ClientCommand::Queue(command) => queue::run(command, &connection, screen).await,
        ClientCommand::Job(command) => job::run(command, &connection, screen).await,
        ClientCommand::Trace(args) => trace::run(args, &connection, screen).await,
        ClientCommand::Actor(command) => actor::run(command, &connection, screen).await,
        ClientCommand::Drain(args) => drain::run(args, &connection, screen).await,
        ClientCommand::Token(command) => token::run(command, &connection, screen).await,
        ClientCommand::Audit(command) => audit::run(command, &connection, screen).await,
        ClientCommand::Info => info::run(&connection, screen).await,
        ClientCommand::Health(args) => health::run(args, &connection, screen).await,
        ClientCommand::Config(command) => config::run(command, &connection, screen).await,
        ClientCommand::Backup(_)
        | ClientCommand::Doctor(_)
        | ClientCommand::Completions(_)
        | ClientCommand::Man(_)
        | ClientCommand::Import(_)
        | ClientCommand::Store(_)
        | ClientCommand::Top(_) => {
            unreachable!("dealt with above")
        }
    }
}

/// Says a failure and turns it into the exit code.
fn conclude(result: Result<(), Failure>, screen: &mut Screen) -> Exit {
    let Err(failure) = result else { return Exit::Success };
    screen.failure(&failure);
    failure.exit()
}

#[cfg(test)]
mod tests;
