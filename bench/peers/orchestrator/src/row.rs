//! One way to run one system.

use crate::arguments::System;

/// How one row of a table was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub system: System,
    pub shards: u16,
    /// Whether records are handed to the thread of their key; nothing where there are no keys.
    pub exchange: Option<bool>,
    /// Milliseconds from one checkpoint to the next.
    pub checkpoint_ms: Option<u64>,
    pub collector: Option<Collector>,
    /// What the program is given, after what the system itself needs.
    pub arguments: Vec<String>,
}

/// Who collects Java's garbage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collector {
    G1,
    Parallel,
}

impl Collector {
    /// Both are tried in the first round; the better one goes on.
    pub const ALL: [Collector; 2] = [Collector::G1, Collector::Parallel];

    /// Java's switch.
    pub fn switch(self) -> &'static str {
        match self {
            Collector::G1 => "-XX:+UseG1GC",
            Collector::Parallel => "-XX:+UseParallelGC",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Collector::G1 => "G1",
            Collector::Parallel => "Parallel GC",
        }
    }
}

impl Row {
    /// What stands at the head of the row.
    pub fn label(&self) -> String {
        let mut label = format!("{} p{}", self.system.name(), self.shards);
        if let Some(exchange) = self.exchange {
            label += if exchange { ", exchange" } else { ", no exchange" };
        }
        if let Some(collector) = self.collector {
            label += &format!(", {}", collector.name());
        }
        if let Some(interval) = self.checkpoint_ms {
            label += &format!(", checkpoint every {interval} ms");
        }
        label
    }

    /// Whether two rows differ in their collector only, so that the better one stands for both.
    pub fn is_same_choice(&self, other: &Row) -> bool {
        let without = |row: &Row| Row { collector: None, ..row.clone() };
        self.collector.is_some() && other.collector.is_some() && without(self) == without(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(collector: Option<Collector>, shards: u16) -> Row {
        Row {
            system: System::Flink,
            shards,
            exchange: Some(true),
            checkpoint_ms: Some(1000),
            collector,
            arguments: Vec::new(),
        }
    }

    #[test]
    fn a_label_says_how_it_was_run() {
        let label = row(Some(Collector::G1), 2).label();
        assert_eq!(label, "flink p2, exchange, G1, checkpoint every 1000 ms");
    }

    #[test]
    fn collectors_are_a_choice() {
        let (g1, parallel) = (row(Some(Collector::G1), 2), row(Some(Collector::Parallel), 2));
        assert!(g1.is_same_choice(&parallel));
        assert!(!g1.is_same_choice(&row(Some(Collector::Parallel), 1)));
        assert!(!row(None, 2).is_same_choice(&row(None, 2)));
    }
}
