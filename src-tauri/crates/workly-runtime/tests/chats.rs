//! Conversations on a real disk: branches, searching, and answers kept through a SIGKILL.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use workly_core::answer::StopReason;
use workly_core::chat::{Message, Role};
use workly_core::problem::ProblemCode;
use workly_core::profile::Profile;
use workly_core::switch_plan::SwitchStrategy;
use workly_core::why::Why;
use workly_runtime::chats::{AnswerSource, Chats, Model};
use workly_store::{Conversations, DATABASE, Opened, open, unix_ms};
use workly_wire::answer::{AnswerEvent, AnswerRequest, AnswerStats};
use workly_wire::chat::{Asked, ChatEvent, ConversationSettings, ExportFormat, ExportWords, MessageState};
use workly_wire::monitor::DecisionEntry;

/// A model that says what a test tells it to.
#[derive(Debug, Clone, Default)]
struct Script {
    requests: Arc<Mutex<Vec<AnswerRequest>>>,
    answers: Arc<Mutex<VecDeque<UnboundedSender<AnswerEvent>>>>,
}

struct Spoken {
    heard: UnboundedReceiver<AnswerEvent>,
    speak: UnboundedSender<AnswerEvent>,
}

impl AnswerSource for Spoken {
    async fn next(&mut self) -> Option<AnswerEvent> {
        self.heard.recv().await
    }

    fn stop(&mut self) {
        let _ = self.speak.send(done(StopReason::Cancelled));
    }
}

impl Model for Script {
    type Answer = Spoken;

    fn answer(&self, request: AnswerRequest) -> Spoken {
        let (speak, heard) = unbounded_channel();
        self.requests.lock().unwrap().push(request);
        self.answers.lock().unwrap().push_back(speak.clone());
        Spoken { heard, speak }
    }

    fn name(&self) -> Option<String> {
        Some("Script".to_owned())
    }
}

impl Script {
    /// Says something in the oldest answer that has not ended.
    fn say(&self, events: impl IntoIterator<Item = AnswerEvent>) {
        let mut answers = self.answers.lock().unwrap();
        for event in events {
            let is_last = matches!(event, AnswerEvent::Done(_) | AnswerEvent::Failed(_));
            answers.front().unwrap().send(event).unwrap();
            if is_last {
                answers.pop_front();
            }
        }
    }

    fn last_request(&self) -> Vec<Message> {
        self.requests.lock().unwrap().last().unwrap().messages.clone()
    }
}

fn token(index: u32, text: &str) -> AnswerEvent {
    AnswerEvent::Token { index, id: 1, text: text.to_owned(), profile: Profile::CpuFallback }
}

fn done(stop: StopReason) -> AnswerEvent {
    AnswerEvent::Done(AnswerStats {
        tokens: 2,
        tokens_per_second: 80.0,
        prompt_tokens: 10,
        cached_prompt_tokens: 0,
        time_to_first_token_ms: 120.0,
        stop,
    })
}

/// A folder with a store and a scripted model.
struct Room {
    folder: TempDir,
    chats: Chats<Script>,
    script: Script,
    changes: UnboundedReceiver<workly_wire::chat::ConversationSummary>,
}

impl Room {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = Script::default();
        let store = Conversations::open(Some(folder.path().to_path_buf()));
        let (chats, changes) = Chats::new(store, script.clone());
        Self { folder, chats, script, changes }
    }

    /// Waits until the answer being written has ended and is on the disk.
    async fn ended(&mut self) {
        while self.changes.recv().await.unwrap().answering {}
    }

    /// Asks and is answered.
    async fn exchange(&mut self, conversation: Option<i64>, question: &str, answer: &str) -> Asked {
        let asked = self.chats.ask(conversation, question.to_owned(), nobody()).await.unwrap();
        self.script.say([token(0, answer), done(StopReason::End)]);
        self.ended().await;
        asked
    }

    async fn texts(&self, conversation: i64) -> Vec<String> {
        let view = self.chats.store().with(move |store| store.view(conversation)).await.unwrap();
        view.messages.into_iter().map(|message| message.content).collect()
    }
}

fn nobody() -> UnboundedSender<ChatEvent> {
    unbounded_channel().0
}

fn english() -> ExportWords {
    let [you, model, system_prompt, untitled, dialog] =
        ["You", "Model", "System prompt", "Untitled", "Export"].map(str::to_owned);
    ExportWords { you, model, system_prompt, untitled, dialog }
}

