//! The TypeScript that the window is compiled against.

use ts_rs::{Config, TS};
use workly_core::answer::StopReason;
use workly_core::chat::{Message, Role};
use workly_core::model::ModelInfo;
use workly_core::policy::{LayerPlan, Numbers, ProfilePlan, Reason};
use workly_core::problem::{Problem, ProblemCode};
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::reading::ProcessUse;
use workly_core::sampling::Sampling;
use workly_core::settings::OverrideWish;
use workly_core::switch_plan::SwitchStrategy;
use workly_core::why::{Notice, Why, WorkerFault, WorkerFaultKind};

use crate::answer::{AnswerEvent, AnswerRequest, AnswerStats, AnswerSwitch};
use crate::chat::{self, CONVERSATION_CHANGED, STORE_CHANGED};
use crate::model::{AppSnapshot, MODEL_CHANGED, ModelState, ModelView};
use crate::models::{self, LIBRARY_CHANGED, MODELS_DRAGGED, TRANSFERS_CHANGED};
use crate::monitor;
use crate::settings::{self, SETTINGS_CHANGED};

/// TypeScript declarations of every type that crosses to the window.
pub fn typescript() -> String {
    let config = Config::new();
    let declarations = [
        Role::decl(&config),
        Message::decl(&config),
        Profile::decl(&config),
        ProfileChoice::decl(&config),
        OverrideWish::decl(&config),
        ProfilePlan::decl(&config),
        LayerPlan::decl(&config),
        ProblemCode::decl(&config),
        Problem::decl(&config),
        Sampling::decl(&config),
        ModelInfo::decl(&config),
        Reason::decl(&config),
        Numbers::decl(&config),
        ProcessUse::decl(&config),
        WorkerFaultKind::decl(&config),
        WorkerFault::decl(&config),
        Why::decl(&config),
        Notice::decl(&config),
        ModelState::decl(&config),
        ModelView::decl(&config),
        AppSnapshot::decl(&config),
        AnswerRequest::decl(&config),
        StopReason::decl(&config),
        AnswerStats::decl(&config),
        SwitchStrategy::decl(&config),
        AnswerSwitch::decl(&config),
        AnswerEvent::decl(&config),
    ];
    let mut source = format!(
        "// Generated from workly-wire by `cargo xtask types`. Do not edit.\n\n\
         export const MODEL_CHANGED = \"{MODEL_CHANGED}\";\n\
         export const SETTINGS_CHANGED = \"{SETTINGS_CHANGED}\";\n\
         export const CONVERSATION_CHANGED = \"{CONVERSATION_CHANGED}\";\n\
         export const STORE_CHANGED = \"{STORE_CHANGED}\";\n\
         export const LIBRARY_CHANGED = \"{LIBRARY_CHANGED}\";\n\
         export const TRANSFERS_CHANGED = \"{TRANSFERS_CHANGED}\";\n\
         export const MODELS_DRAGGED = \"{MODELS_DRAGGED}\";\n"
    );
    let declarations = declarations
        .into_iter()
        .chain(chat::declarations(&config))
        .chain(settings::declarations(&config))
        .chain(monitor::declarations(&config))
        .chain(models::declarations(&config));
    for declaration in declarations {
        source.push_str("\nexport ");
        source.push_str(&declaration);
        source.push('\n');
    }
    source
}
