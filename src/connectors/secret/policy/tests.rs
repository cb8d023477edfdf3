//! What callers try to name, and whether they may.

use std::fs;

use secrecy::ExposeSecret;

use super::*;

/// Two folders side by side, the first of which may be named, gone with the test.
struct Place {
    root: PathBuf,
    policy: SecretPolicy,
}

impl Place {
    fn new() -> Self {
        let root = std::env::temp_dir().join(format!("bursar-policy-{}", uuid::Uuid::now_v7()));
        for folder in ["in/deeper", "in-secret"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for file in ["in/key", "in/deeper/key", "in-secret/key", "key"] {
            fs::write(root.join(file), file).unwrap();
        }
        let policy = SecretPolicy::new(SecretsConfig {
            env_prefixes: vec!["BURSAR_TEST_".to_owned()],
            folders: vec![root.join("in")],
            ..SecretsConfig::default()
        });
        Self { root, policy }
    }

    fn named(&self, path: &str) -> SecretRef {
        SecretRef::File(self.root.join(path).display().to_string())
    }

    /// What checking says, and that reading says the same.
    fn refused(&self, reference: &SecretRef) -> ForbiddenSecret {
        let rule = self.policy.check(reference).unwrap_err();
        assert_eq!(self.policy.resolve(reference).unwrap_err().reason, rule.to_string());
        rule
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

#[test]
fn only_variables_with_a_prefix_may_be_named() {
    let place = Place::new();
    for name in ["PATH", "bursar_test_key", "A_BURSAR_TEST_KEY", "BURSAR_TEST"] {
        assert_eq!(place.refused(&SecretRef::Env(name.to_owned())), ForbiddenSecret::Variable, "{name}");
    }
    let allowed = SecretRef::Env("BURSAR_TEST_NO_SUCH_VARIABLE".to_owned());
    assert_eq!(place.policy.check(&allowed), Ok(()));
    assert_eq!(place.policy.resolve(&allowed).unwrap_err().reason, "the variable is not set");
}

#[test]
fn files_below_the_folder_may_be_named_and_are_read() {
    let place = Place::new();
    for path in ["in/key", "in/deeper/key", "in/./key"] {
        assert_eq!(place.policy.check(&place.named(path)), Ok(()));
        assert_eq!(place.policy.resolve(&place.named(path)).unwrap().expose_secret(), path.replace("./", ""));
    }
    let later = place.named("in/mounted-later");
    assert_eq!(place.policy.check(&later), Ok(()));
    assert!(place.policy.resolve(&later).unwrap_err().reason.contains("cannot be read"));
}

#[test]
fn files_elsewhere_may_not_whether_they_exist_or_not() {
    let place = Place::new();
    for path in
        ["key", "no-such-key", "in-secret/key", "in/../key", "in/../in/key", "in/no-such-folder/../../key"]
    {
        assert_eq!(place.refused(&place.named(path)), ForbiddenSecret::Place, "{path}");
    }
    for path in ["/etc/passwd", "/dev/ptmx", "/proc/self/environ", "key", "../key", "in/key"] {
        assert_eq!(place.refused(&SecretRef::File(path.to_owned())), ForbiddenSecret::Place, "{path}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_may_lead_about_in_the_folder_and_not_out_of_it() {
    use std::os::unix::fs::symlink;

    let place = Place::new();
    symlink("deeper/key", place.root.join("in/within")).unwrap();
    symlink("../key", place.root.join("in/out")).unwrap();
    symlink("../in-secret", place.root.join("in/out-folder")).unwrap();
    symlink("/dev/zero", place.root.join("in/device")).unwrap();
    symlink("in", place.root.join("alias")).unwrap();
    let within = place.policy.resolve(&place.named("in/within")).unwrap();
    assert_eq!(within.expose_secret(), "in/deeper/key");
    for path in ["in/out", "in/out-folder/key", "in/device"] {
        assert_eq!(place.refused(&place.named(path)), ForbiddenSecret::Place, "{path}");
    }
    // The folder itself may be a link, and may be named either way.
    let policy = SecretPolicy::new(SecretsConfig {
        env_prefixes: Vec::new(),
        folders: vec![place.root.join("alias")],
        ..SecretsConfig::default()
    });
    for path in ["alias/key", "in/key"] {
        let real = place.root.canonicalize().unwrap().join(path).display().to_string();
        assert_eq!(policy.resolve(&SecretRef::File(real)).unwrap().expose_secret(), "in/key");
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_may_not_be_named() {
    let place = Place::new();
    let pipe = place.root.join("in/pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in ["in", "in/deeper", "in/pipe"] {
        assert_eq!(place.refused(&place.named(path)), ForbiddenSecret::NotAFile, "{path}");
    }
    let devices = SecretPolicy::new(SecretsConfig {
        env_prefixes: Vec::new(),
        folders: vec!["/dev".into()],
        ..SecretsConfig::default()
    });
    assert_eq!(devices.check(&SecretRef::File("/dev/zero".to_owned())), Err(ForbiddenSecret::NotAFile));
}

#[test]
fn empty_lists_allow_nothing_and_a_value_is_not_said_back() {
    let place = Place::new();
    let policy = SecretPolicy::new(SecretsConfig {
        env_prefixes: Vec::new(),
        folders: Vec::new(),
        ..SecretsConfig::default()
    });
    assert_eq!(policy.check(&SecretRef::Env("BURSAR_SECRET_A".to_owned())), Err(ForbiddenSecret::Variable));
    assert_eq!(policy.check(&place.named("in/key")), Err(ForbiddenSecret::Place));
    let error = place.policy.vet("s3cret").unwrap_err();
    assert_eq!(error, ForbiddenSecret::NotAReference(InvalidSecretRef));
    assert!(!error.to_string().contains("s3cret"));
}
