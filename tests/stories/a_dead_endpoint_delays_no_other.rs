//! One of eleven receivers takes connections and never answers. A thousand messages wait for it, and a thousand for the ten
//! others, who get theirs before it is even asked a second time.

use std::collections::BTreeMap;

use bursar::proto::boleto::v1::batch_create_result::Result as ItemResult;
use bursar::proto::boleto::v1::{BatchCreateBoletosRequest, CreateBoletoRequest};
use bursar::proto::control::v1::{ListQueuesRequest, PauseQueueRequest, Queue, ResumeQueueRequest};
use bursar::proto::notification::v1::EventFilter;
use bursar::sandbox::{Effect, EffectKind};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::house::{House, Opened, Operator, PATIENCE, a_boleto, eventually};

const BOLETOS: usize = 1_000;
const HEALTHY: usize = 10;
const DELIVERIES: &str = "delivery/webhook/";
/// What one endpoint may have under way, so that the dead one cannot fill all places.
const PER_ENDPOINT_MAX: usize = 32;

/// Takes connections and says nothing, until it hangs up on all of them.
struct Silence {
    url: String,
    connections: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Silence {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/hooks/dead", listener.local_addr().expect("an address"));
        let (count, connections) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut held: Vec<TcpStream> = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                held.push(connection);
                count.send_replace(held.len());
            }
        });
        Self { url, connections, task }
    }

    /// Waits until somebody called.
    async fn is_called(&mut self) {
        let called = tokio::time::timeout(PATIENCE, self.connections.wait_for(|count| *count > 0)).await;
        called.expect("called in time").expect("it listens");
    }

    fn hangs_up(self) -> usize {
        self.task.abort();
        *self.connections.borrow()
    }
}

async fn queue_of(operator: &Operator, endpoint_id: &str) -> Queue {
    let answer = operator.control.clone().list_queues(ListQueuesRequest::default()).await.expect("queues");
    let name = format!("{DELIVERIES}{endpoint_id}");
    let found = answer.into_inner().queues.into_iter().find(|queue| queue.name == name);
    found.unwrap_or(Queue { name, ..Queue::default() })
}

/// Has a thousand boletos made and registered while nobody is told.
async fn a_thousand_are_registered(house: &Opened, dead_id: &str) {
    let operator = house.operator();
    let pause = PauseQueueRequest { name: DELIVERIES.to_owned(), reason: "until all are there".to_owned() };
    operator.control.clone().pause_queue(pause).await.expect("a pause");
    let request = |number: usize| -> CreateBoletoRequest {
        a_boleto().called(&format!("owner-{}", number % HEALTHY)).told_to_subscribers().into_request()
    };
    let requests = (0..BOLETOS).map(request).collect();
    let answer = house.shop().boletos.batch_create_boletos(BatchCreateBoletosRequest { requests }).await;
    let results = answer.expect("a batch").into_inner().results;
    assert!(results.iter().all(|result| matches!(result.result, Some(ItemResult::Created(_)))));
    eventually("a thousand wait for the dead endpoint", async || {
        (queue_of(&operator, dead_id).await.available == BOLETOS as i64).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_healthy_get_theirs_before_the_dead_one_is_asked_again() {
    let house = House::new()
        .with("channels.webhook.timeout", "2min")
        .with("notification.attempt_timeout", "3min")
        .with("notification.per_endpoint_max", &PER_ENDPOINT_MAX.to_string())
        .open()
        .await;
    let operator = house.operator();
    let mut silence = Silence::open().await;
    let dead = operator.subscribes_webhook_at(&silence.url, &["boleto.registered"], vec![]).await;
    let (base, _) = house.world().addresses().webhook_url.rsplit_once('/').expect("a path");
    for owner in 0..HEALTHY {
        let name = format!("owner-{owner}");
        let own = EventFilter { attribute: "reference_id".to_owned(), values: vec![name.clone()] };
        operator.subscribes_webhook_at(&format!("{base}/{name}"), &["*"], vec![own]).await;
    }
    a_thousand_are_registered(&house, &dead.id).await;
    let resume = ResumeQueueRequest { name: DELIVERIES.to_owned(), ..Default::default() };
    operator.control.clone().resume_queue(resume).await.expect("an end of the pause");

    silence.is_called().await;
    let told = |effects: &[Effect]| -> BTreeMap<String, usize> {
        let mut told = BTreeMap::new();
        for effect in effects.iter().filter(|effect| effect.kind == EffectKind::OwnerWebhook) {
            let owner = effect.detail["destination"].as_str().unwrap_or_default().to_owned();
            *told.entry(owner).or_default() += 1;
        }
        told
    };
    let all_told = |effects: &[Effect]| told(effects).values().sum::<usize>() >= BOLETOS;
    house.world().wait_for_effects(all_told, PATIENCE * 2).await.expect("the healthy are told");
    let queue = queue_of(&operator, &dead.id).await;
    assert_eq!(queue.available + queue.running + queue.retryable, BOLETOS as i64, "it has taken nothing");
    assert_eq!(queue.retryable, 0, "no first attempt has even ended: {queue:?}");
    assert!(queue.running > 0 && queue.running <= PER_ENDPOINT_MAX as i64, "{queue:?}");
    let told = told(&house.world().effects());
    let expected: BTreeMap<String, usize> =
        (0..HEALTHY).map(|owner| (format!("owner-{owner}"), BOLETOS / HEALTHY)).collect();
    assert_eq!(told, expected, "each its own, and each once");
    let connections = silence.hangs_up();
    assert!((1..=PER_ENDPOINT_MAX).contains(&connections), "{connections} connections");
    house.close().await;
}
