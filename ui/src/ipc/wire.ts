// Generated from workly-wire by `cargo xtask types`. Do not edit.

export const MODEL_CHANGED = "model-changed";
export const SETTINGS_CHANGED = "settings-changed";
export const CONVERSATION_CHANGED = "conversation-changed";
export const STORE_CHANGED = "store-changed";
export const LIBRARY_CHANGED = "library-changed";
export const TRANSFERS_CHANGED = "transfers-changed";
export const MODELS_DRAGGED = "models-dragged";

export type Role = "system" | "user" | "assistant";

export type Message = { 
/**
 * Who speaks.
 */
role: Role, 
/**
 * What is said, in Markdown or plain text.
 */
content: string, };

export type Profile = "cpu_fallback" | "balanced" | "performance";

export type ProfileChoice = "auto" | Profile;

export type OverrideWish = "hold" | "give_up";

export type ProfilePlan = { 
/**
 * Layers on the GPU.
 */
layers: number, 
/**
 * Predicted VRAM footprint, bytes, before the policy's correction.
 */
footprint: number, };

export type LayerPlan = { 
/**
 * Plan of `performance`.
 */
performance: ProfilePlan, 
/**
 * Plan of `balanced`.
 */
balanced: ProfilePlan, 
/**
 * Layers the model has in all.
 */
model_layers: number, };

export type ProblemCode = "model_missing" | "no_permission" | "not_gguf" | "model_damaged" | "unsupported_architecture" | "context_too_large" | "out_of_memory" | "empty_prompt" | "prompt_too_long" | "invalid_setting" | "template_failed" | "load_failed" | "decode_failed" | "no_model" | "worker_crashed" | "worker_killed" | "worker_unresponsive" | "worker_missing" | "protocol" | "link_refused" | "not_saved" | "gpu_unreadable" | "cancelled" | "conversation_missing" | "answer_running" | "store_failed" | "export_failed" | "disk_full" | "download_failed" | "download_refused" | "hash_mismatch" | "model_exists" | "not_ours" | "folder_unreadable";

export type Problem = { 
/**
 * What kind of thing went wrong.
 */
code: ProblemCode, 
/**
 * One or two plain English sentences: what happened, what to do.
 */
message: string, 
/**
 * Technical detail for a bug report: the last lines of the worker's log, an OS error.
 */
details?: string, };

export type Sampling = { 
/**
 * 0 always takes the likeliest token; 1 samples what the model says; more is wilder.
 */
temperature: number, 
/**
 * Only this many of the likeliest tokens; 0: all.
 */
top_k: number, 
/**
 * Only the likeliest tokens that together reach this probability; 1: all.
 */
top_p: number, 
/**
 * Only tokens at least this likely in proportion to the likeliest; 0: all.
 */
min_p: number, 
/**
 * Divides the logits of tokens seen lately; 1: no penalty.
 */
repeat_penalty: number, 
/**
 * How many of the last tokens count as seen lately.
 */
repeat_last_n: number, 
/**
 * Fixes the draw.
 */
seed: number, };

export type ModelInfo = { 
/**
 * The file's name without its ending.
 */
name: string, 
/**
 * Architecture, such as `llama` or `gemma3`.
 */
architecture: string, 
/**
 * Number of parameters.
 */
parameters: number, 
/**
 * Size of the weights in bytes.
 */
size_bytes: number, 
/**
 * Transformer layers, without the output layer.
 */
layers: number, 
/**
 * Tokens of context the model was trained on; 0 where the file does not say.
 */
trained_context_tokens: number, 
/**
 * Tokens of context there is room for now.
 */
context_tokens: number, 
/**
 * Layers on the GPU, the output layer counted as one.
 */
gpu_layers: number, 
/**
 * The GPU that holds them, such as `llvmpipe (LLVM 15.0.6, 256 bits)`.
 */
gpu_device: string | null, 
/**
 * CPU threads that compute.
 */
threads: number, };

