//! The disks of both drivers, through a shard.

use super::*;
use crate::disk::{BLOCK_BYTES, DiskBuffer, DiskDone, DiskError, DiskOp, FileHandle};
use std::io::ErrorKind;
use std::path::Path;

const FILE: FileHandle = FileHandle(7);
const MIB: usize = 1 << 20;

/// What a disk operation left behind, in a form that may change threads.
#[derive(Debug)]
struct Outcome {
    result: Result<(), DiskError>,
    bytes: Option<Vec<u8>>,
}

/// An operation to be, given a way to get buffers.
enum Planned {
    Create(std::path::PathBuf),
    Open(std::path::PathBuf),
    /// At this offset.
    Write(u64, Vec<u8>),
    /// This many bytes at this offset.
    Read(u64, usize),
    Sync,
    Close,
    /// A write from a buffer that is not the disk's.
    WriteForeign,
}

struct Foreign([u8; 1]);
impl DiskBuffer for Foreign {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

fn order(disk: &mut dyn ShardDisk, planned: Planned) -> u64 {
    let mut filled = |bytes: &[u8]| {
        let mut buffer = disk.buffer(bytes.len());
        buffer.bytes_mut().copy_from_slice(bytes);
        buffer
    };
    let op = match planned {
        Planned::Create(path) => DiskOp::Create { file: FILE, path },
        Planned::Open(path) => DiskOp::Open { file: FILE, path },
        Planned::Write(offset, bytes) => DiskOp::Write { file: FILE, offset, buffer: filled(&bytes) },
        Planned::Read(offset, len) => DiskOp::Read { file: FILE, offset, buffer: filled(&vec![0xEE; len]) },
        Planned::Sync => DiskOp::Sync { file: FILE },
        Planned::Close => DiskOp::Close { file: FILE },
        Planned::WriteForeign => DiskOp::Write { file: FILE, offset: 0, buffer: Box::new(Foreign([1])) },
    };
    disk.submit(op)
}

/// Carries out one operation after the other on a shard that sleeps in between.
fn carry_out(kind: DriverKind, wait: WaitPolicy, plan: Vec<Planned>) -> Vec<Outcome> {
    let (outcomes, seen) = channel();
    let build: BuildShard = Box::new(move |mut disk| {
        let mut plan = plan.into_iter();
        let mut expected = None;
        let step = move |_| {
            let before = disk.outstanding();
            if let Some(DiskDone { ticket, result, buffer }) = disk.poll() {
                assert_eq!(Some(ticket), expected.take());
                assert_eq!(disk.outstanding(), before - 1);
                let bytes = buffer.map(|buffer| buffer.bytes().to_vec());
                outcomes.send(Outcome { result, bytes }).unwrap();
            } else if expected.is_some() {
                return Step::Idle { until: None };
            }
            match plan.next() {
                Some(planned) => {
                    expected = Some(order(&mut *disk, planned));
                    Step::Worked
                }
                None => Step::Done,
            }
        };
        Box::new(Closures { step, has_work: || false })
    });
    run_well(kind, vec![spec(0, wait, build)]);
    seen.iter().collect()
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 7 + i / BLOCK_BYTES) as u8).collect()
}

/// A MiB in two writes (the second a small one past it), synced, read back from both handles.
fn write_and_read_back(kind: DriverKind, wait: WaitPolicy, directory: &Path) {
    let path = directory.join(format!("data-{kind}"));
    let (first, second) = (pattern(MIB), vec![9; BLOCK_BYTES]);
    let outcomes = carry_out(
        kind,
        wait,
        vec![
            Planned::Create(path.clone()),
            Planned::Write(0, first.clone()),
            Planned::Write(MIB as u64, second.clone()),
            Planned::Sync,
            Planned::Read(0, BLOCK_BYTES),
            Planned::Close,
            Planned::Open(path.clone()),
            Planned::Read(0, MIB),
            Planned::Read(MIB as u64, 2 * BLOCK_BYTES),
            Planned::Read(64 * MIB as u64, BLOCK_BYTES),
            Planned::Close,
        ],
    );
    for (i, outcome) in outcomes.iter().enumerate() {
        assert!(outcome.result.is_ok(), "{kind}, operation {i}: {outcome:?}");
    }
    assert_eq!(outcomes.len(), 11);
    assert_eq!(outcomes[1].bytes.as_ref(), Some(&first), "the buffer of a write comes back whole");
    assert_eq!(outcomes[4].bytes.as_deref(), Some(&first[..BLOCK_BYTES]));
    assert_eq!(outcomes[7].bytes.as_ref(), Some(&first));
    let over_the_end = outcomes[8].bytes.as_ref().unwrap();
    assert_eq!(over_the_end[..BLOCK_BYTES], second);
    assert_eq!(over_the_end[BLOCK_BYTES..], vec![0xEE; BLOCK_BYTES], "past the end: as it was");
    assert_eq!(outcomes[9].bytes, Some(vec![0xEE; BLOCK_BYTES]));
    let on_disk = std::fs::read(&path).unwrap();
    assert_eq!((&on_disk[..MIB], &on_disk[MIB..]), (&first[..], &second[..]));
}

#[test]
fn what_is_written_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    for kind in drivers() {
        for wait in [WaitPolicy::default(), WaitPolicy::Spin, WaitPolicy::Park] {
            write_and_read_back(kind, wait, directory.path());
        }
    }
}

#[test]
fn memory_file_systems_do_as_well() {
    let Ok(directory) = tempfile::tempdir_in("/dev/shm") else {
        eprintln!("SKIPPED: no /dev/shm");
        return;
    };
    for kind in drivers() {
        write_and_read_back(kind, WaitPolicy::default(), directory.path());
    }
}

