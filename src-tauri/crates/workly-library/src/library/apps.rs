//! Where other programs on this machine keep their models. Nothing is ever written there.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use workly_gguf::open_regular;
use workly_wire::models::ModelSource;

/// Bytes of another program's settings that are read.
const MOST_BYTES: u64 = 1 << 20;

/// Which system's customs hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// Linux and its like.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

/// The user's surroundings, in which other programs look for their folders.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Which system's customs hold.
    pub system: System,
    /// The user's own folder.
    pub home: Option<PathBuf>,
    /// The environment.
    pub variables: HashMap<String, OsString>,
}

/// A folder to search, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whose it is.
    pub source: ModelSource,
    /// The folder.
    pub folder: PathBuf,
}

/// The variables that are looked at.
const VARIABLES: [&str; 8] = [
    "OLLAMA_MODELS",
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "HF_HOME",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "APPDATA",
    "LM_STUDIO_HOME",
];

impl Surroundings {
    /// Those of this process.
    pub fn of_this_user() -> Self {
        let system = match std::env::consts::OS {
            "macos" => System::MacOs,
            "windows" => System::Windows,
            _ => System::Linux,
        };
        let variable = |name: &&str| std::env::var_os(name).map(|value| ((*name).to_owned(), value));
        Self { system, home: dirs::home_dir(), variables: VARIABLES.iter().filter_map(variable).collect() }
    }

    /// The folder that a variable names; one that is no full path is none.
    fn variable(&self, name: &str) -> Option<PathBuf> {
        self.variables.get(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    fn at_home(&self, path: &str) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(path))
    }

    /// Every folder of other programs that is there.
    pub fn places(&self) -> Vec<Place> {
        let found = |source, folders: Vec<Option<PathBuf>>| {
            folders.into_iter().flatten().map(move |folder| Place { source, folder })
        };
        let mut places: Vec<Place> = found(ModelSource::LmStudio, self.lm_studio())
            .chain(found(ModelSource::Jan, self.jan()))
            .chain(found(ModelSource::Ollama, self.ollama()))
            .chain(found(ModelSource::HuggingFace, self.hugging_face()))
            .filter(|place| place.folder.is_dir())
            .collect();
        let mut seen = Vec::new();
        places.retain(|place| {
            let real = place.folder.canonicalize().unwrap_or_else(|_| place.folder.clone());
            let is_new = !seen.contains(&real);
            seen.push(real);
            is_new
        });
        places
    }

    /// LM Studio tells its home in a file beside the user's, and the folder of models in its settings.
    fn lm_studio(&self) -> Vec<Option<PathBuf>> {
        let pointer = self.at_home(".lmstudio-home-pointer").and_then(|path| text(&path));
        let pointed = pointer.map(|path| PathBuf::from(path.trim())).filter(|path| path.is_absolute());
        let mut folders = Vec::new();
        for home in
            [self.variable("LM_STUDIO_HOME"), pointed, self.at_home(".lmstudio"), self.at_home(".cache/lm-studio")]
        {
            let Some(home) = home else { continue };
            let chosen = json(&home.join("settings.json"))
                .and_then(|settings| Some(PathBuf::from(settings.get("downloadsFolder")?.as_str()?)))
                .filter(|folder| folder.is_absolute());
            folders.extend([chosen, Some(home.join("models"))]);
        }
        folders
    }

    /// Jan's data folder, which its settings may have moved.
    fn jan(&self) -> Vec<Option<PathBuf>> {
        let settings = match self.system {
            System::Linux => self.variable("XDG_CONFIG_HOME").or_else(|| self.at_home(".config")),
            System::MacOs => self.at_home("Library/Application Support"),
            System::Windows => self.variable("APPDATA").or_else(|| self.at_home("AppData/Roaming")),
        };
        let settings = settings.map(|folder| folder.join("Jan"));
        let moved = settings
            .as_ref()
            .and_then(|folder| json(&folder.join("settings.json")))
            .and_then(|settings| Some(PathBuf::from(settings.get("data_folder")?.as_str()?)))
            .filter(|folder| folder.is_absolute());
        let data = [moved, settings.map(|folder| folder.join("data")), self.at_home("jan")];
        let models = |data: PathBuf| [Some(data.join("llamacpp/models")), Some(data.join("models"))];
        data.into_iter().flatten().flat_map(models).collect()
    }

    /// Ollama's store: the user's, and the one of the service that its installer sets up.
    fn ollama(&self) -> Vec<Option<PathBuf>> {
        let of_the_service = Some(PathBuf::from("/usr/share/ollama/.ollama/models"));
        let of_the_service = of_the_service.filter(|_| self.system == System::Linux);
        vec![self.variable("OLLAMA_MODELS"), self.at_home(".ollama/models"), of_the_service]
    }

    /// The cache of Hugging Face's libraries.
    fn hugging_face(&self) -> Vec<Option<PathBuf>> {
        let named = self.variable("HF_HUB_CACHE").or_else(|| self.variable("HUGGINGFACE_HUB_CACHE"));
        let home = self.variable("HF_HOME").or_else(|| {
            let cache = self.variable("XDG_CACHE_HOME").or_else(|| self.at_home(".cache"));
            cache.map(|cache| cache.join("huggingface"))
        });
        vec![named, home.map(|home| home.join("hub"))]
    }
}

/// A small file of another program; `None` where it cannot be read.
pub(super) fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    open_regular(path).ok()?.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// A small JSON file of another program; `None` where it cannot be understood.
pub(super) fn json(path: &Path) -> Option<Value> {
    serde_json::from_str(&text(path)?).ok()
}