#[tokio::test]
async fn an_answer_is_kept_with_everything_said_of_it() {
    let mut room = Room::new();
    let asked = room.exchange(None, "What is a GPU?\nIn short.", "A chip.").await;
    let id = asked.conversation.id;
    assert_eq!(asked.conversation.title, "What is a GPU?");
    assert!(asked.conversation.answering);
    let view = room.chats.store().with(move |store| store.view(id)).await.unwrap();
    let answer = &view.messages[1];
    assert_eq!((answer.content.as_str(), answer.state), ("A chip.", MessageState::Done));
    let record = answer.answer.clone().unwrap();
    assert_eq!(record.model.as_deref(), Some("Script"));
    assert_eq!(record.stats.unwrap().stop, StopReason::End);
    assert!(!view.summary.answering);
}

#[tokio::test]
async fn another_wording_and_another_answer_stand_beside_the_first_and_come_back_as_they_were_left() {
    let mut room = Room::new();
    let first = room.exchange(None, "One?", "1").await;
    let id = first.conversation.id;
    room.exchange(Some(id), "Two?", "2").await;
    let (question, answer) = (first.question.unwrap().id, first.answer.id);

    let edited = room.chats.edit(id, question, "Uno?".to_owned(), nobody()).await.unwrap();
    assert_eq!(edited.question.as_ref().unwrap().siblings.len(), 2);
    assert_eq!(room.script.last_request(), [Message::new(Role::User, "Uno?")]);
    room.script.say([token(0, "I"), done(StopReason::End)]);
    room.ended().await;
    assert_eq!(room.texts(id).await, ["Uno?", "I"]);

    room.chats.store().with(move |store| store.choose(question)).await.unwrap();
    assert_eq!(room.texts(id).await, ["One?", "1", "Two?", "2"]);

    let again = room.chats.regenerate(id, answer, nobody()).await.unwrap();
    assert_eq!(again.answer.siblings, [answer, again.answer.id]);
    assert_eq!(room.script.last_request(), [Message::new(Role::User, "One?")]);
    room.script.say([token(0, "one"), done(StopReason::End)]);
    room.ended().await;
    assert_eq!(room.texts(id).await, ["One?", "one"]);

    // Away and back: the inner choice is remembered.
    room.chats.store().with(move |store| store.choose(edited.answer.id)).await.unwrap();
    room.chats.store().with(move |store| store.choose(question)).await.unwrap();
    assert_eq!(room.texts(id).await, ["One?", "one"]);
}

#[tokio::test]
async fn an_answer_that_said_nothing_gives_its_place_to_the_next_one() {
    let mut room = Room::new();
    let asked = room.chats.ask(None, "One?".to_owned(), nobody()).await.unwrap();
    let problem = workly_core::problem::Problem::new(ProblemCode::LoadFailed, "No.");
    room.script.say([AnswerEvent::Failed(problem)]);
    room.ended().await;
    let again = room.chats.regenerate(asked.conversation.id, asked.answer.id, nobody()).await.unwrap();
    assert_eq!(again.answer.siblings, [again.answer.id]);
}

#[tokio::test]
async fn settings_of_a_conversation_reach_the_model() {
    let mut room = Room::new();
    let id = room.exchange(None, "One?", "1").await.conversation.id;
    let settings = ConversationSettings {
        system_prompt: " Be brief. ".to_owned(),
        temperature: Some(0.0),
        seed: Some(7),
        max_tokens: Some(99),
        ..ConversationSettings::default()
    };
    room.chats.store().with(move |store| store.set_settings(id, &settings)).await.unwrap();
    room.exchange(Some(id), "Two?", "2").await;
    let request = room.script.requests.lock().unwrap().last().cloned().unwrap();
    assert_eq!(request.messages[0], Message::new(Role::System, "Be brief."));
    assert_eq!(request.messages.len(), 4);
    let sampling = request.sampling.unwrap();
    assert!(sampling.temperature.abs() < f32::EPSILON);
    assert_eq!((sampling.seed, request.max_tokens), (7, Some(99)));
}

