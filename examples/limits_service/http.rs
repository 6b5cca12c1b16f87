//! What is asked over HTTP, and how it is answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use millstream::embed::Sent;
use millstream::job::{JobControl, StateHandle};
use millstream::prelude::*;
use serde::{Deserialize, Serialize};

use crate::limits::{Answer, Card, Outcome, Rule, Spend};
use crate::problem::Problem;

/// The longest name of a card or number of a request, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// What the handlers share. A handle is one sender's: tasks that share one take turns, each for the moment that it takes to put a record in.
pub struct Service {
    pub asks: Mutex<Ask<Spend, Answer>>,
    pub rules: Mutex<Ingress<Rule>>,
    pub cards: StateHandle<str, Card>,
    pub job: JobControl,
    /// How long a caller waits at the most.
    pub deadline: Duration,
}

pub fn routes(service: Arc<Service>) -> Router {
    Router::new()
        .route("/spend", post(spend))
        .route("/rules/{card}", put(set_rule))
        .route("/cards/{card}", get(card))
        .route("/health", get(health))
        .with_state(service)
}

fn lock<T>(handle: &Mutex<T>) -> MutexGuard<'_, T> {
    // A handle is as good as before if somebody has panicked with it.
    handle.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Deserialize)]
struct SpendBody {
    request_id: String,
    card: String,
    /// Signed, so that a negative one can be named.
    amount: i64,
}

#[derive(Serialize)]
struct SpendReply {
    allowed: bool,
    remaining: u64,
}

async fn spend(
    State(service): State<Arc<Service>>,
    body: Result<Json<SpendBody>, JsonRejection>,
) -> Result<Json<SpendReply>, Problem> {
    let Json(SpendBody { request_id, card, amount }) = body?;
    check_name("request_id", &request_id)?;
    check_name("card", &card)?;
    let amount = match u64::try_from(amount) {
        Ok(amount) if amount > 0 => amount,
        _ => return Err(Problem::input(format!("amount is {amount}; give cents, from 1 up"))),
    };
    let spend = Spend { request_id, card: card.clone(), amount };
    // Sent without waiting: with as many calls under way as there can be, it is the caller who waits.
    let call = lock(&service.asks).start(spend, service.deadline)?;
    let Answer { outcome, remaining } = call.await?;
    match outcome {
        Outcome::Allowed => Ok(Json(SpendReply { allowed: true, remaining })),
        Outcome::Declined => Ok(Json(SpendReply { allowed: false, remaining })),
        Outcome::NoRule => Err(Problem::unknown_card(&card)),
        Outcome::OtherAmount => Err(Problem::new(
            StatusCode::CONFLICT,
            "this request_id was used for another amount; give each request one of its own",
        )),
    }
}

#[derive(Deserialize)]
struct RuleBody {
    limit: i64,
}

/// Accepted means: it survives a power failure, and holds for requests from a moment later on.
async fn set_rule(
    State(service): State<Arc<Service>>,
    Path(card): Path<String>,
    body: Result<Json<RuleBody>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(RuleBody { limit }) = body?;
    check_name("card", &card)?;
    let limit = u64::try_from(limit)
        .map_err(|_| Problem::input(format!("limit is {limit}; give cents, from 0 up")))?;
    let durable = {
        let mut rules = lock(&service.rules);
        match rules.try_send(Rule { card, limit })? {
            Sent::Journaled(seq) => rules.durable(seq),
            // A policy that sheds, or no journal: neither is so here.
            Sent::Queued | Sent::Shed(_) => None,
        }
    };
    let durable = durable.ok_or_else(|| Problem::try_again("the journal of rules is closed"))?;
    durable.await?;
    Ok(StatusCode::ACCEPTED)
}

#[derive(Serialize)]
struct CardReply {
    limit: u64,
    spent: u64,
    remaining: u64,
}

/// What the job has at this moment.
async fn card(
    State(service): State<Arc<Service>>,
    Path(card): Path<String>,
) -> Result<Json<CardReply>, Problem> {
    let cards = service.cards.clone();
    let name = card.clone();
    // The shard answers between two steps; that is waited for on a thread that may wait.
    let found = tokio::task::spawn_blocking(move || cards.get(&name)).await??;
    let found = found.ok_or_else(|| Problem::unknown_card(&card))?;
    Ok(Json(CardReply { limit: found.limit, spent: found.spent, remaining: found.remaining() }))
}

#[derive(Serialize)]
struct Health {
    job: String,
    /// Requests that wait for their answer.
    in_flight: usize,
    /// What became of the rules that were sent.
    rules: String,
}

async fn health(State(service): State<Arc<Service>>) -> (StatusCode, Json<Health>) {
    let status = service.job.status();
    let code = match status {
        JobStatus::Running => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let (in_flight, rules) = (lock(&service.asks).in_flight(), lock(&service.rules).ledger());
    (code, Json(Health { job: status.to_string(), in_flight, rules: rules.to_string() }))
}

fn check_name(what: &str, name: &str) -> Result<(), Problem> {
    match name.len() {
        1..=NAME_BYTES_MAX => Ok(()),
        bytes => Err(Problem::input(format!("{what} has {bytes} bytes; give 1 to {NAME_BYTES_MAX}"))),
    }
}