export type Reason = "overload" | "stress" | "fault" | "crash" | "recovered" | "replan" | "override" | "choice" | "gpu_gone" | "start" | "table";

export type Numbers = { 
/**
 * VRAM in use by everyone.
 */
vram_percent: number | null, 
/**
 * Utilization of the whole card, Workly's own included.
 */
gpu_percent: number | null, 
/**
 * VRAM in use by others.
 */
external_vram_percent: number | null, 
/**
 * Utilization by others.
 */
external_gpu_percent: number | null, };

export type ProcessUse = { 
/**
 * Process id.
 */
pid: number, 
/**
 * Name of its program, where it can be read.
 */
name: string | null, 
/**
 * VRAM it uses, bytes, where the driver says.
 */
vram_bytes: number | null, };

export type WorkerFaultKind = "killed" | "crashed" | "left" | "out_of_memory" | "bad_model" | "protocol" | "unresponsive" | "not_started" | "not_computed";

export type WorkerFault = { 
/**
 * Which kind of end.
 */
kind: WorkerFaultKind, 
/**
 * The signal that ended it, on Unix.
 */
signal: number | null, 
/**
 * Its exit code, where it ended by itself.
 */
exit_code: number | null, };

export type Why = { "code": "policy", 
/**
 * Which of its rules.
 */
reason: Reason, 
/**
 * The profile that was left.
 */
from: Profile, 
/**
 * The profile that was taken.
 */
to: Profile, 
/**
 * What was known.
 */
numbers: Numbers, 
/**
 * The programs on the card that caused it, where that was asked.
 */
culprits: Array<ProcessUse>, } | { "code": "asked", 
/**
 * After so many tokens of an answer.
 */
after_token: number | null, } | { "code": "worker", 
/**
 * What happened to it.
 */
fault: WorkerFault, } | { "code": "text", 
/**
 * The words, in English.
 */
text: string, };

export type Notice = { "code": "no_room", 
/**
 * The profile that was chosen.
 */
wanted: Profile, } | { "code": "no_room_at_start", 
/**
 * The profile that was chosen.
 */
wanted: Profile, } | { "code": "not_taken", 
/**
 * The profile.
 */
wanted: Profile, 
/**
 * Why.
 */
problem: Problem, } | { "code": "cpu_refused", 
/**
 * Why.
 */
problem: Problem, } | { "code": "crashed_too_often" } | { "code": "card_refused", 
/**
 * Name of the card.
 */
card: string, } | { "code": "gpu_unusable", 
/**
 * What happened to the worker.
 */
fault: WorkerFault, } | { "code": "no_gpu", 
/**
 * The profile.
 */
wanted: Profile, } | { "code": "came_back", 
/**
 * The profile of that load.
 */
wanted: Profile, 
/**
 * The profile that is taken.
 */
taken: Profile, } | { "code": "low_memory", 
/**
 * Bytes that it needs.
 */
needed_bytes: number, 
/**
 * Bytes that are free.
 */
available_bytes: number, } | { "code": "worker_held", 
/**
 * Its process.
 */
process_id: number, };

export type ModelState = "stopped" | "loading" | "ready" | "generating" | "switching" | "failed";

export type ModelView = { 
/**
 * Its notices in the user's language, in the same order.
 */
notice_texts: Array<string>, 
/**
 * What it is doing.
 */
state: ModelState, 
/**
 * Whether an answer is being written, or waits for a worker to be written on.
 */
answering: boolean, 
/**
 * How much of the model is read, 0 to 1, while it loads.
 */
load_fraction: number | null, 
/**
 * The model, once loaded.
 */
model: ModelInfo | null, 
/**
 * The profile the model runs in.
 */
profile: Profile | null, 
/**
 * The profile that the model is on its way to.
 */
switching_to: Profile | null, 
/**
 * How the present switch is carried out, or the last one was.
 */
strategy: SwitchStrategy | null, 
/**
 * Why the model is where it is; none before its first move.
 */
why: Why | null, 
/**
 * What each profile would place on the card now, once that is known.
 */
plan: LayerPlan | null, 
/**
 * The profile choice in force.
 */
choice: ProfileChoice, 
/**
 * Whether Workly may switch by itself.
 */
auto_switching: boolean, 
/**
 * What the user asked for, for a while.
 */
override_kind: OverrideWish | null, 
/**
 * Whether a CPU worker is ready to take over.
 */
standby_ready: boolean, 
/**
 * Tokens per second of the last or current answer, prompt excluded.
 */
tokens_per_second: number | null, 
/**
 * What the user should know although it works: the GPU asked for is missing, say.
 */
notices: Array<Notice>, 
/**
 * Why it failed.
 */
problem: Problem | null, 
/**
 * Process of the worker, for diagnostics.
 */
worker_pid: number | null, };

