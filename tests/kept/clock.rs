//! A clock that is a day ahead, and is set back while the program runs.

use std::fs;
use std::io::Write as _;
use std::rc::Rc;

use tempfile::tempdir;

use crate::damage::{answers, quit};
use crate::harness::Surroundings;
use crate::person::{ANSWER, Person, tell_slowest, words};
use crate::preload;
use crate::remains::{SharedMemory, assert_clean};

/// Waits until a time of day are the kernel's, which knows nothing of this clock: their deadlines are told it in its own.
///
/// The time of day, with as many seconds added as a mapped file says; what measures durations is left alone.
const WRONG_CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static const volatile long *seconds = 0;
__attribute__((constructor)) static void open_clock(void) {
    const char *path = getenv("TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) seconds = mapped;
    close(file);
}
static long offset(void) { return seconds ? *seconds : 0; }
int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += offset();
    return result;
}
time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec time;
    int result = clock_gettime(CLOCK_REALTIME, &time);
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    (void)zone;
    return result;
}
/* A time since the start of the machine is far below this. */
static struct timespec real(const struct timespec *until) {
    struct timespec time = *until;
    if (time.tv_sec > 1000000000) time.tv_sec -= offset();
    return time;
}
int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex, const struct timespec *restrict until) {
    static int (*next)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (!next) next = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!next) next = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    struct timespec time = real(until);
    return next(cond, mutex, &time);
}
"#;
const DAY: i64 = 24 * 3_600;

#[tokio::test]
async fn a_clock_a_day_ahead_and_a_day_behind_costs_nothing_that_was_said() {
    let (data, shared) = (Rc::new(tempdir().unwrap()), SharedMemory::now());
    let around = tempdir().unwrap();
    let library = preload::compile(around.path(), WRONG_CLOCK);
    let clock = around.path().join("clock");
    fs::write(&clock, [0; 8]).unwrap();
    // In its place: programs have it mapped.
    let set = |days: i64| {
        let mut file = fs::File::options().write(true).open(&clock).unwrap();
        file.write_all(&(days * DAY).to_ne_bytes()).unwrap();
    };
    let surroundings = || {
        Surroundings::over(Rc::clone(&data))
            .with("LD_PRELOAD", library.to_str().unwrap())
            .with("TEST_CLOCK", clock.to_str().unwrap())
    };
    let mut said: Vec<String> = Vec::new();
    for (at_the_start, in_the_answer) in [(1, 0), (0, -1), (-1, 1)] {
        set(at_the_start);
        let mut person = Person::in_surroundings(surroundings()).await;
        if let Some(before) = said.last() {
            let shown = || async { words(&person.desktop.last_text(ANSWER).await) == words(before) };
            person.desktop.wait_for("the conversation that was open", shown).await;
        }
        person.asks("Tell me a long story with many chapters.").await;
        person.reads(30).await;
        set(in_the_answer);
        said.push(person.reads_to_the_end().await);
        tell_slowest("a wrong clock", person.slowest());
        quit(person).await;
        assert_clean(data.path(), &shared);
    }
    assert_eq!(answers(data.path()).len(), said.len());
}
