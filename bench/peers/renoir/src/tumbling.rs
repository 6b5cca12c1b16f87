//! Tumbling windows that begin at multiples of their length. Renoir's own begin at the first record of each key, and so give other results.

use renoir::operator::StreamElement;
use renoir::operator::window::{WindowAccumulator, WindowDescription, WindowManager, WindowResult};

/// Windows of so many milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct AlignedTumbling(pub i64);

/// The open windows of one key, by their ends.
#[derive(Clone)]
pub struct Open<A> {
    length: i64,
    empty: A,
    windows: Vec<(i64, A)>,
}

impl<T: Clone + Send + 'static> WindowDescription<T> for AlignedTumbling {
    type Manager<A: WindowAccumulator<In = T>> = Open<A>;

    fn build<A: WindowAccumulator<In = T>>(&self, empty: A) -> Open<A> {
        Open { length: self.0, empty, windows: Vec::new() }
    }
}

impl<A: WindowAccumulator> Open<A> {
    fn close(&mut self, up_to: i64) -> Vec<WindowResult<A::Out>> {
        let mut closed = Vec::new();
        while let Some(at) = self.windows.iter().position(|(end, _)| *end <= up_to) {
            let (end, window) = self.windows.swap_remove(at);
            closed.push(WindowResult::Timestamped(window.output(), end));
        }
        closed
    }
}

impl<A: WindowAccumulator> WindowManager for Open<A> {
    type In = A::In;
    type Out = A::Out;
    type Output = Vec<WindowResult<A::Out>>;

    #[inline]
    fn process(&mut self, element: StreamElement<A::In>) -> Self::Output {
        match element {
            StreamElement::Timestamped(item, time) => {
                let end = (time.div_euclid(self.length) + 1) * self.length;
                let at = self.windows.iter().position(|(of, _)| *of == end).unwrap_or_else(|| {
                    self.windows.push((end, self.empty.clone()));
                    self.windows.len() - 1
                });
                self.windows[at].1.process(&item);
                Vec::new()
            }
            StreamElement::Watermark(time) => self.close(time),
            StreamElement::FlushAndRestart | StreamElement::Terminate => self.close(i64::MAX),
            _ => Vec::new(),
        }
    }

    fn recycle(&self) -> bool {
        self.windows.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Count(u64);

    impl WindowAccumulator for Count {
        type In = ();
        type Out = u64;

        fn process(&mut self, (): &()) {
            self.0 += 1;
        }

        fn output(self) -> u64 {
            self.0
        }
    }

    #[test]
    fn windows_begin_at_multiples_of_their_length() {
        let mut windows = AlignedTumbling(10).build(Count(0));
        for time in [7, 9, 10, 12, 19, 8] {
            assert!(windows.process(StreamElement::Timestamped((), time)).is_empty());
        }
        assert_eq!(windows.process(StreamElement::Watermark(10)), [WindowResult::Timestamped(3, 10)]);
        assert!(!windows.recycle());
        assert_eq!(windows.process(StreamElement::Terminate), [WindowResult::Timestamped(3, 20)]);
        assert!(windows.recycle());
    }
}
