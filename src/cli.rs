//! The command line: arguments in, one command run, an exit code out.
//!
//! What it shows and does goes over the same gRPC as for everybody else; only `serve`, `sandbox` and `bench` open
//! a house of their own, `store` and `import` open databases without one, and `config` reads a configuration without opening anything.
//!
//! **Owns** nothing. **Fails** with one of the codes of [`Exit`], after saying on stderr why.
//! **Limits**: an answer is waited for as long as `--timeout` says; a file that is read holds at most 1 MiB.
//!
//! Tour: one command is one file; `connection` reaches the service, `failure` and `exit` say what went wrong,
//! `input` reads JSON, `render` writes it, `table` and `screen` are what a person sees.

mod account;
mod actor;
pub mod args;
pub mod bench;
mod boleto;
mod config;
mod connection;
mod delivery;
mod drain;
mod endpoint;
mod exit;
mod failure;
pub mod house;
mod import;
mod info;
mod input;
mod job;
mod openbanking;
mod paging;
mod progress;
mod ps;
mod queue;
mod render;
mod sample;
pub mod sandbox;
mod screen;
pub mod serve;
mod store;
mod table;
mod trace;
mod transfer;
mod work;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use self::args::{SandboxArgs, ServeArgs};
use self::connection::{Address, Connection};
pub use self::exit::Exit;
use self::failure::Failure;
use self::screen::Screen;

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
    Drain,
    /// Show version, store and readiness of the service
    Info,
    /// Take over what another service has
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Move a closed store into another database
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Check or show a configuration without opening anything
    #[command(subcommand)]
    Config(config::ConfigCommand),
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
        ClientCommand::Config(command) => return config::run(command, screen),
        ClientCommand::Store(command) => return store::run(command, global, screen).await,
        ClientCommand::Import(command) => return import::run(command, global, screen).await,
        command => command,
    };
    let connection = Connection::open(&global.address, global.timeout).await?;
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
        ClientCommand::Drain => drain::run(&connection, screen).await,
        ClientCommand::Info => info::run(&connection, screen).await,
        ClientCommand::Config(_) | ClientCommand::Import(_) | ClientCommand::Store(_) => {
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
