//! Faults on demand, so that every way a worker can fail is tried on real ones. Debug builds only.

use std::fmt;
use std::str::FromStr;

/// The environment variable that asks for them.
pub const VARIABLE: &str = "WORKLY_FAULT";

/// How a worker fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The process aborts.
    Abort,
    /// The process aborts after a complaint about memory.
    Memory,
    /// The process exits.
    Exit,
    /// The process freezes.
    Hang,
    /// The load or the computation reports an error; the process lives.
    Error,
}

/// Where a worker fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultPoint {
    /// While it reads a model.
    Load,
    /// While it computes a prompt, or what it takes over of an answer.
    Prompt,
    /// Before the token of this index of an answer is chosen.
    Token(u32),
}

/// A fault: `KIND@POINT`, such as `abort@load`, `error@prompt` or `hang@token:20`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// How.
    pub kind: FaultKind,
    /// Where.
    pub point: FaultPoint,
}

/// A text that is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no fault: write KIND@POINT with abort, memory, exit, hang or error at load, prompt or token:N")]
pub struct UnknownFault(String);

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownFault(text.to_owned());
        let (kind, point) = text.split_once('@').ok_or_else(unknown)?;
        let kind = match kind {
            "abort" => FaultKind::Abort,
            "memory" => FaultKind::Memory,
            "exit" => FaultKind::Exit,
            "hang" => FaultKind::Hang,
            "error" => FaultKind::Error,
            _ => return Err(unknown()),
        };
        let point = match point.split_once(':') {
            None if point == "load" => FaultPoint::Load,
            None if point == "prompt" => FaultPoint::Prompt,
            Some(("token", index)) => FaultPoint::Token(index.parse().map_err(|_| unknown())?),
            _ => return Err(unknown()),
        };
        Ok(Self { kind, point })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            FaultKind::Abort => "abort",
            FaultKind::Memory => "memory",
            FaultKind::Exit => "exit",
            FaultKind::Hang => "hang",
            FaultKind::Error => "error",
        };
        match self.point {
            FaultPoint::Load => write!(formatter, "{kind}@load"),
            FaultPoint::Prompt => write!(formatter, "{kind}@prompt"),
            FaultPoint::Token(index) => write!(formatter, "{kind}@token:{index}"),
        }
    }
}

/// Faults for workers in the order in which they are started: `FAULT[,FAULT…]`, where `none` leaves a worker alone and
/// a `*` at the end repeats the last one for all that follow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FaultScript {
    faults: Vec<Option<Fault>>,
    repeats: bool,
    started: usize,
}

impl FromStr for FaultScript {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (list, repeats) = text.strip_suffix('*').map_or((text, false), |list| (list, true));
        let one = |item: &str| if item == "none" { Ok(None) } else { item.parse().map(Some) };
        let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
        Ok(Self { faults: items.map(one).collect::<Result<_, _>>()?, repeats, started: 0 })
    }
}

impl FaultScript {
    /// The fault of the worker that is started next.
    pub fn next_worker(&mut self) -> Option<Fault> {
        let index = self.started;
        self.started += 1;
        let last = self.faults.last().copied().flatten().filter(|_| self.repeats);
        self.faults.get(index).copied().unwrap_or(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_written_as_it_is_read() {
        for text in ["abort@load", "memory@prompt", "exit@token:0", "hang@token:20", "error@prompt"] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
        for text in
            ["", "abort", "abort@", "melt@load", "abort@token", "abort@token:x", "abort@load:1", "abort@token:-1"]
        {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_script_serves_workers_in_order() {
        let serve = |script: &str| -> Vec<Option<String>> {
            let mut script: FaultScript = script.parse().unwrap();
            (0..4).map(|_| script.next_worker().map(|fault| fault.to_string())).collect()
        };
        let load = || Some("abort@load".to_owned());
        assert_eq!(serve("none, abort@load"), [None, load(), None, None]);
        assert_eq!(serve("none,abort@load*"), [None, load(), load(), load()]);
        assert_eq!(serve(""), [None, None, None, None]);
        assert!("abort@load,what".parse::<FaultScript>().is_err());
    }
}