export type AppSnapshot = { 
/**
 * Version of Workly.
 */
version: string, 
/**
 * The model manager.
 */
model: ModelView, };

export type AnswerRequest = { 
/**
 * The conversation so far, the question last.
 */
messages: Array<Message>, 
/**
 * How tokens are chosen; left out: Workly's defaults with a seed of its own.
 */
sampling?: Sampling, 
/**
 * Most tokens to write; left out: until the model ends or the context is full.
 */
max_tokens?: number, 
/**
 * Texts at which the answer ends.
 */
stop_strings: Array<string>, 
/**
 * Go on past the model's own end of answer.
 */
ignore_end: boolean, };

export type StopReason = "end" | "stop_string" | "length" | "context" | "cancelled";

export type AnswerStats = { 
/**
 * Tokens written.
 */
tokens: number, 
/**
 * Tokens per second, prompt excluded.
 */
tokens_per_second: number, 
/**
 * Tokens of the prompt.
 */
prompt_tokens: number, 
/**
 * Of those, tokens that were still in the KV cache.
 */
cached_prompt_tokens: number, 
/**
 * Milliseconds from the request to the first token.
 */
time_to_first_token_ms: number, 
/**
 * Why it ended.
 */
stop: StopReason, };

export type SwitchStrategy = "standby" | "side_by_side" | "via_cpu" | "emergency" | "replay";

export type AnswerSwitch = { 
/**
 * The profile that wrote the tokens before.
 */
from: Profile, 
/**
 * The profile that writes from here on.
 */
to: Profile, 
/**
 * Why.
 */
why: Why, 
/**
 * How the answer got there.
 */
strategy: SwitchStrategy, 
/**
 * Index of the first token of the new worker.
 */
at_token: number, 
/**
 * Milliseconds from the old worker's last token to the new worker's first.
 */
gap_ms: number, 
/**
 * Milliseconds from the decision to the end of the GPU process; none where none ended.
 */
vram_released_ms: number | null, 
/**
 * Bytes of KV cache that were carried over; none where the tokens were computed anew.
 */
state_bytes: number | null, 
/**
 * Milliseconds that saving them took.
 */
saved_in_ms: number | null, 
/**
 * Milliseconds that taking them over took.
 */
restored_in_ms: number | null, };

export type AnswerEvent = { "type": "prompt", 
/**
 * Tokens read so far, cached ones included.
 */
done: number, 
/**
 * Tokens in all.
 */
total: number, 
/**
 * How many of the oldest turns were left out for lack of room.
 */
dropped_turns: number, } | { "type": "token", 
/**
 * Place in the answer, from 0.
 */
index: number, 
/**
 * The token's id in the model's vocabulary.
 */
id: number, 
/**
 * Text it completes; may be empty.
 */
text: string, 
/**
 * The profile that computed it.
 */
profile: Profile, } | { "type": "silent" } | { "type": "resumed" } | { "type": "switched" } & AnswerSwitch | { "type": "done" } & AnswerStats | { "type": "failed" } & Problem;

export type ConversationSummary = { 
/**
 * Its number in the store.
 */
id: number, 
/**
 * What the user called it, else the beginning of the first message; empty before that.
 */
title: string, 
/**
 * When something was last said, milliseconds since 1970 (UTC).
 */
updated_ms: number, 
/**
 * Whether an answer is being written.
 */
answering: boolean, };

