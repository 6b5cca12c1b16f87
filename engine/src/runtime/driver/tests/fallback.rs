//! Where io_uring is refused: in a child process, because a seccomp filter cannot be taken back.

use super::*;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

const CHILD: &str = "MILLSTREAM_TEST_WITHOUT_IO_URING";
const CHILD_TEST: &str = "runtime::driver::tests::fallback::in_a_process_without_io_uring";

/// Keeps the text of every warning.
struct Warnings(&'static Mutex<Vec<String>>);

static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        span::Id::from_u64(NEXT.fetch_add(1, Ordering::Relaxed))
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        struct Message(String);
        impl Visit for Message {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.lock().unwrap().push(message.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn without_io_uring_the_thread_driver_takes_over() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD_TEST, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success(), "{out}\n{err}");
    assert!(out.contains("1 passed"), "the child ran no test: {out}");
    assert!(!err.contains("panicked"), "{err}");
}

#[test]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn in_a_process_without_io_uring() {
    if std::env::var_os(CHILD).is_none() {
        return; // the parent's own run
    }
    tracing::subscriber::set_global_default(Warnings(&WARNINGS)).unwrap();
    crate::testing::refuse_io_uring().unwrap();
    let specs =
        || vec![stepping(0, WaitPolicy::Park, |_| Step::Done), stepping(1, WaitPolicy::Park, |_| Step::Done)];

    let running = start(DriverKind::Auto, Clock::wall(), specs()).unwrap();
    assert_eq!(running.driver(), DriverKind::Thread);
    assert!(running.join().iter().all(|end| end.result.is_ok()));
    let warnings = WARNINGS.lock().unwrap().clone();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("refused by a seccomp filter, as in Docker's"), "{warnings:?}");

    let error = start(DriverKind::Glommio, Clock::wall(), specs()).unwrap_err();
    assert!(matches!(error, DriverError::Refused(Refusal::Seccomp)));
    assert!(error.to_string().contains("seccomp profile, or use the thread driver"), "{error}");
    assert_eq!(WARNINGS.lock().unwrap().len(), 1, "an error is no warning");
}
