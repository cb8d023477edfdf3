//! The sandbox's database, judged by Google's own client: what holds for that client may judge ours.

use bursar::sandbox::{EffectKind, FirebaseOptions, World, WorldOptions};

use crate::peers::judge;
use crate::small_house::Folder;

/// What each step of the judge is about.
const STEPS: [&str; 13] = [
    "a stream is redirected and begins with what is there",
    "a silent write is told",
    "a write in several places is one event",
    "a version is read",
    "a write depends on a version",
    "nothing has a version",
    "increments of two at once",
    "pushed, deleted, keys alone",
    "found by a query, and the missing rule named",
    "a connection cut in the middle of an event",
    "a credential that ended",
    "a service account signs in, and nobody else",
    "a stream ends with the token that opened it",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn googles_client_takes_every_step() {
    let folder = Folder::new();
    let key = folder.path().join("key.pem");
    judge("firebase_admin_steps.py", &["make-key", &key.display().to_string()], "").await.approved();
    let firebase = FirebaseOptions { service_account_key: Some(key), ..FirebaseOptions::default() };
    let options = WorldOptions { firebase, ..WorldOptions::in_dir(folder.path().join("world")) };
    let world = World::open(options).await.expect("a world");
    let (addresses, account) = {
        let addresses = world.addresses();
        let account = addresses.firebase.service_account.as_ref().expect("a service account's file");
        (addresses.clone(), account.display().to_string())
    };
    let arguments = [
        "steps",
        "--database",
        &addresses.firebase.url,
        "--control",
        &addresses.control_url,
        "--service-account",
        &account,
    ];
    let verdict = judge("firebase_admin_steps.py", &arguments, "").await;
    for (number, about) in (1..).zip(STEPS) {
        let step = &verdict.said[number.to_string()];
        assert_eq!(step["passed"], true, "{number}, {about}: {}\n{}", step["saw"], verdict.complaint);
    }
    verdict.approved();

    // What the client wrote below the records is put down, once for each of them, and nothing else that it wrote.
    let effects = world.effects();
    let keys: Vec<_> = effects.iter().map(|effect| (effect.kind, effect.key.as_str())).collect();
    assert_eq!(keys, ["k1", "k2", "k3", "k4"].map(|key| (EffectKind::FeedWritten, key)));
    world.close().await;
}