#[tokio::test]
async fn one_conversation_has_one_answer_at_a_time_and_another_may_wait_its_turn() {
    let mut room = Room::new();
    let first = room.chats.ask(None, "One?".to_owned(), nobody()).await.unwrap();
    let refused = room.chats.ask(Some(first.conversation.id), "Two?".to_owned(), nobody()).await.unwrap_err();
    assert_eq!(refused.code, ProblemCode::AnswerRunning);
    let second = room.chats.ask(None, "Elsewhere?".to_owned(), nobody()).await.unwrap();
    // The one that waits is stopped alone, and its last event is heard.
    room.chats.stop(second.conversation.id);
    loop {
        let change = room.changes.recv().await.unwrap();
        if change.id == second.conversation.id && !change.answering {
            break;
        }
    }
    room.script.say([token(0, "1"), done(StopReason::End)]);
    room.ended().await;
    assert_eq!(room.texts(first.conversation.id).await, ["One?", "1"]);
    let view = room.chats.store().with(move |store| store.view(second.conversation.id)).await.unwrap();
    assert_eq!(view.messages[1].state, MessageState::Stopped);
}

#[tokio::test]
async fn a_window_that_comes_back_watches_from_where_the_answer_is() {
    let mut room = Room::new();
    let (watcher, gone) = unbounded_channel();
    let id = room.chats.ask(None, "One?".to_owned(), watcher).await.unwrap().conversation.id;
    room.script.say([token(0, "Half")]);
    drop(gone);
    let (watcher, mut events) = unbounded_channel();
    assert!(room.chats.watch(id, watcher));
    let Some(ChatEvent::Snapshot { message }) = events.recv().await else { panic!("no snapshot first") };
    assert!("Half".starts_with(&message.content));
    room.script.say([token(1, " and half"), done(StopReason::End)]);
    let mut text = message.content;
    while let Some(event) = events.recv().await {
        match event {
            ChatEvent::Answer { event: AnswerEvent::Token { text: more, .. } } => text.push_str(&more),
            ChatEvent::Answer { event: AnswerEvent::Done(_) } => break,
            _ => {}
        }
    }
    assert_eq!(text, "Half and half");
    room.ended().await;
    assert!(!room.chats.watch(id, nobody()), "nothing is being written any more");
}

#[tokio::test]
async fn leaving_keeps_what_is_being_written_to_the_last_token() {
    let room = Room::new();
    let (watcher, mut events) = unbounded_channel();
    let id = room.chats.ask(None, "One?".to_owned(), watcher).await.unwrap().conversation.id;
    room.script.say([token(0, "Half")]);
    while !matches!(events.recv().await, Some(ChatEvent::Answer { event: AnswerEvent::Token { .. } })) {}
    room.chats.shut_down().await;
    // What the model says after that is heard by nobody.
    let _ = room.script.answers.lock().unwrap().front().unwrap().send(token(1, " and more"));
    let Opened { store, .. } = open(Some(room.folder.path()), unix_ms());
    let answer = &store.view(id).unwrap().messages[1];
    assert_eq!((answer.content.as_str(), answer.state), ("Half", MessageState::Interrupted));
}

#[test]
fn drafts_titles_and_the_open_conversation_survive() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(Some(folder.path()), unix_ms()).store;
    let id = store.create(1).unwrap();
    store.rename(id, "  My   own\ntitle ").unwrap();
    store.save_draft(Some(id), "half a mess").unwrap();
    store.save_draft(None, "a new one").unwrap();
    store.set_open(Some(id)).unwrap();
    drop(store);
    let store = open(Some(folder.path()), unix_ms()).store;
    let view = store.last_open().unwrap().unwrap();
    assert_eq!((view.summary.title.as_str(), view.draft.as_str()), ("My own title", "half a mess"));
    assert_eq!(store.draft_of_new().unwrap(), "a new one");
}

#[test]
fn a_deleted_conversation_comes_back_until_it_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(Some(folder.path()), unix_ms()).store;
    let (kept, gone) = (store.create(1).unwrap(), store.create(2).unwrap());
    for id in [kept, gone] {
        store.delete(id, 3).unwrap();
    }
    assert_eq!(store.list().unwrap(), []);
    store.restore(kept).unwrap();
    drop(store);
    let mut store = open(Some(folder.path()), unix_ms()).store;
    assert!(!store.remove_deleted(3, 4).unwrap(), "its time has not come");
    while store.remove_deleted(4, 5).unwrap() {}
    assert_eq!(store.list().unwrap().iter().map(|summary| summary.id).collect::<Vec<_>>(), [kept]);
    assert!(store.restore(gone).is_err());
}