export type MessageState = "streaming" | "done" | "stopped" | "failed" | "interrupted";

export type PlacedSwitch = { 
/**
 * The change itself.
 */
switch: AnswerSwitch, 
/**
 * Length of the text before the first token of the new worker, in UTF-16 code units.
 */
at_text: number, 
/**
 * Why, in the user's language, which only the window is told: the store keeps the code.
 */
why_text?: string, };

export type AnswerRecord = { 
/**
 * Name of the model that wrote it.
 */
model: string | null, 
/**
 * The profile of its last token.
 */
profile: Profile | null, 
/**
 * Its figures, once it has ended.
 */
stats: AnswerStats | null, 
/**
 * Its changes of profile, in order.
 */
switches: Array<PlacedSwitch>, 
/**
 * How many of the oldest turns the model did not see.
 */
dropped_turns: number, 
/**
 * Why it failed.
 */
problem: Problem | null, };

export type StoredMessage = { 
/**
 * Its number in the store.
 */
id: number, 
/**
 * The message it follows; none for a first one.
 */
parent: number | null, 
/**
 * Who speaks.
 */
role: Role, 
/**
 * What is said, Markdown.
 */
content: string, 
/**
 * How far it is.
 */
state: MessageState, 
/**
 * When it was begun, milliseconds since 1970 (UTC).
 */
created_ms: number, 
/**
 * The messages that stand in the same place, itself included, in the order they were written.
 */
siblings: number[], 
/**
 * What is kept of an answer; none for other messages.
 */
answer: AnswerRecord | null, };

export type ConversationSettings = { 
/**
 * The standing instruction; empty: none.
 */
system_prompt: string, 
/**
 * How tokens are chosen.
 */
temperature: number | null, 
/**
 * Only this many of the likeliest tokens; 0: all.
 */
top_k: number | null, 
/**
 * Only the likeliest tokens that together reach this probability; 1: all.
 */
top_p: number | null, 
/**
 * Only tokens at least this likely in proportion to the likeliest; 0: all.
 */
min_p: number | null, 
/**
 * Divides the logits of tokens seen lately; 1: no penalty.
 */
repeat_penalty: number | null, 
/**
 * Fixes the draw; left out: another one for each answer.
 */
seed: number | null, 
/**
 * Most tokens of an answer.
 */
max_tokens: number | null, };

export type ConversationView = { 
/**
 * What the list shows of it.
 */
summary: ConversationSummary, 
/**
 * How its answers are written.
 */
settings: ConversationSettings, 
/**
 * The message the user has begun to write.
 */
draft: string, 
/**
 * The messages of the chosen branch, the first one first.
 */
messages: Array<StoredMessage>, };

export type StoreNotice = { "type": "restored", 
/**
 * When that backup was made, milliseconds since 1970 (UTC).
 */
backup_ms: number, 
/**
 * Name of the damaged file, which was kept.
 */
kept_as: string, } | { "type": "salvaged", 
/**
 * Messages that were read from the damaged file.
 */
messages: number, 
/**
 * When the backup was made, milliseconds since 1970 (UTC); none where there was no good one.
 */
backup_ms: number | null, 
/**
 * Name of the damaged file, which was kept.
 */
kept_as: string, } | { "type": "emptied", 
/**
 * Name of the damaged file, which was kept.
 */
kept_as: string, } | { "type": "missing", 
/**
 * When that backup was made, milliseconds since 1970 (UTC).
 */
backup_ms: number, } | { "type": "not_kept", 
/**
 * What the system reported.
 */
details: string, } | { "type": "in_use" } | { "type": "not_saved", 
/**
 * What the system reported.
 */
details: string, } | { "type": "saved" };

export type ChatSnapshot = { 
/**
 * The conversations, the last one said something in first.
 */
conversations: Array<ConversationSummary>, 
/**
 * The conversation that was open last.
 */
open: ConversationView | null, 
/**
 * The message begun for a conversation that does not exist yet.
 */
draft: string, 
/**
 * What the user has to know of the store.
 */
notices: Array<StoreNotice>, };

