//! Where settings come from: a file, the environment, the command line.
//!
//! **Owns** nothing. **Fails** with a [`Problem`] for each source that cannot be read and for each key that there is
//! not; the other sources are read all the same.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::error::Problem;
use super::legacy_scheduler;
use super::origin;
use super::schema::{Schema, flatten};

const PREFIX: &str = "BURSAR__";
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What goes over the defaults, later ones over earlier ones: file, environment, overrides.
#[derive(Clone, Default)]
pub struct Sources {
    /// A TOML file with any of the keys of `config/default.toml`.
    pub file: Option<PathBuf>,
    /// Variables and their values; those whose name does not begin with `BURSAR__` are passed over, but for the
    /// replaced scheduler's.
    pub env: Vec<(String, String)>,
    /// Keys, as in `work.lanes`, and their values, written as in the environment.
    pub overrides: Vec<(String, String)>,
}

impl Sources {
    /// The file, if there is one, and this process's environment.
    pub fn of_process(file: Option<PathBuf>) -> Self {
        let env = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .filter(|(name, _)| name.starts_with(PREFIX) || legacy_scheduler::is_legacy(name))
            .collect();
        Self { file, env, overrides: Vec::new() }
    }

    /// One more override, over all before it.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.overrides.push((key.to_owned(), value.into()));
        self
    }

    /// Every setting of a known key, in the order in which they apply.
    pub(super) fn read(&self, schema: &Schema, problems: &mut Vec<Problem>) -> Vec<Setting> {
        let legacy = legacy_scheduler::read(&self.env);
        problems.extend(legacy.problems);
        let mut settings = legacy.implied;
        if let Some(file) = &self.file {
            let origin = file.display().to_string();
            match read_file(file) {
                Ok((table, lines)) => settings.extend(flatten(table).into_iter().map(|(path, value)| {
                    let line = lines.get(&path.join(".")).copied();
                    Setting { path, value, origin: origin.clone(), line }
                })),
                Err(reason) => problems.push(Problem::Unreadable { origin, reason }),
            }
        }
        settings.extend(legacy.said);
        for (name, text) in &self.env {
            let Some(key) = name.strip_prefix(PREFIX) else { continue };
            let path = key.split("__").map(str::to_ascii_lowercase).collect();
            settings.push(Setting::of_text(schema, path, text, format!("variable {name}")));
        }
        for (key, text) in &self.overrides {
            let path = key.split('.').map(str::to_owned).collect();
            settings.push(Setting::of_text(schema, path, text, "command line".to_owned()));
        }
        settings.retain(|setting| {
            let known = schema.find(&setting.path).is_some();
            if !known {
                problems.push(Problem::Unknown {
                    key: setting.key(),
                    origin: setting.origin.clone(),
                    nearest: schema.nearest(&setting.path),
                });
            }
            known
        });
        settings
    }
}

/// One key set by one source.
pub(super) struct Setting {
    pub(super) path: Vec<String>,
    pub(super) value: Value,
    pub(super) origin: String,
    /// On which line of its file it stands.
    pub(super) line: Option<usize>,
}

impl Setting {
    /// A setting given as text. The key decides how it is read: where a text belongs, `5` is a text.
    fn of_text(schema: &Schema, path: Vec<String>, text: &str, origin: String) -> Self {
        let value = match schema.find(&path) {
            Some(Value::String(_)) | None => Value::String(text.to_owned()),
            Some(_) => serde::Deserialize::deserialize(toml::de::ValueDeserializer::new(text.trim()))
                .unwrap_or_else(|_| Value::String(text.to_owned())),
        };
        Self { path, value, origin, line: None }
    }

    pub(super) fn key(&self) -> String {
        self.path.join(".")
    }
}

/// What a file holds, and on which line each key stands.
fn read_file(path: &Path) -> Result<(Table, BTreeMap<String, usize>), String> {
    let file = std::fs::File::open(path).map_err(|error| error.kind().to_string())?;
    let mut text = String::new();
    let bytes =
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| error.kind().to_string())?;
    if bytes as u64 > FILE_BYTES_MAX {
        return Err("it is longer than 1 MiB".to_owned());
    }
    let table = text.parse::<Table>().map_err(|error| {
        // The parser's own text repeats the line, which may hold a password.
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("line {} is not TOML", before.matches('\n').count() + 1)
    })?;
    Ok((table, origin::lines(&text)))
}
