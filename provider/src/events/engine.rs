//! The engine's word on instances, put into the log.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use stoa_client::proto::gateway::v1::EventKind;

use crate::reconcile::Board;
use crate::runtime::{Backend, EngineEvent};

/// Before the engine is asked for events anew.
const RETRY: Duration = Duration::from_secs(5);
/// What concerns a tenant; commands, copies and attachments do not.
const TOLD: [&str; 6] = ["create", "start", "die", "oom", "destroy", "health_status"];

/// Goes on for ever.
pub async fn listen(backend: Arc<dyn Backend>, board: Arc<Board>) {
    loop {
        let mut events = backend.events();
        while let Some(Ok(event)) = events.next().await {
            if let Some(message) = words(&event) {
                board.events().note_instance(&event.key, EventKind::Engine, &message);
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

fn words(event: &EngineEvent) -> Option<String> {
    let action = event.action.split(':').next().unwrap_or_default();
    if event.link || !TOLD.contains(&action) {
        return None;
    }
    Some(match (action, event.exit_code) {
        ("die", Some(137)) => "ended with code 137 (killed)".into(),
        ("die", Some(code)) => format!("ended with code {code}"),
        ("oom", _) => "out of memory".into(),
        ("health_status", _) => event.action.replace("health_status", "health"),
        ("create", _) => "container made".into(),
        ("start", _) => "started".into(),
        ("destroy", _) => "container removed".into(),
        (other, _) => other.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::InstanceKey;

    #[test]
    fn only_what_concerns_the_tenant_is_told() {
        let key = InstanceKey { lease: "l".into(), service: "web".into(), index: 0 };
        let event = |action: &str, link| EngineEvent {
            key: key.clone(),
            link,
            action: action.into(),
            exit_code: (action == "die").then_some(3),
        };
        assert_eq!(words(&event("die", false)).unwrap(), "ended with code 3");
        assert_eq!(words(&event("health_status: healthy", false)).unwrap(), "health: healthy");
        assert_eq!(words(&event("start", true)), None, "the link is ours");
        assert_eq!(words(&event("exec_start: sh", false)), None);
    }
}
