//! Clients who speak HTTP/2 to do harm: what each may cost is bounded, in memory and in places, it is told so with the right
//! code or let go, and everybody else is served meanwhile.

use std::net::SocketAddr;

use bursar::proto::boleto::v1::ListBoletosRequest;
use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt as _;
use h2::client::{ResponseFuture, SendRequest};
use http::{Request, Response};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::Channel;

use crate::database::Kind;
use crate::load;
use crate::process::{PATIENCE, eventually};
use crate::raw_http2::{self, End, FRAME_BYTES_MAX, Raw};
use crate::shop::Shop;
use crate::stage::{House, Stage};

/// Where those who mean harm come from; the others come from 127.0.0.1.
const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];
const LIST: &str = "/bursar.boleto.v1.BoletoService/ListBoletos";
/// What the house may take on top of what it had, whatever is done to it: 64 MiB, what its allocator keeps for later included.
const GROWTH_KIB_MAX: u64 = 64 * 1024;
/// RFC 9113 §7.
const ENHANCE_YOUR_CALM: u32 = 0xb;
/// An empty message as gRPC frames it.
const EMPTY: &[u8] = &[0; 5];

/// A house at which something is thrown while others go on asking.
async fn bears(settings: &[&str], thrown: impl AsyncFnOnce(&Stage, &House)) {
    let stage = Stage::open(Kind::Sqlite).await;
    let mut house = stage.house_with(settings, &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    for _ in 0..20 {
        ask(&channel).await;
    }
    house.program.watch_memory();
    let before = house.program.memory_peak_kib();
    let others = async {
        loop {
            ask(&channel).await;
        }
    };
    tokio::select! {
        () = thrown(&stage, &house) => {}
        _ = others => unreachable!("they go on asking"),
    }
    ask(&channel).await;
    let peak = house.program.memory_peak_kib();
    assert!(peak <= before + GROWTH_KIB_MAX, "{before} KiB before, {peak} KiB at most");
    assert!(house.program.runs(), "the process has ended");
    drop(channel);
    house.close().await;
    stage.close().await;
}

/// A call like any other; it is answered.
async fn ask(channel: &Channel) {
    let mut client = BoletoServiceClient::new(channel.clone());
    client.list_boletos(ListBoletosRequest::default()).await.expect("others are served");
}

/// A client that can be told what to do, frame by frame.
struct Client {
    calls: SendRequest<Bytes>,
    line: JoinHandle<()>,
}

impl Client {
    async fn of(house: SocketAddr, settings: &mut h2::client::Builder) -> Self {
        let stream = TcpStream::connect(house).await.expect("a connection");
        let (calls, connection) = settings.handshake(stream).await.expect("a handshake");
        // How it ends is told by the calls on it.
        let line = tokio::spawn(async move { drop(connection.await) });
        Self { calls, line }
    }

    /// Begins a call; what it says is sent at once, and nothing more unless it is over.
    async fn begins(&self, fields: &[(&str, &str)], said: &[u8], is_over: bool) -> ResponseFuture {
        let mut request = Request::post(format!("http://house{LIST}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut calls = self.calls.clone().ready().await.expect("room for a call");
        let (answer, mut body) =
            calls.send_request(request.body(()).expect("a request"), false).expect("a call that begins");
        if is_over || !said.is_empty() {
            // An answer may come before everything has been sent.
            let _ = body.send_data(Bytes::copy_from_slice(said), is_over);
        }
        if !is_over {
            // A body that is dropped resets its stream; this one is to stay open.
            std::mem::forget(body);
        }
        answer
    }

    async fn answered(&self, fields: &[(&str, &str)], said: &[u8]) -> Response<h2::RecvStream> {
        let answer = self.begins(fields, said, true).await;
        timeout(PATIENCE, answer).await.expect("an answer in time").expect("an answer")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.line.abort();
    }
}

/// The code of an answer that is nothing but a code.
fn code<T>(answer: &Response<T>) -> Option<Code> {
    let code = answer.headers().get("grpc-status")?;
    Some(Code::from_bytes(code.as_bytes()))
}

/// A message with its length before it.
fn message(is_compressed: bool, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a length of four bytes");
    [&[u8::from(is_compressed)], length.to_be_bytes().as_slice(), bytes].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_taken_back_at_once_end_their_connection() {
    bears(&[], async |_, house| {
        for _ in 0..4 {
            let mut raw = Raw::open(ELSEWHERE, house.socket()).await;
            for begin in (1..40_001).step_by(200) {
                let calls: Vec<u8> = (begin..begin + 200)
                    .step_by(2)
                    .flat_map(|stream| raw_http2::call_and_reset(stream, LIST))
                    .collect();
                if !raw.say(&calls).await {
                    break;
                }
            }
            let end = raw.end().await;
            assert!(matches!(end, End::GoAway(ENHANCE_YOUR_CALM) | End::Closed), "{end:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_never_ends_ends_its_connection() {
    bears(&[], async |_, house| {
        let more = raw_http2::more_of_the_head(1);
        for _ in 0..4 {
            let mut raw = Raw::open(ELSEWHERE, house.socket()).await;
            raw.say(&raw_http2::call_to_be_continued(1, LIST)).await;
            let mut frames = 0;
            while frames < 16_384 && raw.say(&more).await {
                frames += 1;
            }
            // What the system itself keeps for a connection comes on top of what the house reads.
            assert!(frames * FRAME_BYTES_MAX < 32 * 1024 * 1024, "{frames} frames were taken");
            let end = raw.end().await;
            assert!(matches!(end, End::GoAway(ENHANCE_YOUR_CALM) | End::Closed), "{end:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_long_is_refused_with_its_code_before_it_is_read() {
    bears(&[], async |_, house| {
        let client = Client::of(house.socket(), &mut h2::client::Builder::new()).await;
        let long = "x".repeat(16 * 1024);
        let answer = client.answered(&[("x-long", &long)], EMPTY).await;
        assert_eq!(answer.status(), 431, "metadata of more than 16 KiB");

        let five_mib = message(false, &vec![0; 5 * 1024 * 1024]);
        for _ in 0..20 {
            let answer = client.answered(&[], &five_mib).await;
            assert_eq!(code(&answer), Some(Code::OutOfRange), "{:?}", answer.headers());
        }

        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..256 {
            std::io::Write::write_all(&mut bomb, &[0; 1024 * 1024]).expect("a megabyte of nothing");
        }
        let bomb = message(true, &bomb.finish().expect("a bomb"));
        assert!(bomb.len() < 512 * 1024, "256 MiB in {} bytes", bomb.len());
        for _ in 0..20 {
            let answer = client.answered(&[("grpc-encoding", "gzip")], &bomb).await;
            assert_eq!(code(&answer), Some(Code::Unimplemented), "{:?}", answer.headers());
        }
        let answer = client.answered(&[], EMPTY).await;
        assert_eq!((answer.status().as_u16(), code(&answer)), (200, None), "the connection goes on");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_that_say_nothing_leave_the_others_their_places() {
    bears(&["api.message_timeout=3s"], async |_, house| {
        let client =
            Client::of(house.socket(), h2::client::Builder::new().initial_max_send_streams(1_000)).await;
        let mut answers = Vec::new();
        for _ in 0..1_000 {
            answers.push(client.begins(&[], &[], false).await);
        }
        let answers: Vec<_> = futures_util::stream::iter(answers).buffer_unordered(1_000).collect().await;
        let with = |wanted: Code| {
            answers.iter().filter(|answer| answer.as_ref().is_ok_and(|it| code(it) == Some(wanted))).count()
        };
        // Half of all places is what one connection may have.
        assert_eq!((with(Code::DeadlineExceeded), with(Code::ResourceExhausted)), (512, 488));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_are_counted_and_closed() {
    let settings =
        ["api.connections_max=128", "api.connections_per_address_max=64", "api.handshake_timeout=2s"];
    bears(&settings, async |_, house| {
        let mut silent = Vec::new();
        for at in 0..1_000 {
            let mut raw = Raw::silent(ELSEWHERE, house.socket()).await;
            if at % 2 == 0 {
                // It may have been closed by then.
                raw.say(b"PRI * HTTP/2.0\r\n").await;
            }
            silent.push(raw);
        }
        assert!(house.channel().await.is_some(), "others come in meanwhile");
        for mut raw in silent {
            assert_eq!(raw.end().await, End::Closed);
        }
        eventually("a place", async || {
            let mut raw = Raw::open(ELSEWHERE, house.socket()).await;
            raw.say(&raw_http2::call_and_reset(1, LIST)).await.then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_keep_their_places_and_no_more() {
    const UNREAD_MAX: usize = 128;
    bears(&["api.calls_per_connection_max=128"], async |stage, house| {
        let (shop, channel) = (Shop::of(stage), house.channel().await.expect("a house that listens"));
        shop.furnish(&channel).await.expect("a bank account");
        load::ask_for(&shop, &[channel], 0..50).await;
        let client = Client::of(
            house.socket(),
            h2::client::Builder::new().initial_window_size(0).initial_max_send_streams(1_000),
        )
        .await;
        let mut unread = Vec::new();
        for _ in 0..UNREAD_MAX {
            let answer = client.answered(&[], EMPTY).await;
            assert_eq!(code(&answer), None, "an answer with its message");
            unread.push(answer);
        }
        for _ in 0..100 {
            assert_eq!(code(&client.answered(&[], EMPTY).await), Some(Code::ResourceExhausted));
        }
        unread.clear();
        eventually("places that nobody needs any more", async || {
            code(&client.answered(&[], EMPTY).await).is_none().then_some(())
        })
        .await;
    })
    .await;
}
