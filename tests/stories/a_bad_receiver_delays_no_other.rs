//! Five receivers have five kinds of bad days: one says nothing, one says a byte now and then, one never stops, one hangs up, one
//! fails. A sixth is well, and gets everything while none of the others has taken a thing; they get theirs once they are well.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::house::{House, PATIENCE, a_boleto, eventually};

const BOLETOS: usize = 12;

/// A kind of bad day.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    Silent,
    Drips,
    NeverStops,
    HangsUp,
    Fails,
}

/// A receiver that has its bad day until it is well.
struct Receiver {
    url: String,
    trouble: Trouble,
    asked: watch::Receiver<usize>,
    taken: Arc<Mutex<BTreeSet<String>>>,
}

impl Receiver {
    async fn open(trouble: Trouble, well: &watch::Sender<bool>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/hooks/{trouble:?}", listener.local_addr().expect("an address"));
        let (count, asked) = watch::channel(0);
        let taken = Arc::new(Mutex::new(BTreeSet::new()));
        let (kept, well) = (taken.clone(), well.subscribe());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                count.send_modify(|count| *count += 1);
                let (kept, well) = (kept.clone(), well.clone());
                // Whoever called may have hung up already.
                tokio::spawn(async move { serve(connection, trouble, well, &kept).await.ok() });
            }
        });
        Self { url, trouble, asked, taken }
    }

    fn taken(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Reads one request and returns the event's id.
async fn read(connection: &mut TcpStream) -> std::io::Result<String> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let count = connection.read(&mut chunk).await?;
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if count == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            continue;
        };
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        let length: usize = header("content-length").and_then(|text| text.parse().ok()).unwrap_or_default();
        if body.len() >= length {
            return Ok(header("webhook-id").unwrap_or_default());
        }
    }
}

async fn serve(
    mut connection: TcpStream,
    trouble: Trouble,
    mut well: watch::Receiver<bool>,
    taken: &Mutex<BTreeSet<String>>,
) -> std::io::Result<()> {
    let event_id = read(&mut connection).await?;
    if !*well.borrow() {
        return suffer(&mut connection, trouble, &mut well).await;
    }
    taken.lock().unwrap_or_else(PoisonError::into_inner).insert(event_id);
    connection.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await
}

async fn suffer(
    connection: &mut TcpStream,
    trouble: Trouble,
    well: &mut watch::Receiver<bool>,
) -> std::io::Result<()> {
    match trouble {
        Trouble::Silent => {
            let _ = well.wait_for(|well| *well).await;
        }
        Trouble::Drips => {
            connection.write_all(b"HTTP/1.1 200 OK\r\nx-drip: ").await?;
            let mut drops = tokio::time::interval(Duration::from_millis(20));
            while !*well.borrow() {
                drops.tick().await;
                connection.write_all(b"d").await?;
            }
        }
        Trouble::NeverStops => {
            connection.write_all(b"HTTP/1.1 500 Internal Server Error\r\nconnection: close\r\n\r\n").await?;
            let more = [b'7'; 16 * 1024];
            while !*well.borrow() {
                connection.write_all(&more).await?;
            }
        }
        Trouble::HangsUp => {}
        Trouble::Fails => {
            connection
                .write_all(b"HTTP/1.1 500 Internal Server Error\r\nconnection: close\r\ncontent-length: 4\r\n\r\noops")
                .await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_one_that_is_well_gets_everything_meanwhile() {
    let house = House::new()
        // Longer than the healthy one takes, so that whoever says nothing is waited for all the time.
        .with("channels.webhook.timeout", "25s")
        .with("breaker.wait_base", "20ms")
        .with("breaker.wait_cap", "100ms")
        .open()
        .await;
    let operator = house.operator();
    let (well, _) = watch::channel(false);
    let mut bad = Vec::new();
    for trouble in [Trouble::Silent, Trouble::Drips, Trouble::NeverStops, Trouble::HangsUp, Trouble::Fails] {
        let receiver = Receiver::open(trouble, &well).await;
        operator.subscribes_webhook_at(&receiver.url, &["boleto.registered"], vec![]).await;
        bad.push(receiver);
    }
    let mut boletos = vec![house.shop().creates(a_boleto().told_to_subscribers()).await];
    for receiver in &mut bad {
        let asked = tokio::time::timeout(PATIENCE, receiver.asked.wait_for(|asked| *asked > 0)).await;
        asked.expect("asked in time").expect("it listens");
    }
    // The others have their bad day already when the one that is well comes.
    operator.subscribes_webhook(&["boleto.registered"]).await;
    for _ in 1..BOLETOS {
        boletos.push(house.shop().creates(a_boleto().told_to_subscribers()).await);
    }
    for boleto in &boletos[1..] {
        house.owner().hears(&boleto.id, 1).await;
    }
    for receiver in &bad {
        assert_eq!(receiver.taken(), 0, "{:?} has taken nothing yet", receiver.trouble);
    }

    well.send_replace(true);
    for receiver in &bad {
        eventually(&format!("{:?} gets everything", receiver.trouble), async || {
            (receiver.taken() == BOLETOS).then_some(())
        })
        .await;
    }
    operator.sees_all_work_done().await;
    for boleto in &boletos[1..] {
        assert_eq!(house.owner().heard(&boleto.id).len(), 1, "once");
    }
    house.close().await;
}
