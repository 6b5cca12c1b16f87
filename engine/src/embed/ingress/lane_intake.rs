//! Takes records out of the lanes of all handles, a few of each in turn.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use super::super::lane::LaneReceiver;
use super::hub::{Hub, Message};
use super::reader::Given;
use crate::element::Timestamp;
use crate::record::Record;
use crate::source::SourcePoll;

/// How many records a lane gives before the next one has its turn.
const RECORDS_PER_TURN: usize = 64;

/// The reader's end of a lane, and what its handle has said of event time.
pub(super) struct InLane<T> {
    receiver: LaneReceiver<Message<T>>,
    watermark: Option<Timestamp>,
    idle: bool,
    /// Whether its turn will come.
    busy: bool,
}

impl<T> InLane<T> {
    pub(super) fn new(receiver: LaneReceiver<Message<T>>) -> Self {
        InLane { receiver, watermark: None, idle: false, busy: false }
    }

    /// How far event time has come by this handle, where it has a say.
    fn says(&self) -> Option<Timestamp> {
        self.watermark.filter(|_| !self.idle)
    }
}

/// See the [module](self).
pub(super) struct LaneIntake<T> {
    /// By number.
    lanes: Vec<Option<InLane<T>>>,
    /// The lanes that had something when they were last looked at.
    busy: VecDeque<usize>,
    /// Those of them that have said a watermark in this poll: what was sent behind it belongs to the next one.
    held: Vec<usize>,
    /// Lanes that are left and empty, which the hub does not know yet.
    left: Vec<usize>,
    /// The number of the next record, and of the first of the last poll.
    next: u64,
    first: u64,
    /// How far the handles have said that event time has come.
    watermark: Timestamp,
    /// Whether any has a say at present.
    timed: bool,
}

impl<T: Record + Send> LaneIntake<T> {
    /// An intake whose next record has this number.
    pub(super) fn new(next: u64) -> Self {
        LaneIntake {
            lanes: Vec::new(),
            busy: VecDeque::new(),
            held: Vec::new(),
            left: Vec::new(),
            next,
            first: next,
            watermark: Timestamp::MIN,
            timed: false,
        }
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The number of a record of the last poll.
    pub(super) fn number(&self, index: usize) -> u64 {
        self.first + index as u64
    }

    #[inline]
    pub(super) fn has_any(&self, hub: &Hub<T>) -> bool {
        hub.ready.any() || !self.busy.is_empty() || hub.has_fresh()
    }

    /// Hands out what is at hand, up to `room` records.
    #[inline(always)]
    pub(super) fn give(&mut self, hub: &Hub<T>, room: usize, mut each: impl FnMut(T, Timestamp)) -> Given {
        self.first = self.next;
        // Asked first: what the last handle sent before it went is seen below.
        let is_left = hub.is_left();
        self.look(hub);
        let (mut given, mut said) = (0, false);
        while given < room
            && let Some(number) = self.busy.pop_front()
        {
            let Some(lane) = &mut self.lanes[number] else { continue };
            let mut held = false;
            for _ in 0..RECORDS_PER_TURN.min(room - given) {
                match lane.receiver.pop() {
                    Some(Message::Record(record, at)) => {
                        lane.idle = false;
                        given += 1;
                        self.next += 1;
                        // One record at a time: if it fails the job, those before it were handed out.
                        hub.taken.store(hub.taken.load(Ordering::Relaxed) + 1, Ordering::Release);
                        each(record, at);
                    }
                    Some(Message::Watermark(at)) => {
                        lane.watermark = lane.watermark.max(Some(at));
                        (lane.idle, said, held) = (false, true, true);
                        // The job hears of it after the records of this poll.
                        break;
                    }
                    Some(Message::Idle) => (lane.idle, said) = (true, true),
                    None => break,
                }
            }
            lane.receiver.made_room();
            lane.busy = lane.receiver.has_any();
            if lane.busy {
                if held { self.held.push(number) } else { self.busy.push_back(number) }
            } else if lane.receiver.is_abandoned() {
                said |= self.drop_if_empty(number);
            }
        }
        self.busy.extend(self.held.drain(..));
        self.left.retain(|number| !hub.retire(*number));
        let (watermark, idle) = if said { self.event_time() } else { (None, false) };
        let answer = match () {
            () if !self.busy.is_empty() || watermark.is_some() || idle => SourcePoll::More,
            () if is_left && given == 0 && !hub.has_fresh() => SourcePoll::End,
            () => SourcePoll::Idle { until: None },
        };
        Given { watermark, idle, answer }
    }

    /// Notes which lanes have something.
    #[inline]
    fn look(&mut self, hub: &Hub<T>) {
        if hub.has_fresh() {
            self.adopt(hub);
        }
        let LaneIntake { lanes, busy, .. } = self;
        hub.ready.take(|number| {
            // A lane that is not here yet is busy as soon as it is.
            if let Some(Some(lane)) = lanes.get_mut(number)
                && !lane.busy
            {
                lane.busy = true;
                busy.push_back(number);
            }
        });
    }

    #[cold]
    fn adopt(&mut self, hub: &Hub<T>) {
        for (number, mut lane) in hub.take_fresh() {
            if self.lanes.len() <= number {
                self.lanes.resize_with(number + 1, || None);
            }
            lane.busy = true;
            self.busy.push_back(number);
            self.timed |= lane.says().is_some();
            self.lanes[number] = Some(lane);
        }
    }

    /// Drops a lane that is left. True where there was nothing more in it.
    #[cold]
    fn drop_if_empty(&mut self, number: usize) -> bool {
        let Some(lane) = &mut self.lanes[number] else { return false };
        // What was put in before it was left is there by now.
        if lane.receiver.has_any() {
            lane.busy = true;
            self.busy.push_back(number);
            return false;
        }
        self.lanes[number] = None;
        self.left.push(number);
        true
    }

    /// What is to be said of event time after some handles said something: how far it has come, and whether none has a say any more.
    #[cold]
    fn event_time(&mut self) -> (Option<Timestamp>, bool) {
        let says = self.lanes.iter().flatten().filter_map(InLane::says).min();
        let fell_silent = says.is_none() && self.timed;
        self.timed = says.is_some();
        let further = says.filter(|at| *at > self.watermark);
        self.watermark = further.unwrap_or(self.watermark);
        (further, fell_silent)
    }

    /// Shows every record that waits.
    pub(super) fn for_each_waiting(&mut self, hub: &Hub<T>, mut each: impl FnMut(&T)) {
        self.adopt(hub);
        for lane in self.lanes.iter_mut().flatten() {
            lane.receiver.peek(|message| {
                if let Message::Record(record, _) = message {
                    each(record);
                }
            });
        }
    }

    /// Leaves the lanes to the next reader.
    pub(super) fn give_back(&mut self, hub: &Hub<T>) {
        let lanes = std::mem::take(&mut self.lanes).into_iter().enumerate();
        hub.give_back(lanes.filter_map(|(number, lane)| Some((number, lane?))));
    }
}
