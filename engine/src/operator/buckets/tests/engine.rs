//! The operator that a [`Spec`] asks for, put together from the engine's own parts.

use super::model::{Given, Span};
use super::spec::{Evicts, Fires, Spec, Windows, distance, gap_of};
use crate::element::Timestamp;
use crate::operator::buckets::{
    Elements, Manner, PerKey, PerWindow, ProcessWindow, ProcessWindowContext, WindowStates,
};
use crate::record::View;
use crate::time::{Tick, Ticks};
use crate::window::{
    AtEnd, ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountEvictor, CountTrigger,
    DeltaEvictor, DeltaTrigger, DynamicSessionWindows, EventTimeTrigger, Evicting, Evictor, Global,
    GlobalWindow, NeverTrigger, OrEndOfWindow, ProcessingTimeTrigger, PurgingTrigger, Session,
    SessionWindows, Sliding, SlidingWindows, TimeDomain, TimeEvictor, TimeWindow, Trigger, TriggerContext,
    TriggerResult, Tumbling, TumblingWindows, WindowAssigner, WindowError, WindowResult,
};

const TICK: Tick = Tick::Millisecond;

/// Windows of any kind.
pub enum AnyWindows {
    Tumbling(TumblingWindows),
    Sliding(SlidingWindows),
    Session(SessionWindows),
    Dynamic(DynamicSessionWindows<fn(&i64) -> Ticks>),
    Global(GlobalWindow),
}

impl AnyWindows {
    pub fn new(windows: Windows) -> Self {
        match windows {
            Windows::Tumbling { size, offset } => {
                let windows = Tumbling::of(Ticks(size)).offset(Ticks(offset));
                AnyWindows::Tumbling(windows.build(TICK).unwrap())
            }
            Windows::Sliding { size, slide, offset } => {
                let windows = Sliding::of(Ticks(size)).every(Ticks(slide)).offset(Ticks(offset));
                AnyWindows::Sliding(windows.build(TICK).unwrap())
            }
            Windows::Session { gap } => AnyWindows::Session(Session::gap(Ticks(gap)).build(TICK).unwrap()),
            Windows::Dynamic => {
                let gap: fn(&i64) -> Ticks = |record| Ticks(gap_of(*record));
                AnyWindows::Dynamic(Session::dynamic(gap).build(TICK))
            }
            Windows::Global => AnyWindows::Global(Global.build()),
        }
    }

    fn inner(&self) -> &dyn WindowAssigner<i64> {
        match self {
            AnyWindows::Tumbling(windows) => windows,
            AnyWindows::Sliding(windows) => windows,
            AnyWindows::Session(windows) => windows,
            AnyWindows::Dynamic(windows) => windows,
            AnyWindows::Global(windows) => windows,
        }
    }

    /// As the builder of a graph finds it out.
    pub fn manner(&self, spec: &Spec) -> Manner {
        Manner {
            domain: if spec.on_clock { TimeDomain::Processing } else { TimeDomain::Event },
            merging: self.inner().is_merging(),
            has_end: self.inner().has_end(),
            lateness: spec.lateness,
        }
    }
}

impl WindowAssigner<i64> for AnyWindows {
    fn assign(&self, at: Timestamp, record: &i64, windows: &mut Vec<TimeWindow>) -> Result<(), WindowError> {
        self.inner().assign(at, record, windows)
    }
}

/// What [`AnyTrigger`] remembers: a part for each sort of trigger.
type Parts = (u64, Option<i64>, Option<i64>);

/// A trigger of any kind. All of them remember something in one type, which makes one operator of many.
pub struct AnyTrigger(Box<dyn Trigger<i64, State = Parts>>);