#[test]
fn errors_name_the_file_and_the_attempt() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("no/such/place");
    let present = directory.path().join("present");
    std::fs::write(&present, pattern(BLOCK_BYTES)).unwrap();
    for kind in drivers() {
        let outcomes = carry_out(
            kind,
            WaitPolicy::default(),
            vec![
                Planned::Create(missing.clone()),
                Planned::Open(missing.clone()),
                Planned::Sync,
                Planned::Open(present.clone()),
                Planned::Write(0, vec![1; BLOCK_BYTES]),
                Planned::WriteForeign,
                Planned::Close,
                Planned::Close,
                Planned::Read(0, BLOCK_BYTES),
            ],
        );
        let error = |i: usize| outcomes[i].result.clone().unwrap_err();
        for (i, attempt) in [(0, "cannot create"), (1, "cannot open")] {
            assert_eq!((error(i).attempt, error(i).kind), (attempt, ErrorKind::NotFound), "{kind}");
            assert_eq!(error(i).path, missing);
        }
        assert_eq!(error(2).to_string(), "cannot sync file 7: no such file is open on this shard");
        assert!(outcomes[3].result.is_ok());
        assert_eq!((error(4).attempt, error(4).path), ("cannot write to", present.clone()), "read only");
        assert_eq!(outcomes[4].bytes, Some(vec![1; BLOCK_BYTES]), "the buffer comes back");
        assert_eq!(error(5).kind, ErrorKind::InvalidInput);
        assert_eq!(outcomes[5].bytes, Some(vec![1]), "whosever it is");
        assert!(outcomes[6].result.is_ok());
        assert_eq!(error(7).attempt, "cannot close");
        assert_eq!(error(8).attempt, "cannot read");
        assert_eq!(std::fs::read(&present).unwrap(), pattern(BLOCK_BYTES));
    }
}

/// A file system of a given size that is gone when dropped.
struct TinyFs(tempfile::TempDir);

impl TinyFs {
    fn mount(size: &str) -> std::io::Result<TinyFs> {
        let directory = tempfile::tempdir()?;
        let text = |text: &str| std::ffi::CString::new(text).unwrap();
        let target = text(directory.path().to_str().unwrap());
        let (kind, options) = (text("tmpfs"), text(&format!("size={size}")));
        // SAFETY: four strings that outlive the call.
        let refused =
            unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast()) };
        if refused != 0 { Err(std::io::Error::last_os_error()) } else { Ok(TinyFs(directory)) }
    }
}

impl Drop for TinyFs {
    fn drop(&mut self) {
        let target = std::ffi::CString::new(self.0.path().to_str().unwrap()).unwrap();
        // SAFETY: a string that outlives the call.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let disk = match TinyFs::mount("256k") {
        Ok(disk) => disk,
        Err(error) => {
            eprintln!("SKIPPED: no file system can be mounted here: {error}");
            return;
        }
    };
    for kind in drivers() {
        let path = disk.0.path().join(format!("big-{kind}"));
        let plan = vec![Planned::Create(path.clone()), Planned::Write(0, pattern(MIB)), Planned::Close];
        let outcomes = carry_out(kind, WaitPolicy::default(), plan);
        let error = outcomes[1].result.clone().unwrap_err();
        assert_eq!((error.kind, &error.path), (ErrorKind::StorageFull, &path), "{kind}: {error}");
        assert!(outcomes[2].result.is_ok());
        std::fs::remove_file(path).unwrap();
    }
}

/// Many operations at once, and a shard that ends while they are under way: all of them are carried out.
#[test]
fn a_shard_that_ends_early_leaves_nothing_half_done() {
    let directory = tempfile::tempdir().unwrap();
    for kind in drivers() {
        let path = directory.path().join(format!("early-{kind}"));
        let created = path.clone();
        let build: BuildShard = Box::new(move |mut disk| {
            let mut created = Some(created);
            let step = move |_| {
                if let Some(path) = created.take() {
                    disk.submit(DiskOp::Create { file: FILE, path });
                    return Step::Worked;
                }
                let Some(done) = disk.poll() else { return Step::Idle { until: None } };
                done.result.unwrap();
                for block in 0..300 {
                    order(
                        &mut *disk,
                        Planned::Write(block * BLOCK_BYTES as u64, vec![block as u8; BLOCK_BYTES]),
                    );
                }
                Step::Done
            };
            Box::new(Closures { step, has_work: || false })
        });
        run_well(kind, vec![spec(0, WaitPolicy::default(), build)]);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 300 * BLOCK_BYTES, "{kind}");
        assert!(bytes.chunks(BLOCK_BYTES).enumerate().all(|(i, block)| block.iter().all(|b| *b == i as u8)));
    }
}

#[test]
fn busy_shards_get_their_answers() {
    let directory = tempfile::tempdir().unwrap();
    for kind in drivers() {
        let path = directory.path().join(format!("busy-{kind}"));
        let build: BuildShard = Box::new(move |mut disk| {
            order(&mut *disk, Planned::Create(path));
            let mut left = 20;
            // Never idle.
            let step = move |_| match disk.poll() {
                Some(done) if left > 0 => {
                    done.result.unwrap();
                    left -= 1;
                    order(&mut *disk, Planned::Write(0, vec![left; BLOCK_BYTES]));
                    Step::Worked
                }
                Some(_) => Step::Done,
                None => Step::Worked,
            };
            Box::new(Closures { step, has_work: || true })
        });
        run_well(kind, vec![spec(0, WaitPolicy::Spin, build)]);
    }
}
