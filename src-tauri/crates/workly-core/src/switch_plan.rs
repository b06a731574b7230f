//! How a switch is carried out: which of the five strategies keeps the answer going with the memory there is. Pure.

use serde::{Deserialize, Serialize};

/// How an answer changed workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum SwitchStrategy {
    /// To a worker on the CPU that was made ready while the old one went on.
    Standby,
    /// To a worker on the GPU that was made ready while the old one went on.
    SideBySide,
    /// From one plan on the GPU to another without room for both: over the CPU. Told once for each of the two steps.
    ViaCpu,
    /// The old worker ended before the new one was ready.
    Emergency,
    /// The old worker was gone, or its state did not fit: the tokens were computed anew.
    Replay,
}

/// What a switch starts from. Memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// Whether the present worker lives and can hand its answer over.
    pub alive: bool,
    /// Whether it has layers on the GPU.
    pub from_gpu: bool,
    /// Whether the next one will.
    pub to_gpu: bool,
    /// Whether the card must be free at once.
    pub emergency: bool,
    /// VRAM the next worker may take beside everything that is on the card now; `None` where nobody knows.
    pub vram_room: Option<u64>,
    /// VRAM the next worker takes.
    pub footprint: u64,
    /// Whether a CPU worker is ready.
    pub standby_ready: bool,
    /// Memory of the machine that is available.
    pub ram_room: u64,
    /// What a CPU worker takes of it.
    pub cpu_worker_ram: u64,
}

/// Chooses the strategy.
///
/// - A worker that is gone hands nothing over: `replay`.
/// - To the CPU: `standby`, which also prepares a fresh worker where none waits; where the card must be free at once, or
///   the machine has no room for a second worker, `emergency`: the old one ends first.
/// - To the GPU from the CPU, or with room on the card for both: `side_by_side`; else over the CPU, `via_cpu`; without
///   room in the machine for that either, `emergency`.
pub const fn strategy(situation: &Situation) -> SwitchStrategy {
    let Situation { alive, from_gpu, to_gpu, emergency, vram_room, footprint, standby_ready, ram_room, cpu_worker_ram } =
        *situation;
    let fits_beside = match vram_room {
        Some(room) => footprint <= room,
        None => false,
    };
    let cpu_worker = standby_ready || cpu_worker_ram <= ram_room;
    if !alive {
        SwitchStrategy::Replay
    } else if emergency {
        SwitchStrategy::Emergency
    } else if to_gpu && (!from_gpu || fits_beside) {
        SwitchStrategy::SideBySide
    } else if !cpu_worker {
        SwitchStrategy::Emergency
    } else if to_gpu {
        SwitchStrategy::ViaCpu
    } else {
        SwitchStrategy::Standby
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SwitchStrategy::{Emergency, Replay, SideBySide, Standby, ViaCpu};

    const GIB: u64 = 1 << 30;

    #[test]
    fn every_situation_has_its_strategy() {
        let down = Situation {
            alive: true,
            from_gpu: true,
            to_gpu: false,
            emergency: false,
            vram_room: Some(0),
            footprint: 0,
            standby_ready: true,
            ram_room: 16 * GIB,
            cpu_worker_ram: 5 * GIB,
        };
        let replan = Situation { to_gpu: true, footprint: 3 * GIB, ..down };
        let climb = Situation { from_gpu: false, ..replan };
        let table = [
            ("down, a standby waits", down, Standby),
            ("down, one can be made", Situation { standby_ready: false, ..down }, Standby),
            (
                "down, no memory for a second worker",
                Situation { standby_ready: false, ram_room: GIB, ..down },
                Emergency,
            ),
            ("down, a standby waits and memory is short", Situation { ram_room: 0, ..down }, Standby),
            ("down at once", Situation { emergency: true, ..down }, Emergency),
            ("down at once, nothing waits", Situation { emergency: true, standby_ready: false, ..down }, Emergency),
            ("the worker is gone", Situation { alive: false, ..down }, Replay),
            ("the worker is gone and it is urgent", Situation { alive: false, emergency: true, ..down }, Replay),
            ("the worker is gone, to the GPU", Situation { alive: false, ..replan }, Replay),
            ("up from the CPU", climb, SideBySide),
            ("up from the CPU, card unknown", Situation { vram_room: None, ..climb }, SideBySide),
            ("another plan, room for both", Situation { vram_room: Some(3 * GIB), ..replan }, SideBySide),
            ("another plan, a byte short", Situation { vram_room: Some(3 * GIB - 1), ..replan }, ViaCpu),
            ("another plan, card unknown", Situation { vram_room: None, ..replan }, ViaCpu),
            ("another plan, no standby", Situation { standby_ready: false, ..replan }, ViaCpu),
            ("another plan, no room anywhere", Situation { standby_ready: false, ram_room: 0, ..replan }, Emergency),
            ("from CPU to CPU", Situation { from_gpu: false, ..down }, Standby),
        ];
        for (name, situation, expected) in table {
            assert_eq!(strategy(&situation), expected, "{name}");
        }
    }
}