impl AnyTrigger {
    pub fn new(fires: &Fires) -> Self {
        AnyTrigger(match fires {
            Fires::AtEnd => stateless(AtEnd),
            Fires::EventTime => stateless(EventTimeTrigger),
            Fires::ProcessingTime => stateless(ProcessingTimeTrigger),
            Fires::Never => stateless(NeverTrigger),
            Fires::Count(count) => Box::new(Part(CountTrigger::of(*count), |parts: &mut Parts| &mut parts.0)),
            Fires::ContinuousEventTime(interval) => {
                let trigger = ContinuousEventTimeTrigger::of(Ticks(*interval), TICK).unwrap();
                Box::new(Part(trigger, |parts: &mut Parts| &mut parts.1))
            }
            Fires::ContinuousProcessingTime(interval) => {
                let trigger = ContinuousProcessingTimeTrigger::of(Ticks(*interval), TICK).unwrap();
                Box::new(Part(trigger, |parts: &mut Parts| &mut parts.1))
            }
            Fires::Delta(threshold) => {
                let trigger = DeltaTrigger::of(*threshold as f64, apart);
                Box::new(Part(trigger, |parts: &mut Parts| &mut parts.2))
            }
            Fires::OrEnd(inner) => Box::new(OrEndOfWindow::new(AnyTrigger::new(inner))),
            Fires::Purging(inner) => Box::new(PurgingTrigger::of(AnyTrigger::new(inner))),
        })
    }
}

fn apart(one: &i64, other: &i64) -> f64 {
    distance(*one, *other) as f64
}

impl Trigger<i64> for AnyTrigger {
    type State = Parts;

    fn on_element(&self, record: &View<i64>, ctx: &mut TriggerContext<'_, Parts>) -> TriggerResult {
        self.0.on_element(record, ctx)
    }

    fn on_event_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, Parts>) -> TriggerResult {
        self.0.on_event_time(at, ctx)
    }

    fn on_processing_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, Parts>) -> TriggerResult {
        self.0.on_processing_time(at, ctx)
    }

    fn on_merge(&self, absorbed: Option<&Parts>, ctx: &mut TriggerContext<'_, Parts>) {
        self.0.on_merge(absorbed, ctx);
    }
}

/// A trigger whose state is one of the parts.
struct Part<G: Trigger<i64>>(G, fn(&mut Parts) -> &mut G::State);

fn stateless<G: Trigger<i64, State = ()>>(trigger: G) -> Box<dyn Trigger<i64, State = Parts>> {
    // What holds nothing lies anywhere.
    Box::new(Part(trigger, |_| Box::leak(Box::new(()))))
}

impl<G: Trigger<i64>> Part<G> {
    fn with<R>(
        &self,
        ctx: &mut TriggerContext<'_, Parts>,
        call: impl FnOnce(&G, &mut TriggerContext<'_, G::State>) -> R,
    ) -> R {
        let mut inner = TriggerContext {
            window: ctx.window,
            domain: ctx.domain,
            at: ctx.at,
            watermark: ctx.watermark,
            processing: ctx.processing,
            is_first: ctx.is_first,
            is_reopened: ctx.is_reopened,
            state: (self.1)(ctx.state),
            changed: ctx.changed,
            timers: ctx.timers,
        };
        call(&self.0, &mut inner)
    }
}

impl<G: Trigger<i64>> Trigger<i64> for Part<G> {
    type State = Parts;

    fn on_element(&self, record: &View<i64>, ctx: &mut TriggerContext<'_, Parts>) -> TriggerResult {
        self.with(ctx, |trigger, ctx| trigger.on_element(record, ctx))
    }

    fn on_event_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, Parts>) -> TriggerResult {
        self.with(ctx, |trigger, ctx| trigger.on_event_time(at, ctx))
    }

    fn on_processing_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, Parts>) -> TriggerResult {
        self.with(ctx, |trigger, ctx| trigger.on_processing_time(at, ctx))
    }

    fn on_merge(&self, absorbed: Option<&Parts>, ctx: &mut TriggerContext<'_, Parts>) {
        let absorbed = absorbed.map(|parts| (self.1)(&mut parts.clone()).clone());
        self.with(ctx, |trigger, ctx| trigger.on_merge(absorbed.as_ref(), ctx));
    }
}

