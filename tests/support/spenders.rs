//! Clients of `limits_service` that do not give up: what is not answered is asked again under its number, until it is. Each knows what it was told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::http::Http;
use super::random::Random;

/// How long a request may take to be answered, over all its attempts.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a service has told its clients.
#[derive(Debug, Default)]
pub struct Told {
    /// By card, the sum of what was allowed.
    pub allowed: BTreeMap<String, u64>,
    pub answers: u64,
    pub declined: u64,
    /// Requests that were sent and not answered, and so were asked again.
    pub in_doubt: u64,
    /// Requests that were asked again although they had been answered.
    pub repeated: u64,
}

/// Clients at work.
pub struct Spenders {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Told>>,
}

struct Shared {
    /// Where the service is now.
    address: Mutex<SocketAddr>,
    cards: Vec<String>,
    answers: AtomicU64,
    over: AtomicBool,
}

impl Spenders {
    /// So many clients, which spend by these cards.
    pub fn start(count: u64, address: SocketAddr, cards: &[&str], random: &mut Random) -> Spenders {
        let shared = Arc::new(Shared {
            address: Mutex::new(address),
            cards: cards.iter().map(|card| (*card).to_owned()).collect(),
            answers: AtomicU64::new(0),
            over: AtomicBool::new(false),
        });
        let threads = (0..count).map(|client| {
            let (shared, random) = (shared.clone(), Random::of(random.next()));
            let spender = Spender { shared, client, random, connection: None, told: Told::default() };
            std::thread::spawn(|| spender.run())
        });
        Spenders { threads: threads.collect(), shared }
    }

    /// The service is somewhere else.
    pub fn move_to(&self, address: SocketAddr) {
        *self.shared.address.lock().unwrap() = address;
    }

    /// How many answers there have been.
    pub fn answers(&self) -> u64 {
        self.shared.answers.load(Ordering::Relaxed)
    }

    /// Waits for the answers to what has been asked.
    pub fn finish(self) -> Told {
        self.shared.over.store(true, Ordering::Relaxed);
        let mut all = Told::default();
        for thread in self.threads {
            let told = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            for (card, sum) in told.allowed {
                *all.allowed.entry(card).or_default() += sum;
            }
            all.answers += told.answers;
            all.declined += told.declined;
            all.in_doubt += told.in_doubt;
            all.repeated += told.repeated;
        }
        all
    }
}

struct Spender {
    shared: Arc<Shared>,
    client: u64,
    random: Random,
    connection: Option<Http>,
    told: Told,
}

impl Spender {
    fn run(mut self) -> Told {
        for number in 0.. {
            if self.shared.over.load(Ordering::Relaxed) {
                break;
            }
            let card = self.shared.cards[self.random.below(self.shared.cards.len() as u64) as usize].clone();
            let amount = self.random.between(1, 100);
            let body = format!(
                r#"{{"request_id": "{}-{number}", "card": "{card}", "amount": {amount}}}"#,
                self.client
            );
            let answer = self.until_answered(&body);
            self.told.answers += 1;
            self.shared.answers.fetch_add(1, Ordering::Relaxed);
            match answer["allowed"].as_bool().unwrap() {
                true => *self.told.allowed.entry(card).or_default() += amount,
                false => self.told.declined += 1,
            }
            if self.random.below(8) == 0 {
                self.told.repeated += 1;
                assert_eq!(
                    self.until_answered(&body),
                    answer,
                    "the same request has the same answer: {body}"
                );
            }
        }
        self.told
    }

    /// Asks until there is an answer, wherever the service is by then.
    fn until_answered(&mut self, body: &str) -> serde_json::Value {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.ask(body) {
                Ok(answer) if answer.status == 200 => return answer.body,
                // Its job is on its way up or down.
                Ok(answer) if answer.status >= 500 => self.told.in_doubt += 1,
                Ok(answer) => panic!("{body}: {answer:?}"),
                Err(_) => {
                    self.told.in_doubt += u64::from(self.connection.is_some());
                    self.connection = None;
                }
            }
            assert!(Instant::now() < end, "no answer within {PATIENCE:?}: {body}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn ask(&mut self, body: &str) -> std::io::Result<super::http::Answer> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let address = *self.shared.address.lock().unwrap();
                none.insert(Http::connect(address)?)
            }
        };
        connection.ask("POST", "/spend", body)
    }
}