export type TextSegment = { 
/**
 * The text.
 */
text: string, 
/**
 * Whether it is what was searched for.
 */
found: boolean, };

export type SearchHit = { 
/**
 * The conversation.
 */
conversation: ConversationSummary, 
/**
 * Its title, with what was found in it.
 */
title: Array<TextSegment>, 
/**
 * The newest message that holds the words; none where only the title does.
 */
message: number | null, 
/**
 * A line of that message around the words.
 */
snippet: Array<TextSegment>, };

export type ExportFormat = "markdown" | "json";

export type Asked = { 
/**
 * The conversation.
 */
conversation: ConversationSummary, 
/**
 * The question, where a new one was asked.
 */
question: StoredMessage | null, 
/**
 * The answer to be, still empty.
 */
answer: StoredMessage, };

export type ExportWords = { 
/**
 * Above the user's messages.
 */
you: string, 
/**
 * Above answers of a model whose name is not known.
 */
model: string, 
/**
 * Before the standing instruction.
 */
system_prompt: string, 
/**
 * In place of an empty title.
 */
untitled: string, 
/**
 * Title of the dialog that asks for a place.
 */
dialog: string, };

export type ChatEvent = { "type": "snapshot", 
/**
 * The message.
 */
message: StoredMessage, } | { "type": "answer", 
/**
 * The event.
 */
event: AnswerEvent, } | { "type": "switched", 
/**
 * The change and where it fell.
 */
placed: PlacedSwitch, };

export type Standby = "auto" | "on" | "off";

export type KvType = "f16" | "q8_0" | "q4_0";

export type Thresholds = { 
/**
 * Above it the card is overloaded, percent of total VRAM.
 */
overload_vram_percent: number, 
/**
 * Above it, with the GPU busy, the card is stressed, percent of total VRAM.
 */
stressed_vram_percent: number, 
/**
 * Below it, with the GPU calm, the card is optimal, percent of total VRAM.
 */
optimal_vram_percent: number, 
/**
 * Above it the GPU counts as busy, percent of utilization.
 */
stressed_gpu_percent: number, 
/**
 * Below it the GPU counts as calm, percent of utilization.
 */
optimal_gpu_percent: number, };

export type AiSettings = { gpu_profile: ProfileChoice, auto_switching_enabled: boolean, balanced_gpu_layers: number, context_tokens: number, model: string | null, standby: Standby, gpu_device: string, cpu_threads: "auto" | number, kv_type: KvType, };

export type GpuMonitoringSettings = { interval_seconds: number, csv_history_enabled: boolean, thresholds: Thresholds, };

export type LibrarySettings = { folders: Array<string>, other_apps: boolean, };

export type UiSettings = { language: "system" | "en" | "fr", theme: "system" | "light" | "dark", close_to_tray: boolean, autostart: boolean, notify_on_switch: boolean, };

export type OverrideSetting = { kind: OverrideWish, until: number | null, };

export type Settings = { ai: AiSettings, gpu_monitoring: GpuMonitoringSettings, library: LibrarySettings, ui: UiSettings, override?: OverrideSetting, };

export type SettingsNotice = { "type": "restored", 
/**
 * Name of the file that holds the broken text, in the data folder.
 */
kept_as: string, 
/**
 * What is wrong with it.
 */
detail: string, } | { "type": "defaults", 
/**
 * Name of the file that holds the broken text, in the data folder.
 */
kept_as: string, 
/**
 * What is wrong with it.
 */
detail: string, } | { "type": "unreadable", 
/**
 * Why.
 */
detail: string, } | { "type": "edit_broken", 
/**
 * What is wrong with it.
 */
detail: string, } | { "type": "not_watched", 
/**
 * Why.
 */
detail: string, } | { "type": "bad_value", 
/**
 * The setting, such as `ai.context_tokens`.
 */
key: string, 
/**
 * What is wrong with it, in English.
 */
message: string, 
/**
 * What is used instead.
 */
fallback: string, };

