//! A service that asks its job: may this card spend?
//!
//! ```text
//! POST /spend {request_id, card, amount} --ask------> by card --+
//!      {allowed, remaining} <--reply--------------------------- limits: what each card has spent, what was answered
//! PUT  /rules/{card} {limit} --ingress, journal-----> by card --+          ^
//! GET  /cards/{card} ------------------------------------------- state ----+
//! GET  /health
//! ```
//!
//! ```console
//! $ cargo run --release --example limits_service -- --state-dir target/limits --addr 127.0.0.1:8080
//! $ curl -X PUT localhost:8080/rules/ada -H 'content-type: application/json' -d '{"limit": 1000}'
//! $ curl localhost:8080/spend -H 'content-type: application/json' -d '{"request_id": "1", "card": "ada", "amount": 300}'
//! {"allowed":true,"remaining":700}
//! ```
//!
//! By default an answer is given when a checkpoint that holds its effect is durable, some milliseconds later: kill the process at any moment, start it
//! again, and nothing that was answered is undone. A caller that had no answer asks again with the same `request_id`, which takes effect once. With
//! `--level computed` answers come at once, and the last few may be undone by a crash.
//!
//! SIGTERM lets those who have asked have their answers, makes a last checkpoint, and ends the process.

#[path = "../common/mod.rs"]
mod common;
mod cores;
mod http;
mod limits;
mod problem;

use std::error::Error;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::serve::ListenerExt;
use clap::{Parser, ValueEnum};
use millstream::io::JournalOptions;
use millstream::job::JobControl;
use millstream::prelude::*;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use cores::Cores;
use http::Service;
use limits::Card;

/// Decides over HTTP whether cards may spend.
#[derive(Parser, Clone)]
struct Args {
    /// Where to listen; port 0 takes any that is free. The address is printed.
    #[arg(long, default_value = "127.0.0.1:8080")]
    addr: SocketAddr,
    /// Where checkpoints and the journal of rules are kept; a service that finds some goes on from them.
    #[arg(long, value_name = "DIR")]
    state_dir: PathBuf,
    /// When an answer is given.
    #[arg(long, value_enum, default_value_t = When::Durable)]
    level: When,
    /// The time between two checkpoints.
    #[arg(long, value_name = "MS", default_value_t = 5)]
    checkpoint_interval: u64,
    /// How long a caller waits for an answer at the most.
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    deadline: u64,
    /// How many requests can wait for their answers at a time.
    #[arg(long, default_value_t = 4096)]
    in_flight: usize,
    /// For how long answers are remembered, so that a request that comes again has the same one.
    #[arg(long, value_name = "SECS", default_value_t = 86_400)]
    remember: u64,
    /// The core of the shard (default: the first one); the HTTP server has the others.
    #[arg(long)]
    core: Option<usize>,
    #[command(flatten)]
    explain: common::Explain,
}

#[derive(Clone, Copy, ValueEnum)]
enum When {
    /// When its effect survives a crash.
    Durable,
    /// As soon as it has been made.
    Computed,
}

/// How long those who have asked have for their answers after a signal.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// How often it is looked whether the job goes on.
const LOOK_EVERY: Duration = Duration::from_millis(50);

fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    let cores = Cores::divided(args.core);
    let job = Job::new("limits")
        .cores([cores.shard])
        .state_dir(&args.state_dir)
        .checkpoint_interval(Duration::from_millis(args.checkpoint_interval));
    let level = match args.level {
        When::Durable => Level::Durable,
        When::Computed => Level::Computed,
    };
    let asks = job.ask("spend", AskOptions::new().in_flight(args.in_flight).level(level));
    let rules = job.ingress("rules", IngressOptions::new().journal(JournalOptions::new()));
    let remember = Duration::from_secs(args.remember);
    let program = move |flow: &Flow| limits::program(flow, remember);
    if let Some(code) = args.explain.instead(&job, program) {
        return Ok(code);
    }
    let running = job.spawn(program)?;
    let cards = running.state::<str, Card>("limits", "card")?;
    let service = Arc::new(Service {
        asks: Mutex::new(asks),
        rules: Mutex::new(rules),
        cards,
        job: running.control(),
        deadline: Duration::from_millis(args.deadline),
    });
    cores.leave_the_shards();
    let served = serve(args.addr, cores.others.len(), service.clone());
    // Whatever has become of the server: what the job has done is saved. The service is kept until then. With its handles the streams would end, and a
    // job whose streams have ended does not go on another time.
    running.stop();
    let summary = running.wait()?;
    drop(service);
    tracing::info!("{summary}");
    served.map(|()| common::ended(&summary))
}

/// Serves until a signal, or until the job has ended by itself.
fn serve(addr: SocketAddr, threads: usize, service: Arc<Service>) -> Result<(), Box<dyn Error>> {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    tokio.block_on(async {
        let (drain, mut asked) = watch::channel(false);
        drains_at(SignalKind::terminate(), drain.clone())?;
        drains_at(SignalKind::interrupt(), drain.clone())?;
        tokio::spawn(drains_after(service.job.clone(), drain));
        let server = listen(addr, service, asked.clone()).await?;
        asked.wait_for(|asked| *asked).await?;
        match tokio::time::timeout(DRAIN_TIME, server).await {
            Ok(served) => served??,
            Err(_) => tracing::warn!("some callers have not had their answers within {DRAIN_TIME:?}"),
        }
        Ok(())
    })
}

async fn drains_after(job: JobControl, drain: watch::Sender<bool>) {
    while !job.status().is_over() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    drain.send_replace(true);
}

fn drains_at(kind: SignalKind, drain: watch::Sender<bool>) -> std::io::Result<()> {
    let mut signals = signal(kind)?;
    tokio::spawn(async move {
        signals.recv().await;
        drain.send_replace(true);
    });
    Ok(())
}

/// Begins to serve, until it is asked to drain: then nobody new is let in, and those who have asked are answered.
async fn listen(
    addr: SocketAddr,
    service: Arc<Service>,
    mut asked: watch::Receiver<bool>,
) -> Result<tokio::task::JoinHandle<std::io::Result<()>>, Box<dyn Error>> {
    let listener = TcpListener::bind(addr)
        .await
        .map_err(|error| format!("cannot listen on {addr}: {error}; choose another address with --addr"))?;
    println!("listening on {}", listener.local_addr()?);
    let listener = listener.tap_io(|connection| {
        // Answers are small and not to wait for more.
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!("a connection keeps small answers back: {error}");
        }
    });
    let server = axum::serve(listener, http::routes(service)).with_graceful_shutdown(async move {
        // Whoever could ask for it would have to be gone.
        let _ = asked.wait_for(|asked| *asked).await;
    });
    Ok(tokio::spawn(server.into_future()))
}

fn main() -> ExitCode {
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colours).init();
    run(Args::parse()).unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::FAILURE
    })
}
