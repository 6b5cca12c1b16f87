//! Functions of two streams.

use millstream::operator::{
    CoProcess, KeyedCoProcess, KeyedContext, ProcessContext, States, Timer, ValueState,
};
use millstream::prelude::*;

use crate::ways::every_way;

fn timed<T: Copy>(records: &[(T, i64)]) -> Vec<(T, Timestamp)> {
    records.iter().map(|(record, at)| (*record, Timestamp(*at))).collect()
}

/// What a ride needs of the other stream before it is complete.
const PATIENCE: i64 = 10;

/// Joins each ride with its fare; a ride whose fare does not come in time goes beside, and so does a fare without a ride.
struct RidesAndFares {
    ride: ValueState<i64>,
    fare: ValueState<i64>,
    alone: Tag<(u64, i64)>,
}

impl RidesAndFares {
    fn new(alone: Tag<(u64, i64)>) -> Self {
        RidesAndFares { ride: ValueState::default(), fare: ValueState::default(), alone }
    }
}

/// Key, ride, fare.
type Joined = (u64, i64, i64);

impl KeyedCoProcess<(u64, i64), (u64, i64), u64> for RidesAndFares {
    type Out = Joined;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.ride = states.value("ride");
        self.fare = states.value("fare");
    }

    fn first(&mut self, ride: &View<(u64, i64)>, ctx: &mut KeyedContext<'_, u64, Joined>) {
        match ctx.take(&self.fare) {
            Some(fare) => ctx.emit((ctx.key(), ride.1, fare)),
            None => {
                ctx.set(&self.ride, ride.1);
                ctx.register_event_timer(Timestamp(ctx.timestamp().unwrap().0 + PATIENCE));
            }
        }
    }

    fn second(&mut self, fare: &View<(u64, i64)>, ctx: &mut KeyedContext<'_, u64, Joined>) {
        match ctx.take(&self.ride) {
            Some(ride) => ctx.emit((ctx.key(), ride, fare.1)),
            None => {
                ctx.set(&self.fare, fare.1);
                ctx.register_event_timer(Timestamp(ctx.timestamp().unwrap().0 + PATIENCE));
            }
        }
    }

    fn on_timer(&mut self, _: Timer<'_>, ctx: &mut KeyedContext<'_, u64, Joined>) {
        for left in [ctx.take(&self.ride), ctx.take(&self.fare)].into_iter().flatten() {
            let alone = (ctx.key(), left);
            ctx.side(&self.alone, &alone);
        }
    }
}

#[test]
fn jn_04_pf_01_a_ride_without_a_fare_goes_beside_when_its_time_is_over() {
    let rides = timed(&[((1u64, 11i64), 0), ((2, 12), 1), ((3, 13), 40)]);
    let fares = timed(&[((1u64, 101i64), 4), ((3, 103), 35), ((4, 104), 50)]);
    every_way(3, move |flow, run| {
        let alone = flow.tag("alone");
        let stream = |name: &str, records: &[((u64, i64), Timestamp)]| {
            flow.source(name, run.timed(vec![records.to_vec()])).source_time(Watermarks::monotonous())
        };
        let joined = stream("rides", &rides)
            .key_by(|ride| ride.0)
            .connect(stream("fares", &fares).key_by(|fare| fare.0))
            .process(RidesAndFares::new(alone.clone()));
        let alone = joined.side_output(&alone).map(|alone| (alone.0, alone.1, 0));
        joined.union(alone).map(|row| (row.0, row.1, row.2)).sink("out", run.sink());
    })
    .are_in_any_order(&[(1, 11, 101), (3, 13, 103), (2, 12, 0), (4, 104, 0)]);
}

#[test]
fn tr_07_one_closure_for_each_stream() {
    every_way(3, |flow, run| {
        let numbers = flow.source("numbers", run.source([1i64, 2, 3]));
        let words = flow.source("words", run.source(["a".to_owned(), "b".to_owned()]));
        numbers
            .connect(words)
            .map(|number| format!("number {number}"), |word| format!("word {word}"))
            .map(|text| text.to_owned())
            .sink("out", run.sink());
    })
    .are_in_any_order(&["number 1", "number 2", "number 3", "word a", "word b"].map(str::to_owned));
}

#[test]
fn tr_07_any_number_of_records_for_each() {
    every_way(2, |flow, run| {
        let numbers = flow.source("numbers", run.source([2u64, 0]));
        let words = flow.source("words", run.source(["ab".to_owned()]));
        numbers
            .connect(words)
            .flat_map(
                |number| (0..*number).map(|n| n.to_string()).collect::<Vec<_>>(),
                |word| word.chars().map(String::from).collect(),
            )
            .sink("out", run.sink());
    })
    .are_in_any_order(&["0", "1", "a", "b"].map(str::to_owned));
}

/// Gives out both, with their event times; big ones go beside.
struct Both(Tag<i64>);

impl CoProcess<i64, u64> for Both {
    type Out = (bool, i64);

    fn first(&mut self, record: &i64, ctx: &mut ProcessContext<'_, (bool, i64)>) {
        if *record > 100 {
            ctx.side(&self.0, record);
        } else {
            let at = ctx.timestamp().unwrap();
            ctx.emit((true, at.0));
        }
    }

    fn second(&mut self, record: &u64, ctx: &mut ProcessContext<'_, (bool, i64)>) {
        ctx.emit((false, *record as i64));
    }
}

#[test]
fn tr_07_tr_10_a_function_of_two_streams_without_keys() {
    let (first, second) = (timed(&[(1i64, 5), (200, 6)]), timed(&[(7u64, 1)]));
    every_way(2, move |flow, run| {
        let big = flow.tag("big");
        let first = flow.source("first", run.timed(vec![first.clone()]));
        let second = flow.source("second", run.timed(vec![second.clone()]));
        let both = first
            .source_time(Watermarks::monotonous())
            .connect(second.source_time(Watermarks::monotonous()))
            .process(Both(big.clone()));
        let big = both.side_output(&big).map(|number| (false, -*number));
        both.union(big).map(|pair| (pair.0, pair.1)).sink("out", run.sink());
    })
    .are_in_any_order(&[(true, 5), (false, 7), (false, -200)]);
}
