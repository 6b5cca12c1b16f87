//! What is done where there is no room.

use super::*;

fn with(overload: Overload) -> Arc<Hub<u64>> {
    hub(IngressOptions::new().capacity(4).overload(overload))
}

fn sheds(hub: &Arc<Hub<u64>>, count: u64) -> Vec<Option<Shed>> {
    let mut handle = Ingress::new(hub.clone());
    let shed = |sent| match sent {
        Ok(Sent::Shed(to)) => Some(to),
        Ok(_) => None,
        Err(SendError::Full { .. }) => Some(Shed::Rejected),
        Err(other) => panic!("{other}"),
    };
    let all = (0..count).map(|n| shed(handle.send(n))).collect();
    let ledger = handle.ledger();
    assert_eq!(ledger.sent, ledger.processed + ledger.queued + ledger.shed(), "{ledger}");
    all
}

#[test]
fn the_newest_are_dropped() {
    let hub = with(Overload::DropNewest);
    assert_eq!(sheds(&hub, 6), [None, None, None, None, Some(Shed::Newest), Some(Shed::Newest)]);
    assert_eq!(hub.ledger(), Ledger { sent: 6, queued: 4, dropped_newest: 2, ..Ledger::default() });
    assert_eq!(read(&mut reader(&hub, None)).0, [0, 1, 2, 3]);
}

#[test]
fn the_oldest_are_dropped() {
    let hub = with(Overload::DropOldest);
    assert_eq!(sheds(&hub, 6), [None; 6]);
    assert_eq!(hub.ledger(), Ledger { sent: 6, queued: 4, dropped_oldest: 2, ..Ledger::default() });
    assert_eq!(read(&mut reader(&hub, None)).0, [2, 3, 4, 5]);
    assert_eq!(hub.ledger(), Ledger { sent: 6, processed: 4, dropped_oldest: 2, ..Ledger::default() });
}

#[test]
fn they_are_given_back() {
    let hub = with(Overload::Reject);
    assert_eq!(sheds(&hub, 5), [None, None, None, None, Some(Shed::Rejected)]);
    assert_eq!(hub.ledger(), Ledger { sent: 5, queued: 4, rejected: 1, ..Ledger::default() });
}

#[test]
fn some_are_picked_once_half_the_room_is_taken() {
    let none = with(Overload::Sample(0.0));
    let sampled = Some(Shed::Sampled);
    assert_eq!(sheds(&none, 5), [None, None, sampled, sampled, sampled]);
    let all = with(Overload::Sample(1.0));
    assert_eq!(sheds(&all, 6), [None, None, None, None, sampled, sampled]);
    let half: Arc<Hub<u64>> = hub(IngressOptions::new().capacity(1000).overload(Overload::Sample(0.5)));
    let lost = sheds(&half, 1000).iter().flatten().count();
    assert!((150..350).contains(&lost), "about half of the second half, not {lost}");
}

#[test]
fn what_is_spilled_comes_in_order_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let hub = with(Overload::Spill { dir: dir.path().to_owned(), max_bytes: 1 << 20 });
    hub.clone().start(None).unwrap();
    assert_eq!(sheds(&hub, 1000), [None; 1000]);
    let mut reader = reader(&hub, None);
    assert_eq!(read_until(&mut reader, 1000), (0..1000).collect::<Vec<_>>());
    assert_eq!(hub.ledger(), Ledger { sent: 1000, processed: 1000, ..Ledger::default() });
    // Memory again, now that the file is empty.
    assert_eq!(sheds(&hub, 4), [None; 4]);
    assert_eq!(read_until(&mut reader, 4), [0, 1, 2, 3]);
    hub.close(JobStatus::Finished);
}

#[test]
fn a_file_at_its_limit_makes_the_sender_wait() {
    let dir = tempfile::tempdir().unwrap();
    // An entry is 4 bytes of length, 16 of head and 8 of the record.
    let hub = with(Overload::Spill { dir: dir.path().to_owned(), max_bytes: 2 * 28 });
    hub.clone().start(None).unwrap();
    let mut handle = Ingress::new(hub.clone());
    for n in 0..6 {
        handle.try_send(n).unwrap();
    }
    assert!(matches!(handle.try_send(6), Err(SendError::Full { record: 6, .. })));
    let sender = std::thread::spawn(move || handle.send(7).unwrap());
    assert_eq!(read_until(&mut reader(&hub, None), 7), [0, 1, 2, 3, 4, 5, 7]);
    assert_eq!(sender.join().unwrap(), Sent::Queued);
    hub.close(JobStatus::Finished);
}

#[test]
fn policies_that_make_no_sense_say_why() {
    let journal = crate::journal::JournalOptions::new();
    let spill = Overload::Spill { dir: "spilled".into(), max_bytes: 0 };
    for (options, words) in [
        (IngressOptions::new().capacity(0), "room for 0 records"),
        (IngressOptions::new().overload(Overload::Sample(1.5)), "a share of 1.5"),
        (IngressOptions::new().overload(spill.clone()), "raise max_bytes"),
        (IngressOptions::new().overload(Overload::DropOldest).journal(journal.clone()), "DropNewest"),
        (
            IngressOptions::new()
                .overload(Overload::Spill { dir: "spilled".into(), max_bytes: 9 })
                .journal(journal),
            "leave one of the two out",
        ),
    ] {
        let job = crate::job::Job::new("wrong");
        let handle = job.ingress::<u64>("numbers", options);
        let error = job.run(|flow| flow.ingress::<u64>("numbers").discard()).unwrap_err().to_string();
        assert!(error.contains("numbers") && error.contains(words), "{error}");
        drop(handle);
    }
}
