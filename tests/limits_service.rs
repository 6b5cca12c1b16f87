//! The example `limits_service` under load: whatever kills it, no answer that was given is undone, and no request takes effect twice.

#![allow(clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::http::{Answer, Http};
use support::process::Process;
use support::random::Random;
use support::signal;
use support::spenders::{Spenders, Told};

/// Longer than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(90);

const KILLS: u64 = 30;

const CLIENTS: u64 = 4;
/// More than can be spent, and less.
const LIMITS: [(&str, u64); 3] = [("ada", 1 << 40), ("bob", 1 << 40), ("eve", 3_000)];
const CARDS: [&str; 3] = ["ada", "bob", "eve"];

/// A service that runs.
struct Service {
    process: Process,
    address: SocketAddr,
}

fn begin(state: &Path, more: &[&str]) -> Process {
    let mut command = support::command("limits_service");
    command.args(["--addr", "127.0.0.1:0", "--state-dir"]).arg(state).args(more);
    Process::start(command)
}

/// A service that is ready.
fn start(state: &Path, more: &[&str]) -> Service {
    let mut process = begin(state, more);
    process.until_said("listening on ", PATIENCE);
    let lines = process.lines();
    let address = lines.iter().find_map(|(_, line)| line.strip_prefix("listening on ")).unwrap();
    let service = Service { address: address.parse().unwrap(), process };
    let end = Instant::now() + PATIENCE;
    while service.ask("GET", "/health", "").status != 200 {
        assert!(Instant::now() < end, "it does not become ready: {:#?}", service.process.lines());
        std::thread::sleep(Duration::from_millis(1));
    }
    service
}