export type SettingsSnapshot = { 
/**
 * The values in force.
 */
values: Settings, 
/**
 * What each would be without a file.
 */
defaults: Settings, 
/**
 * Keys that the file sets to something else than the default.
 */
changed: Array<string>, 
/**
 * What the user should know about the file.
 */
notices: Array<SettingsNotice>, 
/**
 * The data folder, as a person reads it.
 */
folder: string | null, 
/**
 * Settings that the command line has taken over until the next start, such as `ai.gpu_profile`.
 */
fixed_by_arguments: Array<string>, };

export type ReasonCount = { 
/**
 * The reason.
 */
reason: Reason, 
/**
 * How often.
 */
count: number, };

export type ThresholdsPreview = { 
/**
 * Minutes of readings there are, at most 60; 0 where there are none.
 */
minutes: number, 
/**
 * How often Workly would have switched.
 */
switches: number, 
/**
 * How often it would have with the thresholds in force.
 */
switches_now: number, 
/**
 * The reasons of those switches, each with its number.
 */
reasons: Array<ReasonCount>, 
/**
 * Whether the model's own footprints were known; else a middling model on this card is assumed.
 */
for_this_model: boolean, };

export type GpuState = "overloaded" | "stressed" | "optimal" | "moderate";

export type GpuCard = { 
/**
 * What a person calls it, such as `NVIDIA GeForce RTX 4050`.
 */
name: string, 
/**
 * What to write into `ai.gpu_device` to take it: its PCI address where known, else its name.
 */
choose_by: string, 
/**
 * VRAM of the card, bytes.
 */
vram_total: number, };

export type GpuProblemKind = "no_gpu" | "driver" | "no_permission" | "not_supported" | "lost" | "silent";

export type GpuProblem = { 
/**
 * Which kind of thing is wrong.
 */
kind: GpuProblemKind, 
/**
 * What exactly, in English, and what to do.
 */
detail: string, };

export type GpuView = { 
/**
 * When, milliseconds since 1970.
 */
unix_ms: number, 
/**
 * The card that is watched.
 */
gpu: GpuCard | null, 
/**
 * VRAM of the card, bytes; `None` while nothing could be read.
 */
vram_total: number | null, 
/**
 * VRAM in use by everyone, bytes.
 */
vram_used: number | null, 
/**
 * VRAM of Workly's own worker, bytes.
 */
own_bytes: number | null, 
/**
 * Utilization, 0-100.
 */
gpu_percent: number | null, 
/**
 * Temperature, degrees Celsius.
 */
temperature_c: number | null, 
/**
 * Power drawn, watts.
 */
power_w: number | null, 
/**
 * What the thresholds say.
 */
state: GpuState | null, 
/**
 * The thresholds in force.
 */
thresholds: Thresholds, 
/**
 * Time between two full readings, seconds.
 */
interval_seconds: number, 
/**
 * The figures are old: the driver does not answer.
 */
stale: boolean, 
/**
 * The card sleeps and is left alone.
 */
asleep: boolean, 
/**
 * The first look is still to come.
 */
waiting: boolean, 
/**
 * Why nothing could be read.
 */
problem: GpuProblem | null, };

export type GpuPast = { 
/**
 * When, milliseconds since 1970.
 */
unix_ms: Array<number>, 
/**
 * VRAM in use by everyone, percent of total.
 */
vram_percent: Array<number>, 
/**
 * VRAM of Workly's own worker, percent of total; 0 where it holds none, `None` where that is unknown.
 */
own_percent: Array<number | null>, 
/**
 * Utilization, 0-100.
 */
gpu_percent: Array<number | null>, 
/**
 * The profile the model ran in.
 */
profile: Array<Profile | null>, };

