use proptest::prelude::*;

use super::*;

/// Looks in a minute.
const MINUTE: usize = 240;

/// A machine on which others go first: what a token takes with so many threads, and what is seen of it. Cores from
/// `fast` on compute half as fast.
struct Machine {
    cores: u32,
    fast: u32,
}

impl Machine {
    fn seconds(&self, threads: u32, others: f64) -> f64 {
        let free = f64::from(self.cores) - others;
        // Each thread has as much to do, and all wait for the last.
        let slowest = if threads > self.fast { 0.5 } else { 1.0 };
        // A little of everybody's is spread over all cores.
        let share = ((free + 0.35) / f64::from(threads)).clamp(0.05, 1.0);
        // Where cores are shared, the waiting adds up a hundred times a token.
        let penalty = if share < 1.0 { 4.0 } else { 1.0 };
        penalty / (f64::from(threads) * slowest * share) / 50.0
    }

    fn look(&self, threads: u32, others: f64) -> Look {
        let own = f64::from(threads).min((f64::from(self.cores) - others).max(0.05));
        Look { others, own: Some(own), seconds_per_token: Some(self.seconds(threads, others)) }
    }

    /// Follows a load; returns the share of the best speed that was reached on average, and how often it changed.
    fn follow(&self, load: impl IntoIterator<Item = f64>) -> (f64, usize) {
        let mut follower = ThreadFollower::new(self.cores, self.cores);
        let (mut reached, mut best, mut changes) = (0.0, 0.0, 0);
        for others in load {
            let threads = follower.threads();
            reached += 1.0 / self.seconds(threads, others);
            best += (1..=self.cores).map(|count| 1.0 / self.seconds(count, others)).fold(0.0, f64::max);
            changes += usize::from(follower.look(self.look(threads, others)) != threads);
        }
        (reached / best, changes)
    }
}

/// A load that repeats these pieces: cores kept busy, looks.
fn pieces(pieces: &[(f64, usize)]) -> Vec<f64> {
    let one: Vec<f64> = pieces.iter().flat_map(|(others, looks)| std::iter::repeat_n(*others, *looks)).collect();
    one.iter().copied().cycle().take(10 * MINUTE).collect()
}

fn even(cores: u32) -> Machine {
    Machine { cores, fast: cores }
}

#[test]
fn nobody_else_wants_a_core_and_all_are_used() {
    for cores in [1, 2, 4, 8, 16, 32] {
        let desktop = pieces(&[(0.1, 7), (0.3, 1)]);
        assert_eq!(even(cores).follow(desktop), (1.0, 0), "{cores} cores");
    }
}

#[test]
fn each_core_that_others_keep_busy_is_left_to_them_at_once() {
    for cores in [2, 4, 8, 16, 32] {
        for busy in 1..=cores {
            let mut follower = ThreadFollower::new(cores, cores);
            let threads = follower.look(even(cores).look(cores, f64::from(busy)));
            assert_eq!(threads, (cores - busy).max(1), "{busy} of {cores}");
        }
    }
}

#[test]
fn a_game_that_comes_and_goes_is_followed_in_both_directions() {
    for (cores, busy) in [(2, 1.0), (4, 2.6), (8, 3.4), (16, 6.0), (32, 12.5)] {
        let (share, changes) = even(cores).follow(pieces(&[(0.1, MINUTE), (busy, MINUTE)]));
        assert!(share > 0.95, "{cores} cores: {share}");
        assert!(changes <= 12, "{cores} cores: {changes} changes");
    }
}

#[test]
fn short_bursts_do_not_make_it_flap() {
    for cores in [2, 8, 32] {
        let bursts = pieces(&[(0.1, 5), (f64::from(cores), 1)]);
        let (_, changes) = even(cores).follow(bursts);
        // Ten minutes in which others came four hundred times.
        assert!(changes <= 90, "{cores} cores: {changes} changes");
    }
}

#[test]
fn on_cores_of_two_kinds_more_threads_are_kept_only_where_they_help() {
    // Four fast cores and two slow ones: six threads all wait for the slow.
    let machine = Machine { cores: 6, fast: 4 };
    let mut follower = ThreadFollower::new(6, 6);
    follower.look(machine.look(6, 2.0));
    assert_eq!(follower.threads(), 4);
    let mut at_six = 0;
    for _ in 0..10 * MINUTE {
        let look = machine.look(follower.threads(), 0.0);
        at_six += usize::from(follower.look(look) == 6);
    }
    assert!(at_six < MINUTE, "{at_six} looks with threads that slowed the others down");
}

#[test]
fn programs_of_our_own_rank_are_noticed_by_what_our_threads_miss() {
    let mut follower = ThreadFollower::new(4, 4);
    let threads = follower.look(Look { others: 0.0, own: Some(2.2), seconds_per_token: Some(0.1) });
    assert!(threads < 4, "{threads}");
    // A thread that waits for the GPU misses nothing.
    let mut follower = ThreadFollower::new(4, 4);
    assert_eq!(follower.look(Look { others: 0.0, own: None, seconds_per_token: Some(0.1) }), 4);
}

proptest! {
    #[test]
    fn whatever_is_seen_there_is_at_least_one_thread_and_never_more_than_allowed(
        most in 1_u32..64,
        cores in 0_u32..64,
        looks in prop::collection::vec((any::<f64>(), any::<Option<f64>>(), any::<Option<f64>>()), 0..200),
    ) {
        let mut follower = ThreadFollower::new(most, cores);
        for (others, own, seconds_per_token) in looks {
            let threads = follower.look(Look { others, own, seconds_per_token });
            prop_assert!((1..=most).contains(&threads));
        }
    }
}
