//! French.

use std::fmt::Write as _;

use workly_core::policy::{Numbers, Reason};
use workly_core::problem::ProblemCode;
use workly_core::profile::Profile;
use workly_core::reading::ProcessUse;
use workly_core::why::{Notice, Why, WorkerFault, WorkerFaultKind};

use super::signal_name;

pub(super) const SILENT: &str = "Le processus du modèle ne répond pas. On lui laisse quelques secondes pour revenir ; vous \
                                 pouvez aussi arrêter la réponse.";

pub(super) fn why(why: &Why) -> String {
    match why {
        Why::Policy { reason, from, to, numbers, culprits } => {
            let mut said = figures(*reason, numbers);
            said.extend(rule(*reason, *to < *from).map(str::to_owned));
            let mut said = said.join(", ");
            if matches!(reason, Reason::Overload | Reason::Stress | Reason::Fault) && !culprits.is_empty() {
                let _ = write!(said, " ({})", programs(culprits));
            }
            said
        }
        Why::Asked { after_token: Some(token) } => format!("demandé après le jeton {token}"),
        Why::Asked { after_token: None } => "demandé".to_owned(),
        Why::Worker { fault } => worker(*fault),
        Why::Text { text } => text.clone(),
    }
}

fn figures(reason: Reason, numbers: &Numbers) -> Vec<String> {
    let say = |what: &str, percent: Option<f64>| percent.map(|percent| format!("{what} {percent:.0}\u{a0}%"));
    let vram = || say("VRAM", numbers.vram_percent);
    let others_vram = || say("VRAM des autres", numbers.external_vram_percent);
    let others_gpu = || say("GPU des autres", numbers.external_gpu_percent);
    let said = match reason {
        Reason::Overload => [vram(), others_vram()],
        Reason::Stress | Reason::Table => [vram(), others_gpu()],
        Reason::Recovered | Reason::Start => [others_vram(), others_gpu()],
        Reason::Fault | Reason::Replan => [vram(), None],
        Reason::Crash | Reason::Override | Reason::Choice | Reason::GpuGone => [None, None],
    };
    said.into_iter().flatten().collect()
}

const fn rule(reason: Reason, is_down: bool) -> Option<&'static str> {
    match reason {
        Reason::Fault => Some("le processus du modèle a manqué de mémoire"),
        Reason::Crash => Some("le processus du modèle s’est terminé de façon inattendue"),
        Reason::Replan if is_down => Some("le modèle a pris plus que prévu"),
        Reason::Replan => Some("il y a de la place pour plus de couches"),
        Reason::Override => Some("comme demandé pour le moment"),
        Reason::Choice => Some("comme choisi dans les réglages"),
        Reason::GpuGone => Some("le GPU ne répond plus"),
        Reason::Overload | Reason::Stress | Reason::Recovered | Reason::Start | Reason::Table => None,
    }
}

/// The three programs that take most.
fn programs(culprits: &[ProcessUse]) -> String {
    let mut largest: Vec<_> = culprits.iter().collect();
    largest.sort_by_key(|process| std::cmp::Reverse(process.vram_bytes));
    let named = largest.into_iter().take(3).map(|process| {
        let name = process.name.clone().unwrap_or_else(|| format!("processus {}", process.pid));
        match process.vram_bytes {
            Some(bytes) => format!("{name} {}", gigabytes(bytes)),
            None => name,
        }
    });
    named.collect::<Vec<_>>().join(", ")
}

fn worker(fault: WorkerFault) -> String {
    let how = match fault {
        WorkerFault { signal: Some(signal), .. } => format!(" ({})", signal_name(signal)),
        WorkerFault { exit_code: Some(code), .. } => format!(" (code de sortie {code})"),
        WorkerFault { .. } => String::new(),
    };
    match fault.kind {
        WorkerFaultKind::Killed => format!("le processus du modèle a été arrêté de l’extérieur{how}"),
        WorkerFaultKind::Crashed => format!("le processus du modèle s’est écrasé{how}"),
        WorkerFaultKind::Left => "le processus du modèle est parti de lui-même".to_owned(),
        WorkerFaultKind::OutOfMemory => "le processus du modèle a manqué de mémoire".to_owned(),
        WorkerFaultKind::BadModel => format!("le fichier du modèle a fait tomber le processus du modèle{how}"),
        WorkerFaultKind::Protocol => "le processus du modèle et Workly ne se comprennent pas".to_owned(),
        WorkerFaultKind::Unresponsive => "le processus du modèle ne répondait plus et a été arrêté".to_owned(),
        WorkerFaultKind::NotStarted => "le processus du modèle n’a pas pu démarrer".to_owned(),
        WorkerFaultKind::NotComputed => "le modèle n’a pas pu calculer".to_owned(),
    }
}