#[tokio::test]
async fn words_are_found_in_messages_and_titles_whatever_their_case_and_accents() {
    let mut room = Room::new();
    let about = room.exchange(None, "Parle-moi de l'été", "Il fait CHAUD, dit <b>Zoé</b>.").await.conversation.id;
    let other = room.exchange(None, "Something else", "Nothing of the kind.").await.conversation.id;
    let search = async |query: &str| {
        let query = query.to_owned();
        room.chats.store().with(move |store| store.search(&query)).await.unwrap()
    };
    let hits = search("zoe chau").await;
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].conversation.id, about);
    let found: Vec<_> = hits[0].snippet.iter().filter(|s| s.found).map(|s| s.text.as_str()).collect();
    assert_eq!(found, ["CHAUD", "Zoé"]);
    assert!(hits[0].snippet.iter().any(|segment| segment.text.contains("<b>")), "text stays text");

    let by_title = search("ete").await;
    assert!(by_title[0].title.iter().any(|segment| segment.found && segment.text == "été"));
    assert_eq!(search("(\"' OR").await, [], "signs are no syntax");

    room.chats.store().with(move |store| store.delete(other, 1)).await.unwrap();
    assert_eq!(search("kind").await, []);
    room.chats.store().with(move |store| store.restore(other)).await.unwrap();
    assert_eq!(search("kind").await.len(), 1);
}

#[tokio::test]
async fn an_exported_conversation_reads_as_it_was_said() {
    let mut room = Room::new();
    let asked = room.exchange(None, "What is 1/2 + 1/2?", "It is **1**.").await;
    let id = asked.conversation.id;
    let settings = ConversationSettings { system_prompt: "Be\nbrief.".to_owned(), ..ConversationSettings::default() };
    room.chats.store().with(move |store| store.set_settings(id, &settings)).await.unwrap();
    let again = room.chats.regenerate(id, asked.answer.id, nobody()).await.unwrap();
    room.script.say([token(0, "One."), done(StopReason::End)]);
    room.ended().await;
    let store = room.chats.store();
    let markdown = store.with(move |store| store.export(id, ExportFormat::Markdown, &english())).await.unwrap();
    assert_eq!(
        markdown,
        "# What is 1/2 + 1/2?\n\n> **System prompt**\n>\n> Be\n> brief.\n\n## You\n\nWhat is 1/2 + 1/2?\n\n## Script\n\nOne.\n"
    );
    let json = store.with(move |store| store.export(id, ExportFormat::Json, &english())).await.unwrap();
    let document: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["messages"].as_array().unwrap().len(), 3, "every branch");
    assert_eq!(document["chosen"][1], again.answer.id);
    let name = store.with(move |store| store.export_name(id, ExportFormat::Markdown)).await.unwrap();
    assert_eq!(name, "What is 1 2 1 2.md");
}

#[test]
fn the_switch_log_tells_the_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(Some(folder.path()), unix_ms()).store;
    let entry = |unix_ms| DecisionEntry {
        unix_ms,
        from: Some(Profile::Performance),
        to: Profile::Balanced,
        why: Some(Why::Asked { after_token: Some(20) }),
        strategy: Some(SwitchStrategy::Standby),
    };
    for at_ms in 0..5 {
        store.record_switch(&entry(at_ms)).unwrap();
    }
    assert_eq!(store.switches(2).unwrap(), [entry(4), entry(3)]);
}

/// Where the child of the next test writes; unset in every other run.
const CHILD_FOLDER: &str = "WORKLY_TEST_CONVERSATIONS";

