//! New heights as soon as a node announces them: a hint, never the truth.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{json, Value};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_tungstenite::{
    connect_async_with_config,
    tungstenite::{protocol::WebSocketConfig, Message},
};

use super::RpcClient;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A node that announces nothing for so long is left for the next one.
const SILENCE: Duration = Duration::from_secs(15);
const MAX_BACKOFF: Duration = Duration::from_secs(10);
const MAX_MESSAGE: usize = 16 << 20;

/// Follows new blocks by WebSocket over reconnects. The task ends when the
/// last receiver is gone.
#[derive(Debug)]
pub struct Hints {
    heights: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Drop for Hints {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Hints {
    /// Starts following.
    pub fn start(rpc: &RpcClient) -> Self {
        let (sender, heights) = watch::channel(0);
        let task = tokio::spawn(follow(rpc.clone(), sender));
        Self { heights, task }
    }

    /// The last height announced; 0: none yet.
    pub fn height(&self) -> u64 {
        *self.heights.borrow()
    }

    /// A receiver of its own, for each that waits.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.heights.clone()
    }

    /// Waits for another height than was seen last, at most so long.
    pub async fn changed(&mut self, at_most: Duration) {
        if let Ok(Err(_)) = timeout(at_most, self.heights.changed()).await {
            tokio::time::sleep(at_most).await;
        }
    }
}

async fn follow(rpc: RpcClient, heights: watch::Sender<u64>) {
    let mut backoff = Duration::from_millis(200);
    for turn in 0_usize.. {
        let endpoints = rpc.endpoints();
        let Some(endpoint) = endpoints.get(turn % endpoints.len().max(1)) else { return };
        let announced = listen(endpoint, &heights).await;
        if let Err(cause) = &announced {
            tracing::debug!("block announcements of {endpoint} ended: {cause}");
        }
        if heights.is_closed() {
            return;
        }
        backoff = if matches!(announced, Ok(true)) {
            Duration::from_millis(200)
        } else {
            (backoff * 2).min(MAX_BACKOFF)
        };
        tokio::time::sleep(backoff).await;
    }
}

/// Listens until the connection ends; says whether anything was announced.
async fn listen(endpoint: &str, heights: &watch::Sender<u64>) -> Result<bool, String> {
    let url = format!("{}/websocket", endpoint.replacen("http", "ws", 1));
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let connecting = connect_async_with_config(url, Some(limits), true);
    let (mut socket, _) = timeout(CONNECT_TIMEOUT, connecting)
        .await
        .map_err(|_| "connecting took too long".to_owned())?
        .map_err(|e| e.to_string())?;
    let subscribe = json!({
        "jsonrpc": "2.0", "id": 1, "method": "subscribe",
        "params": { "query": "tm.event='NewBlockHeader'" },
    });
    let text = Message::text(subscribe.to_string());
    socket.send(text).await.map_err(|e| e.to_string())?;
    let mut any = false;
    loop {
        let message = match timeout(SILENCE, socket.next()).await {
            Err(_) => return Err(format!("silent for {} s", SILENCE.as_secs())),
            Ok(None) => return Ok(any),
            Ok(Some(message)) => message.map_err(|e| e.to_string())?,
        };
        if let Some(height) = announced_height(&message) {
            any = true;
            heights.send_if_modified(|h| std::mem::replace(h, height.max(*h)) < height);
        }
        if heights.is_closed() {
            return Ok(any);
        }
    }
}

fn announced_height(message: &Message) -> Option<u64> {
    let value: Value = serde_json::from_str(message.to_text().ok()?).ok()?;
    value.pointer("/result/data/value/header/height")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_height_of_an_announcement() {
        let text = r#"{"jsonrpc":"2.0","id":1,"result":{"query":"tm.event='NewBlockHeader'",
            "data":{"type":"tendermint/event/NewBlockHeader","value":{"header":{"height":"42"}}}}}"#;
        assert_eq!(announced_height(&Message::text(text)), Some(42));
        assert_eq!(announced_height(&Message::text(r#"{"result":{}}"#)), None);
        assert_eq!(announced_height(&Message::binary(vec![1])), None);
    }
}