impl Service {
    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        Http::connect(self.address).unwrap().ask(method, path, body).unwrap()
    }

    #[track_caller]
    fn set_limit(&self, card: &str, limit: u64) {
        let answer = self.ask("PUT", &format!("/rules/{card}"), &format!(r#"{{"limit": {limit}}}"#));
        assert_eq!(answer.status, 202, "{answer:?}");
    }

    /// What the job knows of a card, once it is what it should be, or when that has taken too long.
    fn card_once(&self, card: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask("GET", &format!("/cards/{card}"), "");
            if Instant::now() > end || (answer.status == 200 && is_it(&answer.body)) {
                return answer.body;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until a rule holds.
    #[track_caller]
    fn has_limit(&self, card: &str, limit: u64) {
        let known = self.card_once(card, |known| known["limit"] == limit);
        assert_eq!(known["limit"], limit, "{known}");
    }

    #[track_caller]
    fn spend(&self, id: &str, card: &str, amount: i64) -> Answer {
        let body = format!(r#"{{"request_id": "{id}", "card": "{card}", "amount": {amount}}}"#);
        self.ask("POST", "/spend", &body)
    }

    /// SIGTERM; it ends well.
    #[track_caller]
    fn stop(self) {
        signal(self.process.id(), "TERM");
        self.process.wait(PATIENCE).succeeded();
    }

    /// The books are balanced: of each card that is spent which clients were told they may.
    #[track_caller]
    fn agrees_with(&self, told: &Told) {
        for (card, limit) in LIMITS {
            let allowed = told.allowed.get(card).copied().unwrap_or(0);
            let known = self.ask("GET", &format!("/cards/{card}"), "").body;
            let expected = serde_json::json!({
                "limit": limit, "spent": allowed, "remaining": limit - allowed,
            });
            assert_eq!(known, expected, "{card}; {told:?}");
        }
    }
}

/// A service with rules for all cards, and clients that spend by them.
fn under_load(state: &Path, random: &mut Random) -> (Service, Spenders) {
    let service = start(state, &[]);
    for (card, limit) in LIMITS {
        service.set_limit(card, limit);
        service.has_limit(card, limit);
    }
    let spenders = Spenders::start(CLIENTS, service.address, &CARDS, random);
    (service, spenders)
}

fn wait_for_answers(spenders: &Spenders, more: u64) {
    let (until, end) = (spenders.answers() + more, Instant::now() + PATIENCE);
    while spenders.answers() < until {
        assert!(Instant::now() < end, "no answers come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_killed_service_keeps_what_it_has_answered_and_does_nothing_twice() {
    let mut random = Random::seeded(5);
    let dir = tempfile::tempdir().unwrap();
    let (mut service, spenders) = under_load(dir.path(), &mut random);
    for kill in 1..=KILLS {
        wait_for_answers(&spenders, random.between(1, 200));
        // A rule that was accepted is not lost either.
        service.set_limit("changing", kill);
        service.process.kill().never_panicked();
        if random.below(4) == 0 {
            // Once more, while it comes up.
            let mut early = begin(dir.path(), &[]);
            let ended = early.ends_within(Duration::from_millis(random.between(0, 100)));
            assert!(!ended, "it ended by itself: {:#?}", early.lines());
            early.kill().never_panicked();
        }
        service = start(dir.path(), &[]);
        spenders.move_to(service.address);
        service.has_limit("changing", kill);
    }
    wait_for_answers(&spenders, 10);
    let told = spenders.finish();
    eprintln!("{KILLS} kills, {told:?}");
    assert!(told.in_doubt > 0 && told.repeated > 0 && told.declined > 0, "{told:?}");
    service.agrees_with(&told);
    service.stop();
    start(dir.path(), &[]).agrees_with(&told);
}

#[test]
fn a_service_that_is_asked_to_end_answers_those_who_have_asked_and_keeps_it() {
    let mut random = Random::seeded(6);
    let dir = tempfile::tempdir().unwrap();
    let (service, spenders) = under_load(dir.path(), &mut random);
    wait_for_answers(&spenders, 100);
    service.stop();
    let service = start(dir.path(), &[]);
    spenders.move_to(service.address);
    wait_for_answers(&spenders, 10);
    let told = spenders.finish();
    service.agrees_with(&told);
    service.stop();
}

#[test]
fn rules_that_are_pushed_hold_and_a_request_that_comes_again_has_its_first_answer() {
    let dir = tempfile::tempdir().unwrap();
    for level in ["durable", "computed"] {
        let service = start(&dir.path().join(level), &["--level", level]);
        let health = service.ask("GET", "/health", "");
        assert_eq!(health.body["job"], "RUNNING", "{health:?}");
        service.set_limit("ada", 100);
        service.has_limit("ada", 100);
        let told = |answer: Answer| {
            (answer.status, answer.body["allowed"].as_bool(), answer.body["remaining"].as_u64())
        };
        assert_eq!(told(service.spend("1", "ada", 70)), (200, Some(true), Some(30)));
        assert_eq!(told(service.spend("2", "ada", 70)), (200, Some(false), Some(30)));
        service.set_limit("ada", 1_000);
        service.has_limit("ada", 1_000);
        assert_eq!(told(service.spend("3", "ada", 70)), (200, Some(true), Some(860)));
        // What was answered before is what is answered again.
        assert_eq!(told(service.spend("1", "ada", 70)), (200, Some(true), Some(30)));
        assert_eq!(told(service.spend("2", "ada", 70)), (200, Some(false), Some(30)));
        // Below what has been spent.
        service.set_limit("ada", 10);
        service.has_limit("ada", 10);
        assert_eq!(told(service.spend("4", "ada", 1)), (200, Some(false), Some(0)));
        service.stop();
    }
}

#[test]
fn more_requests_than_can_wait_are_turned_away() {
    let dir = tempfile::tempdir().unwrap();
    // Whoever asks waits for the next checkpoint.
    let slow = ["--in-flight", "1", "--checkpoint-interval", "3000", "--deadline", "60000"];
    let service = start(dir.path(), &slow);
    service.set_limit("ada", 100);
    service.has_limit("ada", 100);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| service.spend("1", "ada", 60));
        let end = Instant::now() + PATIENCE;
        while service.ask("GET", "/health", "").body["in_flight"] == 0 {
            assert!(Instant::now() < end, "nobody waits");
        }
        let turned_away = service.spend("2", "ada", 60);
        assert_eq!(turned_away.status, 503, "{turned_away:?}");
        assert!(turned_away.body["error"].as_str().unwrap().contains("try again"), "{turned_away:?}");
        assert_eq!(waits.join().unwrap().body, serde_json::json!({"allowed": true, "remaining": 40}));
    });
    // It has left no trace.
    assert_eq!(service.spend("2", "ada", 40).body, serde_json::json!({"allowed": true, "remaining": 0}));
    service.stop();
}

#[test]
fn input_that_makes_no_sense_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let service = start(dir.path(), &[]);
    let refused = |method: &str, path: &str, body: &str, status: u16, words: &[&str]| {
        let answer = service.ask(method, path, body);
        let said = answer.body["error"].as_str().unwrap_or_default();
        assert_eq!(answer.status, status, "{path} {body}: {answer:?}");
        for word in words {
            assert!(said.contains(word), "{path} {body}: {said:?} does not say {word:?}");
        }
    };
    let spend = |body: &str, status, words: &[&str]| refused("POST", "/spend", body, status, words);
    spend(r#"{"request_id": "1", "card"#, 400, &["JSON", "EOF"]);
    spend(r#"{"request_id": "1", "card": "ada"}"#, 422, &["amount"]);
    spend(r#"{"request_id": "1", "card": "ada", "amount": "much"}"#, 422, &["amount", "much"]);
    spend(r#"{"request_id": "1", "card": "ada", "amount": -5}"#, 422, &["amount is -5", "from 1 up"]);
    spend(r#"{"request_id": "1", "card": "ada", "amount": 0}"#, 422, &["amount is 0"]);
    spend(r#"{"request_id": "", "card": "ada", "amount": 1}"#, 422, &["request_id has 0 bytes"]);
    spend(r#"{"request_id": "1", "card": "nobody's", "amount": 1}"#, 404, &["`nobody's`", "PUT /rules"]);
    refused("PUT", "/rules/ada", r#"{"limit": -1}"#, 422, &["limit is -1"]);
    refused("PUT", &format!("/rules/{}", "a".repeat(65)), r#"{"limit": 1}"#, 422, &["card has 65 bytes"]);
    refused("GET", "/cards/nobody", "", 404, &["`nobody`"]);
    // A card without a rule leaves no trace: the same request may be made once there is one.
    service.set_limit("ada", 100);
    service.has_limit("ada", 100);
    assert_eq!(service.spend("1", "ada", 60).status, 200);
    spend(r#"{"request_id": "1", "card": "ada", "amount": 61}"#, 409, &["another amount"]);
    service.stop();
}
