//! Who the workers are: the real program, or a script that speaks the protocol and computes nothing, with which many more
//! things happen in the same time.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use workly_core::device::DeviceWish;
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::text::AnswerText;
use workly_runtime::manager::ModelSettings;

use crate::stage::settings;
use crate::support::{PROGRAM, gemma, model};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../workly-runtime/tests/manager/fake_worker.py");
/// The models of those who play.
const PLAYED: [&str; 2] = ["one.gguf", "other.gguf"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cast {
    Real,
    Played,
}

impl Cast {
    /// The program that is started as a worker, made in this folder.
    pub(crate) fn program(self, folder: &Path) -> PathBuf {
        let program = folder.join("workly-cli");
        match self {
            Self::Real => fs::write(&program, real(folder)).unwrap(),
            Self::Played => {
                fs::copy(SCRIPT, &program).unwrap();
                for name in PLAYED {
                    fs::write(folder.join(name), "GGUF").unwrap();
                }
                let behaviour = json!({ "answer_text": AnswerText::new(Vec::new()), "load_s": 0.1 });
                fs::write(folder.join("behaviour.json"), behaviour.to_string()).unwrap();
            }
        }
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        program
    }

    /// One of two models, in a place that does not change by itself.
    pub(crate) fn settings(self, folder: &Path, is_other: bool, place: Profile) -> ModelSettings {
        let place = ProfileChoice::Fixed(place);
        match self {
            Self::Real => settings(if is_other { gemma() } else { model() }, place),
            Self::Played => {
                let path = folder.join(PLAYED[usize::from(is_other)]);
                ModelSettings { gpu: DeviceWish::Auto, ..settings(path, place) }
            }
        }
    }
}

/// The program as a worker: llama.cpp's Vulkan backend shows it the device in software, and the first one that is
/// started after a fault was written down has that fault.
fn real(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "#!/bin/sh\n\
         export GGML_VK_VISIBLE_DEVICES=0\n\
         if [ -e '{folder}/fault' ] && mv '{folder}/fault' '{folder}/armed.'$$ 2>/dev/null; then\n\
         export WORKLY_FAULT=\"$(cat '{folder}/armed.'$$)\"\n\
         fi\n\
         exec '{PROGRAM}' \"$@\"\n"
    )
}