pub(super) fn notice(notice: &Notice) -> String {
    match notice {
        Notice::NoRoom { wanted } => format!(
            "Il n’y a pas de place sur le GPU pour le profil {} en ce moment : le modèle reste où il est.",
            profile(*wanted)
        ),
        Notice::NoRoomAtStart { wanted } => format!(
            "Il n’y a pas de place sur le GPU pour le profil {} : le modèle fonctionne sur le CPU.",
            profile(*wanted)
        ),
        Notice::NotTaken { wanted, problem } => {
            format!("Le modèle n’a pas pu passer au profil {} : {}.", profile(*wanted), obstacle(problem.code))
        }
        Notice::CpuRefused { problem } => {
            format!("Le modèle n’a pas pu passer sur le CPU : {}.", obstacle(problem.code))
        }
        Notice::CrashedTooOften => {
            "Le modèle s’est écrasé trop souvent sur le GPU avec ce pilote : il reste sur le CPU \
                                    jusqu’à ce que vous choisissiez de nouveau un profil GPU."
                .to_owned()
        }
        Notice::CardRefused { card } => format!("{card} n’a pas pu prendre le modèle : il fonctionne sur le CPU."),
        Notice::GpuUnusable { fault } => format!("Le GPU ne peut pas être utilisé : {}.", worker(*fault)),
        Notice::NoGpu { wanted } => format!(
            "Aucun GPU utilisable n’a été trouvé : le modèle fonctionne sur le CPU au lieu du profil {}.",
            profile(*wanted)
        ),
        Notice::CameBack { wanted, taken } => format!(
            "Le dernier chargement dans le profil {} ne s’est jamais terminé, le modèle démarre donc dans le profil {}. \
             Choisissez de nouveau le profil pour réessayer.",
            profile(*wanted),
            profile(*taken)
        ),
        Notice::LowMemory { needed_bytes, available_bytes } => format!(
            "Ce modèle demande environ {} de mémoire et {} sont libres : la machine peut devenir très lente. Fermez \
             d’autres programmes, ou choisissez un modèle plus petit.",
            gigabytes(*needed_bytes),
            gigabytes(*available_bytes)
        ),
        Notice::WorkerHeld { process_id } => format!(
            "Le processus du modèle {process_id} ne peut pas être arrêté : le système le retient, et sa mémoire sur le GPU \
             avec lui. Le modèle continue dans un autre processus. S’il reste, redémarrez l’ordinateur."
        ),
    }
}

/// What kept the model from moving. A problem's own message is English.
const fn obstacle(code: ProblemCode) -> &'static str {
    match code {
        ProblemCode::ModelMissing => "le fichier du modèle est introuvable",
        ProblemCode::NoPermission => "le fichier du modèle ne peut pas être lu",
        ProblemCode::NotGguf => "ce fichier n’est pas un modèle GGUF",
        ProblemCode::ModelDamaged => "le fichier du modèle est abîmé",
        ProblemCode::UnsupportedArchitecture => "ce type de modèle n’est pas pris en charge",
        ProblemCode::ContextTooLarge => "le contexte ne tient pas en mémoire",
        ProblemCode::OutOfMemory => "la mémoire ne suffit pas",
        ProblemCode::EmptyPrompt | ProblemCode::PromptTooLong | ProblemCode::TemplateFailed => {
            "la conversation ne peut pas y être reprise"
        }
        ProblemCode::LoadFailed => "le modèle n’a pas pu être chargé",
        ProblemCode::DecodeFailed => "le modèle a cessé de calculer",
        ProblemCode::NoModel => "aucun modèle n’est choisi",
        ProblemCode::WorkerCrashed => "le processus du modèle s’est écrasé",
        ProblemCode::WorkerKilled => "le processus du modèle a été arrêté de l’extérieur",
        ProblemCode::WorkerUnresponsive => "le processus du modèle ne répondait plus",
        ProblemCode::WorkerMissing => "le programme qui fait tourner les modèles est introuvable",
        ProblemCode::GpuUnreadable => "le GPU ne peut pas être interrogé",
        ProblemCode::Cancelled => "le chargement a été arrêté",
        ProblemCode::DiskFull => "le disque est trop plein",
        ProblemCode::InvalidSetting
        | ProblemCode::Protocol
        | ProblemCode::LinkRefused
        | ProblemCode::NotSaved
        | ProblemCode::ConversationMissing
        | ProblemCode::AnswerRunning
        | ProblemCode::StoreFailed
        | ProblemCode::ExportFailed
        | ProblemCode::DownloadFailed
        | ProblemCode::DownloadRefused
        | ProblemCode::HashMismatch
        | ProblemCode::ModelExists
        | ProblemCode::NotOurs
        | ProblemCode::FolderUnreadable => "Workly a rencontré une erreur interne",
    }
}

const fn profile(profile: Profile) -> &'static str {
    match profile {
        Profile::Performance => "Performance",
        Profile::Balanced => "Équilibré",
        Profile::CpuFallback => "CPU",
    }
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1}\u{a0}Go", bytes as f64 / 1e9).replace('.', ",")
}
