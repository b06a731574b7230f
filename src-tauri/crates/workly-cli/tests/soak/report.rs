//! What is counted, and the table of it.

use std::collections::BTreeMap;
use std::fmt;

use crate::answer::Heard;
use crate::plan::Moment;
use crate::resources::{self, Change};

/// Descriptions of failures that are kept.
const MOST_FAILURES: usize = 40;

/// Figures of one kind of answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    pub(crate) deaths: u32,
    /// Those of them on the GPU.
    pub(crate) on_gpu: u32,
    pub(crate) lost: u32,
    pub(crate) repeated: u32,
    /// Processes that were still there when there was to be none.
    pub(crate) orphans: u32,
    pub(crate) hangs: u32,
    pub(crate) answers: u32,
    pub(crate) whole: u32,
}

impl Row {
    /// Counts an answer that was to have so many tokens.
    pub(crate) fn heard(&mut self, heard: &Heard, tokens: u32) {
        self.answers += 1;
        self.whole += u32::from(heard.is_whole(tokens));
        self.lost += heard.lost;
        self.repeated += heard.repeated;
    }

    fn add(&mut self, other: &Self) {
        self.deaths += other.deaths;
        self.on_gpu += other.on_gpu;
        self.lost += other.lost;
        self.repeated += other.repeated;
        self.orphans += other.orphans;
        self.hangs += other.hangs;
        self.answers += other.answers;
        self.whole += other.whole;
    }

    fn is_clean(&self) -> bool {
        (self.lost, self.repeated, self.orphans, self.hangs, self.whole) == (0, 0, 0, 0, self.answers)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:>7} {:>11} {:>12} {:>16} {:>8} {:>6} {:>7} of {}",
            self.deaths, self.on_gpu, self.lost, self.repeated, self.orphans, self.hangs, self.whole, self.answers
        )
    }
}

const HEADING: &str = "              deaths  on the GPU  tokens lost  tokens repeated  orphans  hangs  answers whole";

/// All that is counted.
#[derive(Debug)]
pub(crate) struct Report {
    seed: u64,
    pub(crate) deaths: BTreeMap<Moment, Row>,
    pub(crate) loads: Option<(u32, Row)>,
    pub(crate) switches: Option<(u32, Row)>,
    pub(crate) resources: Vec<Change>,
    failures: Vec<String>,
}

impl Report {
    pub(crate) fn new(seed: u64) -> Self {
        let (deaths, resources, failures) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { seed, deaths, loads: None, switches: None, resources, failures }
    }

    pub(crate) const fn seed(&self) -> u64 {
        self.seed
    }

    /// Keeps a description of what went wrong, and says it at once.
    pub(crate) fn failed(&mut self, what: String) {
        eprintln!("soak: {what}");
        if self.failures.len() < MOST_FAILURES {
            self.failures.push(what);
        }
    }

    /// The deaths of all moments.
    pub(crate) fn all_deaths(&self) -> Row {
        let mut all = Row::default();
        self.deaths.values().for_each(|row| all.add(row));
        all
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        let others = [&self.loads, &self.switches];
        self.deaths.values().chain(others.into_iter().flatten().map(|(_, row)| row))
    }

    /// Fails with the whole table when anything was lost, or has grown.
    pub(crate) fn assert_clean(&self) {
        let is_clean = self.failures.is_empty() && self.rows().all(Row::is_clean);
        assert!(is_clean && self.resources.iter().all(Change::is_flat), "\n{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "seed {}", self.seed)?;
        writeln!(formatter, "{HEADING}")?;
        for (moment, row) in &self.deaths {
            writeln!(formatter, "{:<12} {row}", moment.label())?;
        }
        if !self.deaths.is_empty() {
            writeln!(formatter, "{:<12} {}", "all deaths", self.all_deaths())?;
        }
        for (name, counted) in [("loads", &self.loads), ("switches", &self.switches)] {
            if let Some((count, row)) = counted {
                writeln!(formatter, "{:<12} {row}", format!("{count} {name}"))?;
            }
        }
        writeln!(formatter, "\n{}", resources::HEADING)?;
        for change in &self.resources {
            let verdict = if change.is_flat() { "flat" } else { "GROWN" };
            writeln!(formatter, "{change}  {verdict}")?;
        }
        for failure in &self.failures {
            writeln!(formatter, "\n{failure}")?;
        }
        Ok(())
    }
}