/// An evictor of any kind.
pub struct AnyEvictor(Box<dyn Evictor<i64>>);

impl AnyEvictor {
    pub fn new(spec: &Spec) -> Self {
        let after = spec.evicts_after;
        AnyEvictor(match spec.evicts {
            Evicts::Nothing => Box::new(crate::window::KeepAll),
            Evicts::Count(keeps) => {
                let evictor = CountEvictor::of(keeps);
                Box::new(if after { evictor.after() } else { evictor })
            }
            Evicts::Time(span) => {
                let evictor = TimeEvictor::of(Ticks(span), TICK).unwrap();
                Box::new(if after { evictor.after() } else { evictor })
            }
            Evicts::Delta(threshold) => {
                let evictor = DeltaEvictor::of(threshold as f64, apart);
                Box::new(if after { evictor.after() } else { evictor })
            }
        })
    }
}

impl Evictor<i64> for AnyEvictor {
    fn evict_before(&self, elements: &mut Evicting<'_, i64>) {
        self.0.evict_before(elements);
    }

    fn evict_after(&self, elements: &mut Evicting<'_, i64>) {
        self.0.evict_after(elements);
    }
}

/// A function of windows that tells all it is told, and counts firings.
pub struct Probe {
    of_key: PerKey<u64>,
    of_window: Option<PerWindow<u64>>,
}

impl Probe {
    pub fn new(spec: &Spec) -> Self {
        let of_window = (!spec.is_merging()).then(PerWindow::default);
        Probe { of_key: PerKey::default(), of_window }
    }

    fn firings(&self, ctx: &mut ProcessWindowContext<'_, u64, Vec<Given>>) -> u64 {
        self.of_window.as_ref().map_or(0, |state| ctx.get_in_window(state).unwrap_or(0))
    }
}

pub fn span(window: TimeWindow) -> Span {
    (window.start.0, window.end.0)
}

impl ProcessWindow<i64, u64> for Probe {
    type Out = Vec<Given>;

    fn open(&mut self, states: &mut WindowStates<'_, u64>) {
        self.of_key = states.per_key("firings of the key");
        if let Some(of_window) = &mut self.of_window {
            *of_window = states.per_window("firings of the window");
        }
    }

    fn process(&mut self, elements: Elements<'_, i64>, ctx: &mut ProcessWindowContext<'_, u64, Vec<Given>>) {
        let (key, window) = (ctx.key(), span(ctx.window()));
        let count = ctx.get(&self.of_key).unwrap_or(0) + 1;
        ctx.set(&self.of_key, count);
        let mut of_window = 0;
        if let Some(state) = &self.of_window {
            of_window = ctx.get_in_window(state).unwrap_or(0) + 1;
            ctx.set_in_window(state, of_window);
        }
        let watermark = ctx.watermark().unwrap_or(Timestamp::MIN).0;
        let processing = ctx.processing_time().0;
        let elements = elements.timed().iter().map(|element| (element.value, element.at.0)).collect();
        ctx.emit(vec![
            Given::Fired { key, window, firing: ctx.firing(), elements },
            Given::Knew { key, window, watermark, processing, of_window },
            Given::OfKey { key, count },
        ]);
    }

    fn clear(&mut self, ctx: &mut ProcessWindowContext<'_, u64, Vec<Given>>) {
        let (key, window, of_window) = (ctx.key(), span(ctx.window()), self.firings(ctx));
        ctx.emit(vec![Given::Cleared { key, window, of_window }]);
    }
}

/// What can be seen of a result that came at a time.
pub fn read(result: WindowResult<u64, Vec<i64>>, at: Timestamp) -> Vec<Given> {
    assert_eq!(at, result.window.max_timestamp(), "WN-17");
    let WindowResult { key, window, value, firing } = result;
    let elements = value.into_iter().map(|value| (value, 0)).collect();
    vec![Given::Fired { key, window: span(window), firing, elements }]
}