export type DecisionView = { 
/**
 * Its reason as a code of the policy, where it has one.
 */
reason: Reason | null, 
/**
 * Why, in the user's language; empty where there is nothing to add.
 */
why_text: string, 
/**
 * When, milliseconds since 1970.
 */
unix_ms: number, 
/**
 * The profile that was left; `None` at the start.
 */
from: Profile | null, 
/**
 * The profile that was taken.
 */
to: Profile, 
/**
 * Why; none at the start.
 */
why: Why | null, 
/**
 * How it was carried out.
 */
strategy: SwitchStrategy | null, };

export type MonitorUpdate = { "type": "start", 
/**
 * The card now.
 */
view: GpuView, 
/**
 * The last hour.
 */
past: GpuPast, 
/**
 * The decisions, oldest first.
 */
switches: Array<DecisionView>, } | { "type": "reading", 
/**
 * The card now.
 */
view: GpuView, 
/**
 * The reading to add to the past; `None` where this was no full one.
 */
added: GpuPast | null, } | { "type": "switched", 
/**
 * The decision.
 */
entry: DecisionView, };

export type DemoName = "gaming" | "streaming" | "bursts";

export type Demo = { 
/**
 * Which.
 */
name: DemoName, 
/**
 * VRAM of the imagined card, bytes.
 */
vram_total: number, 
/**
 * The whole of it; times count from 0.
 */
past: GpuPast, 
/**
 * What Workly does; times count from 0.
 */
switches: Array<DecisionView>, 
/**
 * How often the thresholds alone would have switched.
 */
switches_by_table: number, 
/**
 * The thresholds it is played with.
 */
thresholds: Thresholds, };

export type ModelFacts = { 
/**
 * Architecture, such as `llama` or `gemma3`.
 */
architecture: string, 
/**
 * The name its maker gave it.
 */
name: string | null, 
/**
 * Number of parameters, counted from the tensors.
 */
parameters: number, 
/**
 * Quantisation as llama.cpp names it, such as `Q4_K_M`.
 */
quantization: string, 
/**
 * Tokens of context it was trained on.
 */
trained_context_tokens: number | null, 
/**
 * Transformer layers, without the output layer.
 */
layers: number, 
/**
 * Bytes of all tensors.
 */
tensor_bytes: number, 
/**
 * Number of tensors.
 */
tensors: number, 
/**
 * Whether the file brings a chat template.
 */
has_chat_template: boolean, 
/**
 * The licence, as the file names it.
 */
license: string | null, 
/**
 * Files it is split into; 1 where it is whole.
 */
parts: number, };

export type ModelSource = "embedded" | "workly" | "folder" | "lm_studio" | "ollama" | "jan" | "hugging_face";

export type FitVerdict = "all_on_gpu" | "part_on_gpu" | "cpu_only" | "too_large";

export type ProfileFit = { 
/**
 * The profile.
 */
profile: Profile, 
/**
 * Layers on the card, the output layer counted as one.
 */
gpu_layers: number, 
/**
 * Bytes of VRAM.
 */
footprint_bytes: number, 
/**
 * VRAM in use by everyone with the model placed so, percent; none without a card.
 */
projected_percent: number | null, 
/**
 * Tokens per second measured in this profile on this machine; none before that.
 */
tokens_per_second: number | null, };

export type ModelFit = { 
/**
 * In one word.
 */
verdict: FitVerdict, 
/**
 * Tokens of context it holds for.
 */
context_tokens: number, 
/**
 * Layers of the model, the output layer counted as one.
 */
model_layers: number, 
/**
 * Bytes of RAM it takes in `cpu_fallback`.
 */
memory_bytes: number, 
/**
 * Bytes of RAM that can be had now; none where the system does not say.
 */
memory_available_bytes: number | null, 
/**
 * `performance`, `balanced` and `cpu_fallback`, in this order.
 */
profiles: Array<ProfileFit>, 
/**
 * Whether the footprints come from llama.cpp's own dry run; otherwise they are estimated from the header.
 */
is_exact: boolean, };

