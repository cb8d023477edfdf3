//! Which secrets a caller may name.
//!
//! Bank accounts and endpoints come by the API with references to their secrets. Without a rule a caller could have any
//! variable or file of this process sent to a bank, or learn from our answers which of them exist.
//!
//! **Owns** nothing. A policy vets a reference when it is stored, and again whenever it is used.
//! **Fails** with the rule that was broken; outside the folders the answer is the same whether a file exists or not.
//! **Limits**: regular files below the allowed folders, also after every link has been followed. What the configuration
//! itself refers to is the operator's own and is not asked about here.

use std::path::{Component, Path, PathBuf, absolute};
use std::sync::Arc;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::sealed::SecretKeeper;
use super::{InvalidSecretRef, SecretError, SecretRef};

/// `[secrets]`: what callers may name, and by which key the service keeps what it is handed itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecretsConfig {
    /// How the name of a variable must begin; none in the list allows no variable.
    pub env_prefixes: Vec<String>,
    /// Folders below which a file must lie; none in the list allows no file.
    pub folders: Vec<PathBuf>,
    /// By which key secrets that arrive at run time are sealed: 32 bytes in Base64. Without it none are kept.
    pub key: Option<SecretRef>,
    /// Keys that sealed before and still open what they sealed.
    pub previous_keys: Vec<SecretRef>,
}

impl Default for SecretsConfig {
    fn default() -> Self {
        Self {
            env_prefixes: vec!["BURSAR_SECRET_".to_owned()],
            folders: vec!["/run/secrets/bursar".into()],
            key: None,
            previous_keys: Vec::new(),
        }
    }
}

/// The rules of a [`SecretsConfig`], ready to be asked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SecretPolicy {
    config: Arc<SecretsConfig>,
    keeper: SecretKeeper,
}

/// Which rule a reference broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForbiddenSecret {
    /// Not a reference at all.
    #[error(transparent)]
    NotAReference(#[from] InvalidSecretRef),
    /// The variable's name does not begin as it must.
    #[error("the variable's name must begin with one of secrets.env_prefixes")]
    Variable,
    /// The file lies elsewhere, or a link leads elsewhere.
    #[error("the file must be below one of secrets.folders, without `..` and without a link out of it")]
    Place,
    /// A folder, a device, a pipe: nothing that can be read to its end without waiting.
    #[error("it must be a regular file")]
    NotAFile,
}

/// A file that a caller may name, looked for.
enum Found {
    /// Where it is once every link has been followed.
    At(PathBuf),
    /// Not there, or not to be reached.
    Nowhere(std::io::Error),
}

impl SecretPolicy {
    pub fn new(config: SecretsConfig) -> Self {
        let keeper = SecretKeeper::new(&config);
        Self { config: Arc::new(config), keeper }
    }

    /// Who keeps the secrets that arrive at run time.
    pub fn keeper(&self) -> &SecretKeeper {
        &self.keeper
    }

    /// Reads a caller's reference.
    ///
    /// # Errors
    /// The rule that was broken, without the text.
    pub fn vet(&self, text: &str) -> Result<SecretRef, ForbiddenSecret> {
        let reference = SecretRef::parse(text)?;
        self.check(&reference)?;
        Ok(reference)
    }

    /// Whether a caller may name this secret. One that is not there yet may be named: it can be mounted later.
    ///
    /// # Errors
    /// The rule that was broken.
    pub fn check(&self, reference: &SecretRef) -> Result<(), ForbiddenSecret> {
        match reference {
            SecretRef::Env(name) => self.check_variable(name),
            SecretRef::File(path) => self.find(Path::new(path)).map(|_| ()),
        }
    }

    /// Reads a secret that a caller named.
    ///
    /// # Errors
    /// The rule that was broken, or what keeps the secret from being read.
    pub fn resolve(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        let forbidden = |rule: ForbiddenSecret| reference.fault(&rule.to_string());
        match reference {
            SecretRef::Env(name) => {
                self.check_variable(name).map_err(forbidden)?;
                reference.resolve()
            }
            SecretRef::File(path) => match self.find(Path::new(path)).map_err(forbidden)? {
                // What was vetted is what is read: no link is followed a second time.
                Found::At(path) => reference.resolve_file(&path),
                Found::Nowhere(error) => Err(reference.unreadable(&error)),
            },
        }
    }

    fn check_variable(&self, name: &str) -> Result<(), ForbiddenSecret> {
        let allowed = self.config.env_prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()));
        if allowed { Ok(()) } else { Err(ForbiddenSecret::Variable) }
    }

    fn find(&self, path: &Path) -> Result<Found, ForbiddenSecret> {
        let climbs = path.components().any(|part| part == Component::ParentDir);
        let named = absolute(path).ok().filter(|_| !climbs).ok_or(ForbiddenSecret::Place)?;
        let folders = &self.config.folders;
        let true_folders: Vec<PathBuf> =
            folders.iter().filter_map(|folder| folder.canonicalize().ok()).collect();
        // The text alone decides first, so that nothing is looked up elsewhere.
        let is_below = |folder: &Path| named.starts_with(folder);
        let as_written = folders.iter().filter_map(|folder| absolute(folder).ok());
        if !as_written.chain(true_folders.iter().cloned()).any(|folder| is_below(&folder)) {
            return Err(ForbiddenSecret::Place);
        }
        let found = match named.canonicalize() {
            Ok(found) => found,
            Err(error) => return Ok(Found::Nowhere(error)),
        };
        if !true_folders.iter().any(|folder| found.starts_with(folder)) {
            return Err(ForbiddenSecret::Place);
        }
        match found.metadata() {
            Ok(metadata) if metadata.is_file() => Ok(Found::At(found)),
            Ok(_) => Err(ForbiddenSecret::NotAFile),
            Err(error) => Ok(Found::Nowhere(error)),
        }
    }
}

#[cfg(test)]
mod tests;
