//! The stream as any client meets it, and what scripts make of it.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::sandbox::client::TempDir;
use crate::sandbox::{Behaviour, EffectKind, Party, World, WorldOptions};

const CONNECT: &str = r#"CONNECT {"verbose":false,"pedantic":false,"tls_required":false,"lang":"test","version":"1","headers":true,"no_responders":true}"#;

/// A client of this protocol, no more than that.
struct Plain(BufReader<TcpStream>);

impl Plain {
    async fn at(world: &World) -> Self {
        let address = world.addresses().nats_url.strip_prefix("nats://").unwrap();
        let mut plain = Plain(BufReader::new(TcpStream::connect(address).await.unwrap()));
        assert!(plain.line().await.unwrap().starts_with("INFO {"));
        plain.says(&format!("{CONNECT}\r\nSUB _INBOX.x.* 1\r\nPING\r\n")).await;
        assert_eq!(plain.line().await.unwrap(), "PONG");
        plain
    }

    async fn says(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    /// The next line; nothing at the end of the connection, however it ends.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).await.unwrap_or(0);
        (read > 0).then(|| line.trim_end().to_owned())
    }

    async fn publishes(&mut self, id: &str, body: &str, reply: &str) {
        let head = format!("NATS/1.0\r\nNats-Msg-Id: {id}\r\nBursar-Event-Type: boleto.registered\r\n\r\n");
        let (head_length, length) = (head.len(), head.len() + body.len());
        self.says(&format!("HPUB owners.a _INBOX.x.{reply} {head_length} {length}\r\n{head}{body}\r\n"))
            .await;
    }

    /// The acknowledgement that comes next.
    async fn ack(&mut self, reply: &str) -> Value {
        let line = self.line().await.unwrap();
        let length: usize = line.strip_prefix(&format!("MSG _INBOX.x.{reply} 1 ")).unwrap().parse().unwrap();
        let mut body = vec![0; length + 2];
        self.0.read_exact(&mut body).await.unwrap();
        serde_json::from_slice(&body[..length]).unwrap()
    }
}

#[tokio::test]
async fn a_message_is_kept_once_and_its_repetition_is_counted() {
    let dir = TempDir::new();
    let world = World::open(WorldOptions::in_dir(dir.path())).await.unwrap();
    let mut plain = Plain::at(&world).await;
    let body = json!({"boleto_id": "b1", "version": 2}).to_string();
    plain.publishes("e1", &body, "1").await;
    assert_eq!(plain.ack("1").await, json!({"stream": "OWNERS", "seq": 1}));
    plain.publishes("e1", &body, "2").await;
    assert_eq!(plain.ack("2").await, json!({"stream": "OWNERS", "seq": 1, "duplicate": true}));
    plain.publishes("e2", &body, "3").await;
    assert_eq!(plain.ack("3").await["seq"], 2);

    let kinds: Vec<_> = world.effects().iter().map(|effect| (effect.kind, effect.key.clone())).collect();
    let expected = [
        (EffectKind::OwnerNats, "b1+e1".to_owned()),
        (EffectKind::OwnerNatsDuplicate, "b1+e1".to_owned()),
        (EffectKind::OwnerNats, "b1+e2".to_owned()),
    ];
    assert_eq!(kinds, expected);
    let messages = world.messages();
    assert_eq!(messages.len(), 2);
    assert_eq!((messages[0].channel.as_str(), messages[0].destination.as_str()), ("nats", "owners.a"));
    assert_eq!((messages[0].attributes["Nats-Msg-Id"].as_str(), &messages[0].body), ("e1", &body));
    world.close().await;
}

#[tokio::test]
async fn a_script_is_told_in_the_protocols_own_way() {
    let dir = TempDir::new();
    let world = World::open(WorldOptions::in_dir(dir.path())).await.unwrap();
    let mut plain = Plain::at(&world).await;
    let script = world.script();
    script.once(Party::Nats, Behaviour::refuse("10054"));
    plain.publishes("e1", "{}", "1").await;
    assert_eq!(plain.ack("1").await["error"]["err_code"], 10_054);
    script.once(Party::Nats, Behaviour::saying(503, "maximum messages exceeded"));
    plain.publishes("e1", "{}", "2").await;
    let said = plain.ack("2").await;
    assert_eq!(
        (&said["error"]["err_code"], &said["error"]["description"]),
        (&json!(10_077), &json!("maximum messages exceeded"))
    );
    script.once(Party::Nats, Behaviour::status(503));
    plain.publishes("e1", "{}", "3").await;
    assert_eq!(plain.line().await.unwrap(), "HMSG _INBOX.x.3 1 16 16");
    let lines = [plain.line().await.unwrap(), plain.line().await.unwrap(), plain.line().await.unwrap()];
    assert_eq!(lines, ["NATS/1.0 503", "", ""]);
    assert_eq!(world.effects(), []);

    // Silence: the next message is answered, and this one is not.
    script.once(Party::Nats, Behaviour::AcceptThen(Box::new(Behaviour::Empty)));
    plain.publishes("e1", "{}", "4").await;
    plain.publishes("e2", "{}", "5").await;
    assert_eq!(plain.ack("5").await["seq"], 2);
    assert_eq!(world.effects().len(), 2);

    script.once(Party::Nats, Behaviour::accept_then_hold());
    plain.publishes("e3", "{}", "6").await;
    world.wait_for_held(1, std::time::Duration::from_secs(5)).await.unwrap();
    plain.publishes("e4", "{}", "7").await;
    assert_eq!(plain.ack("7").await["seq"], 4, "one that is held holds up no other");
    script.release();
    assert_eq!(plain.ack("6").await["seq"], 3);

    script.once(Party::Nats, Behaviour::accept_then_drop());
    plain.publishes("e5", "{}", "8").await;
    assert_eq!(plain.line().await, None, "the connection ends without an answer");
    assert_eq!(world.effects().len(), 5);
    assert_eq!(script.asked(Party::Nats), 8);
    world.close().await;
}

#[tokio::test]
async fn who_breaks_the_protocol_is_told_and_cut_off() {
    let dir = TempDir::new();
    let world = World::open(WorldOptions::in_dir(dir.path())).await.unwrap();
    let mut plain = Plain::at(&world).await;
    plain.says("PUB owners.* 2\r\nhi\r\n").await;
    assert_eq!(plain.line().await.unwrap(), "-ERR 'Invalid Publish Subject'");
    assert_eq!(plain.line().await, None);
    assert_eq!(world.effects(), []);
    world.close().await;
}
