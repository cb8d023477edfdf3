//! Plays a step of a conversation as the script says, in the protocol's own way.
//!
//! **Owns** nothing. **Fails** as scripted. **Limits**: an endless answer has an end that nobody waits for.

use crate::sandbox::line::Line;
use crate::sandbox::script::{Behaviour, Party, Script};

const PAGE: &str = "<!DOCTYPE html><html><head><title>Erro</title></head></html>\r\n";
const MORE: &str = "250-7777777777777777777777777777777777777777777777777777777777777777\r\n";
const MORE_TIMES: usize = 64 * 1024;

/// What is said, and whether the conversation goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// As it stands, its end included.
    Text(String),
    /// This, and then the end.
    Last(String),
    /// The line has its fate: whatever is written carries it out.
    Fate,
}

/// Plays one step. `work` runs at most once, and says the usual answer.
pub(super) async fn perform<F>(script: &Script, party: Party, line: &Line, work: impl FnOnce() -> F) -> Said
where
    F: Future<Output = String>,
{
    match script.next(party) {
        None | Some(Behaviour::Normal) => Said::Text(work().await),
        Some(Behaviour::ExpireTokens) => {
            script.expire_tokens();
            Said::Text(work().await)
        }
        Some(late @ (Behaviour::Latency { .. } | Behaviour::Hold)) => {
            if script.delay(&late).await {
                Said::Text(work().await)
            } else {
                gone(line)
            }
        }
        Some(Behaviour::AcceptThen(then)) => {
            let usual = work().await;
            say(script, *then, line, usual).await
        }
        Some(behaviour) => say(script, behaviour, line, "250 2.0.0 Ok\r\n".to_owned()).await,
    }
}

/// Puts the behaviour in the place of the answer, which it may let through.
async fn say(script: &Script, behaviour: Behaviour, line: &Line, usual: String) -> Said {
    match behaviour {
        Behaviour::Latency { .. } | Behaviour::Hold => {
            if script.delay(&behaviour).await {
                Said::Text(usual)
            } else {
                gone(line)
            }
        }
        Behaviour::Hang => {
            script.delay(&behaviour).await;
            gone(line)
        }
        Behaviour::Reset => gone(line),
        Behaviour::Garbage => {
            line.garble();
            Said::Fate
        }
        Behaviour::Html => Said::Text(PAGE.to_owned()),
        Behaviour::Empty => Said::Last(String::new()),
        Behaviour::Truncated => Said::Last(usual[..usual.len() / 2].to_owned()),
        Behaviour::Endless => Said::Last(MORE.repeat(MORE_TIMES)),
        Behaviour::Redirect { to, .. } => Said::Text(format!("551 5.7.1 not here; try {to}\r\n")),
        Behaviour::Status { code, body, .. } => {
            let text = format!("{code} {}\r\n", body.as_deref().unwrap_or("as the script says"));
            // RFC 5321 §3.8: who says 421 hangs up.
            if code == 421 { Said::Last(text) } else { Said::Text(text) }
        }
        Behaviour::Refuse { code } => Said::Text(format!("550 5.7.1 {code}\r\n")),
        Behaviour::Normal | Behaviour::AcceptThen(_) | Behaviour::ExpireTokens => Said::Text(usual),
    }
}

fn gone(line: &Line) -> Said {
    line.cut();
    Said::Fate
}