/// Not a test of its own: writes an answer, one numbered word every 5 ms, until it is killed.
#[tokio::test]
#[ignore = "the child process of the test below"]
async fn write_until_killed() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let script = Script::default();
    let (chats, _changes) = Chats::new(Conversations::open(Some(folder.into())), script.clone());
    chats.ask(None, "Count.".to_owned(), nobody()).await.unwrap();
    for index in 0.. {
        script.say([token(index, &format!("{index} "))]);
        writeln!(std::io::stdout(), "said {index}").unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Not a test of its own: writes an answer without a pause, and quits in the middle of it when its input ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child process of the test below"]
async fn write_until_quit() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let script = Script::default();
    let (chats, _changes) = Chats::new(Conversations::open(Some(folder.into())), script.clone());
    let (watcher, mut events) = unbounded_channel();
    chats.ask(None, "Count.".to_owned(), watcher).await.unwrap();
    std::thread::spawn(move || {
        for index in 0.. {
            let mut answers = script.answers.lock().unwrap();
            // It goes on after the end, as a worker does.
            if answers.front_mut().unwrap().send(token(index, &format!("{index} "))).is_err() {
                return;
            }
            drop(answers);
            std::thread::sleep(Duration::from_micros(300));
        }
    });
    let quit = tokio::task::spawn_blocking(|| std::io::Read::read(&mut std::io::stdin(), &mut [0]));
    let mut heard = 0;
    while !quit.is_finished() {
        if let Some(ChatEvent::Answer { event: AnswerEvent::Token { .. } }) = events.recv().await {
            heard += 1;
            writeln!(std::io::stdout(), "said {heard}.").unwrap();
        }
    }
    chats.shut_down().await;
    writeln!(std::io::stdout(), "heard {heard}").unwrap();
    #[expect(clippy::exit, reason = "as the window ends: without destructors, and tokens still flow")]
    std::process::exit(0);
}

#[test]
fn quitting_while_tokens_flow_writes_the_answer_once_and_the_index_stays_exact() {
    // All fifty take half a minute.
    let times = std::env::var("WORKLY_LONG_TESTS").map_or(8, |_| 50);
    let folder = tempfile::tempdir().unwrap();
    for time in 0..times {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "write_until_quit", "--ignored", "--nocapture"])
            .env(CHILD_FOLDER, folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains(&format!("said {}.", 1 + time * 17))));
        drop(child.stdin.take());
        let heard = lines.find_map(|line| line.split_once("heard ")?.1.parse::<usize>().ok()).unwrap();
        child.wait().unwrap();

        let Opened { mut store, notices, .. } = open(Some(folder.path()), unix_ms());
        assert_eq!(notices, []);
        let list = store.list().unwrap();
        let [conversation] = list.as_slice() else { panic!("{list:?}") };
        let answer = store.view(conversation.id).unwrap().messages[1].clone();
        assert_eq!(answer.state, MessageState::Interrupted);
        let kept: Vec<usize> = answer.content.split_whitespace().map(|word| word.parse().unwrap()).collect();
        assert_eq!(kept, (0..kept.len()).collect::<Vec<_>>());
        assert!(kept.len() >= heard, "{} of {heard} acknowledged tokens", kept.len());
        let last = kept.last().unwrap().to_string();
        assert_eq!(store.search(&last).unwrap().len(), 1, "the end of the answer is found");
        store.delete(conversation.id, 1).unwrap();
        while store.remove_deleted(2, 3).unwrap() {}
        drop(store);
        let connection = rusqlite::Connection::open(folder.path().join(DATABASE)).unwrap();
        connection.execute("INSERT INTO message_text (message_text, rank) VALUES ('integrity-check', 1)", []).unwrap();
    }
}

#[test]
fn a_kill_loses_at_most_half_a_second_of_an_answer() {
    for words_before_kill in [60, 150, 271] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "write_until_killed", "--ignored", "--nocapture"])
            .env(CHILD_FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            if let Some((_, number)) = line.unwrap().split_once("said ") {
                said.push((number.parse::<usize>().unwrap(), Instant::now()));
            }
            if said.len() >= words_before_kill {
                break;
            }
        }
        child.kill().unwrap();
        let killed = Instant::now();
        child.wait().unwrap();

        let Opened { store, notices, .. } = open(Some(folder.path()), unix_ms());
        assert_eq!(notices, []);
        let id = store.list().unwrap()[0].id;
        let answer = store.view(id).unwrap().messages[1].clone();
        assert_eq!(answer.state, MessageState::Interrupted);
        let kept: Vec<usize> = answer.content.split_whitespace().map(|word| word.parse().unwrap()).collect();
        assert_eq!(kept, (0..kept.len()).collect::<Vec<_>>(), "a whole beginning, without a gap");
        let safe = said.iter().filter(|(_, at)| killed.duration_since(*at) >= Duration::from_millis(500)).count();
        assert!(kept.len() >= safe, "{} of the {safe} words older than half a second were kept", kept.len());
        assert_eq!(store.search("count").unwrap().len(), 1, "searching works after the kill");
    }
}
