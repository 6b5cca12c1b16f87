//! Handles whose records go into a journal.

use std::path::Path;

use super::*;
use crate::journal::{JournalOptions, OnFailedRecord, Settings};
use crate::source::offset;

fn journaled(dir: &Path) -> JournalOptions {
    let settings = Settings { sync_every: Duration::from_millis(1), ..Settings::default() };
    JournalOptions::new().dir(dir).settings(settings)
}

fn started(options: JournalOptions) -> Arc<Hub<String>> {
    let hub = hub(IngressOptions::new().capacity(100).journal(options));
    hub.clone().start(None).unwrap();
    hub
}

fn offset_of(reader: &IngressReader<String>) -> [u64; 2] {
    let mut bytes = Vec::new();
    reader.offset(&mut bytes);
    offset::decode(&crate::source::PartitionId("numbers".to_owned()), &bytes).unwrap()
}

#[test]
fn a_restart_replays_what_the_checkpoint_does_not_cover() {
    let dir = tempfile::tempdir().unwrap();
    let hub = started(journaled(dir.path()));
    let (mut a, mut b) = (Ingress::new(hub.clone()), Ingress::new(hub.clone()));
    let mut reader_before = reader(&hub, None);
    assert_eq!(a.send("0".to_owned()).unwrap(), Sent::Journaled(0));
    assert_eq!(b.send("1".to_owned()).unwrap(), Sent::Journaled(1));
    assert_eq!(read(&mut reader_before).0, ["0", "1"], "one order of all handles");
    let checkpoint = offset_of(&reader_before);
    a.send("2".to_owned()).unwrap();
    assert_eq!(read(&mut reader_before).0, ["2"]);
    b.send("3".to_owned()).unwrap();
    drop(reader_before);
    a.send("4".to_owned()).unwrap();
    // In the same process: 2 comes again, 3 and 4 wait still.
    let mut reader_after = reader(&hub, Some(checkpoint));
    assert_eq!(read_until(&mut reader_after, 3), ["2", "3", "4"]);
    assert_eq!(reader_after.place(2), "numbers, record 5");
    assert_eq!(hub.ledger(), Ledger { sent: 5, processed: 5, ..Ledger::default() }, "none is counted twice");
    drop(reader_after);
    hub.close(JobStatus::Failed);
    // In another process: all come from the journal, and what is new after them.
    let hub = started(journaled(dir.path()));
    let mut again = Ingress::new(hub.clone());
    assert_eq!(again.send("5".to_owned()).unwrap(), Sent::Journaled(5));
    let mut reader_again = reader(&hub, Some(checkpoint));
    assert_eq!(read_until(&mut reader_again, 4), ["2", "3", "4", "5"]);
    let [journal, next] = offset_of(&reader_again);
    assert_eq!((journal, next), (checkpoint[0], 6));
}

#[test]
fn a_record_is_durable_soon_and_can_be_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let hub = started(journaled(dir.path()));
    let mut handle = Ingress::new(hub.clone());
    let Sent::Journaled(seq) = handle.send("a".to_owned()).unwrap() else { panic!("it is journaled") };
    handle.durable(seq).unwrap().wait(Duration::from_secs(5)).unwrap().unwrap();
    assert!(handle.durable_up_to().unwrap() > seq);
    assert!(handle.durable(seq + 1).unwrap().wait(Duration::from_millis(5)).is_none(), "that was never sent");
}

#[test]
fn nothing_is_handed_out_before_it_is_durable_where_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let hub = started(journaled(dir.path()).sync_before_hand_out());
    let mut handle = Ingress::new(hub.clone());
    let mut reader = reader(&hub, None);
    for n in 0..50u64 {
        handle.send(n.to_string()).unwrap();
        let out = read(&mut reader).0;
        assert!(out.iter().all(|text| text.parse::<u64>().unwrap() < handle.durable_up_to().unwrap()));
    }
}

#[test]
fn a_record_that_failed_the_job_is_left_out_where_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let hub = started(journaled(dir.path()).on_failed_record(OnFailedRecord::Skip));
    let mut handle = Ingress::new(hub.clone());
    for text in ["good", "bad", "ugly"] {
        handle.send(text.to_owned()).unwrap();
    }
    let mut before = reader(&hub, None);
    assert_eq!(read(&mut before).0, ["good", "bad", "ugly"]);
    before.mark_failed(1).unwrap();
    drop(before);
    assert_eq!(read_until(&mut reader(&hub, None), 2), ["good", "ugly"]);
}

#[test]
fn handles_of_a_journaled_ingress_say_what_they_cannot() {
    let dir = tempfile::tempdir().unwrap();
    let hub = hub::<String>(IngressOptions::new().journal(journaled(dir.path())));
    let mut handle = Ingress::new(hub.clone());
    let error = handle.send("early".to_owned()).unwrap_err();
    assert!(
        matches!(&error, SendError::NotStarted { .. }) && error.to_string().contains("Job::spawn"),
        "{error}"
    );
    hub.clone().start(None).unwrap();
    let error = handle.watermark(Timestamp(1)).unwrap_err().to_string();
    assert!(error.contains("event_time"), "{error}");
    let error =
        super::hub::<String>(IngressOptions::new().journal(JournalOptions::new())).start(None).unwrap_err();
    assert!(error.to_string().contains("JournalOptions::dir"), "{error}");
}

#[test]
fn a_journal_of_other_records_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let hub = started(journaled(dir.path()));
    Ingress::new(hub.clone()).send("text".to_owned()).unwrap();
    hub.close(JobStatus::Failed);
    let numbers: Arc<Hub<u64>> = super::hub(IngressOptions::new().journal(journaled(dir.path())));
    numbers.clone().start(None).unwrap();
    let mut reader = reader(&numbers, None);
    let error = (0..5000).find_map(|_| {
        std::thread::sleep(Duration::from_millis(1));
        reader.poll(Nanos(0), &mut Records::with_limit(8)).err()
    });
    let error = error.expect("the record comes within five seconds").to_string();
    assert!(error.contains("u64") && error.contains("another layout"), "{error}");
}