export type LibraryModel = { 
/**
 * Stays the same as long as the file does.
 */
id: string, 
/**
 * What to call it.
 */
title: string, 
/**
 * The file; the first one of a split model.
 */
path: string, 
/**
 * Bytes of all its files.
 */
file_bytes: number, 
/**
 * Where it was found.
 */
source: ModelSource, 
/**
 * Whether it lies in Workly's own folder, where it may be renamed and deleted.
 */
is_own: boolean, 
/**
 * Whether it is the model that answers, or will.
 */
is_chosen: boolean, 
/**
 * What its header says; none where it cannot be read.
 */
facts: ModelFacts | null, 
/**
 * How it fits; none where its header cannot be read.
 */
fit: ModelFit | null, 
/**
 * Why it cannot be used.
 */
problem: Problem | null, };

export type LibraryFolder = { 
/**
 * The folder.
 */
path: string, 
/**
 * Whose it is.
 */
source: ModelSource, 
/**
 * Models found there.
 */
models: number, 
/**
 * Why it cannot be searched.
 */
problem: Problem | null, };

export type LibraryCard = { 
/**
 * Its name.
 */
name: string, 
/**
 * Bytes of VRAM.
 */
vram_total: number, 
/**
 * Bytes that other programs take.
 */
vram_external: number, };

export type LibrarySnapshot = { 
/**
 * The models, the chosen one first, then by title.
 */
models: Array<LibraryModel>, 
/**
 * The folders searched.
 */
folders: Array<LibraryFolder>, 
/**
 * The card; none where this machine has none.
 */
card: LibraryCard | null, 
/**
 * Whether folders are being searched.
 */
is_searching: boolean, };

export type CatalogueModel = { 
/**
 * Its name in the catalogue, as `workly-cli models get` takes it.
 */
id: string, 
/**
 * What to call it.
 */
title: string, 
/**
 * What it is good for, one sentence in English.
 */
summary_en: string, 
/**
 * The same in French.
 */
summary_fr: string, 
/**
 * Number of parameters.
 */
parameters: number, 
/**
 * Quantisation, such as `Q4_K_M`.
 */
quantization: string, 
/**
 * Tokens of context it was trained on.
 */
context_tokens: number, 
/**
 * Bytes to download; none where only the host knows.
 */
size_bytes: number | null, 
/**
 * Licence, as an SPDX name where there is one.
 */
license: string, 
/**
 * Page of its maker.
 */
homepage: string, 
/**
 * File to download.
 */
url: string, 
/**
 * SHA-256 of the file, where it is known for certain.
 */
sha256: string | null, 
/**
 * How it would fit, estimated from its size.
 */
fit: ModelFit | null, 
/**
 * The model in the library that it is, once it is there.
 */
installed: string | null, };

export type TransferKind = "download" | "import";

export type TransferState = "queued" | "running" | "waiting" | "paused" | "verifying" | "done" | "failed";

export type HashSource = "catalogue" | "host" | "none";

export type Transfer = { 
/**
 * Stays the same until it is dismissed.
 */
id: string, 
/**
 * Download or import.
 */
kind: TransferKind, 
/**
 * What to call it.
 */
title: string, 
/**
 * The catalogue's name of it; none for others.
 */
catalogue_id: string | null, 
/**
 * How far it is.
 */
state: TransferState, 
/**
 * Bytes that are here.
 */
received_bytes: number, 
/**
 * Bytes in all, once known.
 */
total_bytes: number | null, 
/**
 * Bytes per second over the last seconds.
 */
bytes_per_second: number | null, 
/**
 * Seconds left at that speed.
 */
seconds_left: number | null, 
/**
 * What the file is checked against.
 */
hash: HashSource, 
/**
 * The model it became.
 */
model: string | null, 
/**
 * Why it failed, or why it waits.
 */
problem: Problem | null, };

export type DragPhase = "over" | "left" | "dropped";

export type ModelsDragged = { 
/**
 * How far the drag is.
 */
phase: DragPhase, 
/**
 * Model files among them.
 */
models: number, 
/**
 * Why one that was let go is not imported.
 */
problem: Problem | null, };
