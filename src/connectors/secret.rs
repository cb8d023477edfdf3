//! References to secrets, so that configuration and the store never hold a value in plain text.
//!
//! **Owns** nothing: a secret is read anew at each use, so that a rotated file counts from the next call on.
//! **Fails** naming the reference and what is wrong with it, never the value.
//! **Limits**: a secret file is a regular one of at most 64 KiB; surrounding white space is not part of the secret.
//! Which secrets a caller may name is for the [`policy`] to say; what arrives at run time is kept [`sealed`].

pub mod policy;
pub mod sealed;

use std::fmt;
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::Path;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Where a secret is kept: `env:NAME` or `file:path`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SecretRef {
    /// A variable of the process's environment.
    Env(String),
    /// A file, usually mounted by the platform; relative paths start at the working directory.
    File(String),
}

impl SecretRef {
    /// Reads a reference.
    ///
    /// # Errors
    /// Text that is neither `env:NAME` (letters, digits, underscore) nor `file:path`. The text itself is not
    /// repeated: somebody may have written the secret where its reference belongs.
    pub fn parse(text: &str) -> Result<Self, InvalidSecretRef> {
        if let Some(name) = text.strip_prefix("env:") {
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !name.is_empty() && plain {
                return Ok(Self::Env(name.to_owned()));
            }
        }
        if let Some(path) = text.strip_prefix("file:")
            && !path.is_empty()
            && !path.contains('\0')
        {
            return Ok(Self::File(path.to_owned()));
        }
        Err(InvalidSecretRef)
    }

    /// Reads the secret.
    ///
    /// # Errors
    /// A variable that is not set, a file that is not regular, cannot be read, is too long or is not UTF-8, an empty
    /// value.
    pub fn resolve(&self) -> Result<SecretString, SecretError> {
        match self {
            Self::Env(name) => self.value(&std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => self.fault("the variable is not set"),
                std::env::VarError::NotUnicode(_) => self.fault("the value is not UTF-8"),
            })?),
            Self::File(path) => self.resolve_file(Path::new(path)),
        }
    }

    /// Reads the secret from where its file was found.
    fn resolve_file(&self, path: &Path) -> Result<SecretString, SecretError> {
        self.value(&self.read(path)?)
    }

    fn value(&self, text: &str) -> Result<SecretString, SecretError> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(self.fault("the value is empty"));
        }
        Ok(SecretString::from(trimmed))
    }

    fn read(&self, path: &Path) -> Result<String, SecretError> {
        // A device or a pipe may keep whoever opens it waiting for ever, so it is not even opened.
        self.check_regular(path.metadata())?;
        let file = File::open(path).map_err(|error| self.unreadable(&error))?;
        // Another file may have come to its place in between.
        self.check_regular(file.metadata())?;
        let mut text = String::new();
        let read = file
            .take(FILE_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .map_err(|error| self.unreadable(&error))?;
        if read as u64 > FILE_BYTES_MAX {
            return Err(self.fault("the file is longer than 64 KiB"));
        }
        Ok(text)
    }

    fn check_regular(&self, metadata: std::io::Result<Metadata>) -> Result<(), SecretError> {
        let metadata = metadata.map_err(|error| self.unreadable(&error))?;
        if metadata.is_file() { Ok(()) } else { Err(self.fault("it is not a regular file")) }
    }

    fn unreadable(&self, error: &std::io::Error) -> SecretError {
        // The kind says what an operator needs; the full text may repeat bytes of the file.
        self.fault(&format!("the file cannot be read: {}", error.kind()))
    }

    fn fault(&self, reason: &str) -> SecretError {
        SecretError { reference: self.to_string(), reason: reason.to_owned() }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
        }
    }
}

impl TryFrom<String> for SecretRef {
    type Error = InvalidSecretRef;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<SecretRef> for String {
    fn from(reference: SecretRef) -> Self {
        reference.to_string()
    }
}

/// The text refers to no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret is referred to as env:NAME or file:path")]
pub struct InvalidSecretRef;

/// A secret could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("secret {reference} cannot be used: {reason}")]
pub struct SecretError {
    /// The reference as configured.
    pub reference: String,
    /// What is wrong, without the value.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn references_read_back_as_written() {
        for text in ["env:BB_APP_KEY", "file:/run/secrets/bb", "file:secrets/a b"] {
            assert_eq!(SecretRef::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_without_being_repeated() {
        for text in ["", "s3cret", "env:", "env:A B", "file:", "ENV:A", "vault:x"] {
            let error = SecretRef::parse(text).unwrap_err();
            assert!(text.is_empty() || !error.to_string().contains("s3cret"));
        }
    }

    #[test]
    fn a_rotated_file_counts_from_the_next_use_on() {
        let path = std::env::temp_dir().join(format!("bursar-secret-{}", uuid::Uuid::now_v7()));
        let reference = SecretRef::parse(&format!("file:{}", path.display())).unwrap();
        std::fs::write(&path, "first\n").unwrap();
        assert_eq!(reference.resolve().unwrap().expose_secret(), "first");
        std::fs::write(&path, "second").unwrap();
        assert_eq!(reference.resolve().unwrap().expose_secret(), "second");
        std::fs::write(&path, " \n").unwrap();
        assert_eq!(reference.resolve().unwrap_err().reason, "the value is empty");
        std::fs::remove_file(&path).unwrap();
        assert!(reference.resolve().unwrap_err().reason.contains("cannot be read"));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let folder = std::env::temp_dir().join(format!("bursar-secret-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        let pipe = folder.join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (said, heard) = std::sync::mpsc::channel();
        for path in [pipe, folder.clone(), "/dev/zero".into(), "/dev/null".into()] {
            let said = said.clone();
            std::thread::spawn(move || {
                let _ = said.send(SecretRef::File(path.display().to_string()).resolve().unwrap_err().reason);
            });
            let reason =
                heard.recv_timeout(std::time::Duration::from_secs(20)).expect("nobody waits for a pipe");
            assert_eq!(reason, "it is not a regular file");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_missing_variable_is_named() {
        let reference = SecretRef::parse("env:BURSAR_TEST_NO_SUCH_VARIABLE").unwrap();
        let error = reference.resolve().unwrap_err();
        assert_eq!(error.reference, "env:BURSAR_TEST_NO_SUCH_VARIABLE");
    }
}
