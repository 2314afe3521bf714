//! A Messages API on loopback that streams what a scenario wrote down, and remembers what it served.
//!
//! Replies stand in two queues, for the session itself and for its subagents. A request that no reply is left
//! for is answered with an error and noted: the scenario then fails. The port is free and closed with the runtime.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::response::Sse;
use axum::response::sse::Event;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_stream::StreamExt;

use crate::truth::Served;
use crate::truth::Tokens;

/// Output tokens that `message_start` tells, before any is written; `message_delta` tells the real count.
const OUTPUT_AT_START: u64 = 3;
/// So long the client has for reading what came before a connection breaks: what is unread is lost then.
const BEFORE_THE_CUT: Duration = Duration::from_millis(500);
/// Longer than any scenario may take.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The session itself.
    Main,
    /// A subagent of it.
    Subagent,
}

/// A content block.
#[derive(Debug, Clone)]
pub(crate) enum Block {
    Thinking(&'static str),
    Text(&'static str),
    Tool { name: &'static str, input: Value },
}

/// What a response does between its blocks, and after them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// All at once.
    Swift,
    /// This long before each block.
    Slow(Duration),
    /// Never ends: the blocks come, `message_delta` and `message_stop` do not.
    Stuck,
    /// The connection breaks after the blocks.
    Cut,
}

/// A response to give.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) tokens: Tokens,
    pub(crate) blocks: Vec<Block>,
    pub(crate) pace: Pace,
}

/// The running API.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

#[derive(Debug, Default)]
struct Script {
    main: VecDeque<Reply>,
    subagent: VecDeque<Reply>,
    served: Vec<Served>,
    surprises: Vec<String>,
}

impl Api {
    /// Serves in the current runtime, as long as that lives.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let api = Self { address, script: Arc::default() };
        let router = Router::new()
            .route("/", axum::routing::get(StatusCode::OK))
            .route("/v1/messages", axum::routing::post(messages))
            .fallback(surprise)
            .with_state(api.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        api
    }

    /// Returns what `ANTHROPIC_BASE_URL` is to be.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Appends a reply to the queue of `caller`.
    pub(crate) fn will_answer(&self, caller: Caller, reply: Reply) {
        match caller {
            Caller::Main => self.script().main.push_back(reply),
            Caller::Subagent => self.script().subagent.push_back(reply),
        }
    }

    /// Returns what was served so far, in order; panics if a reply is left or a request was not foreseen.
    pub(crate) fn served(&self) -> Vec<Served> {
        let script = self.script();
        assert_eq!(script.surprises, [""; 0], "requests that no scenario foresees");
        assert_eq!(
            (script.main.len(), script.subagent.len()),
            (0, 0),
            "replies that the client did not ask for"
        );
        script.served.clone()
    }

    /// Returns how many responses were begun.
    pub(crate) fn n_begun(&self) -> usize {
        self.script().served.len()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().expect("nothing panics while it holds the script")
    }
}

/// Returns the id of the response that was served as number `n`.
pub(crate) fn message_id(n: usize) -> String {
    format!("msg_scripted_{n:04}")
}

async fn messages(State(api): State<Api>, headers: HeaderMap, Json(request): Json<Value>) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let caller = if header("x-claude-code-agent-id").is_some() { Caller::Subagent } else { Caller::Main };
    let model = request["model"].as_str().unwrap_or_default().to_owned();
    let mut script = api.script();
    let reply = match caller {
        Caller::Main => script.main.pop_front(),
        Caller::Subagent => script.subagent.pop_front(),
    };
    let Some(reply) = reply else {
        let stream = &request["stream"];
        script.surprises.push(format!("{caller:?} asks {model}, stream {stream}"));
        return (StatusCode::BAD_REQUEST, "no reply left").into_response();
    };
    let n = script.served.len();
    let session = header("x-claude-code-session-id").unwrap_or_default().to_owned();
    let tokens = Tokens { output: OUTPUT_AT_START, ..reply.tokens };
    script.served.push(Served { session, model: model.clone(), tokens });
    let headers = [("request-id", format!("req_scripted_{n:04}"))];
    // After a stream that broke, the client may ask for the whole answer at once.
    if request["stream"] != true {
        script.served[n].tokens = reply.tokens;
        return (headers, Json(whole(&reply, &message_id(n), &model))).into_response();
    }
    drop(script);
    let steps = steps(&reply, &message_id(n), &model);
    let events = tokio_stream::iter(steps).then(move |step| {
        let api = api.clone();
        async move {
            tokio::time::sleep(step.after).await;
            api.script().served[n].tokens.output = step.output;
            step.event.ok_or(io::Error::from(io::ErrorKind::ConnectionReset))
        }
    });
    (headers, Sse::new(events)).into_response()
}

async fn surprise(State(api): State<Api>, uri: Uri) -> StatusCode {
    api.script().surprises.push(uri.to_string());
    StatusCode::NOT_FOUND
}

/// One event of a stream.
struct Step {
    /// Wait before it.
    after: Duration,
    /// `None`: the connection breaks.
    event: Option<Event>,
    /// Output tokens that the client knows of after it.
    output: u64,
}

fn steps(reply: &Reply, id: &str, model: &str) -> Vec<Step> {
    let step = |after, output, kind: &str, mut body: Value| {
        body["type"] = kind.into();
        Step { after, event: Some(Event::default().event(kind).data(body.to_string())), output }
    };
    let (pause, last_pause) = match reply.pace {
        Pace::Swift | Pace::Cut => (Duration::ZERO, Duration::ZERO),
        Pace::Slow(pause) => (pause, pause),
        Pace::Stuck => (Duration::ZERO, FOR_EVER),
    };
    let message = json!({
        "id": id, "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage(reply.tokens, OUTPUT_AT_START),
    });
    let mut steps = vec![step(Duration::ZERO, OUTPUT_AT_START, "message_start", json!({"message": message}))];
    for (index, block) in reply.blocks.iter().enumerate() {
        let (start, deltas) = block.wire(&format!("toolu_{id}_{index}"));
        let start = json!({"index": index, "content_block": start});
        steps.push(step(pause, OUTPUT_AT_START, "content_block_start", start));
        for delta in deltas {
            let delta = json!({"index": index, "delta": delta});
            steps.push(step(Duration::ZERO, OUTPUT_AT_START, "content_block_delta", delta));
        }
        steps.push(step(Duration::ZERO, OUTPUT_AT_START, "content_block_stop", json!({"index": index})));
    }
    if matches!(reply.pace, Pace::Cut) {
        steps.push(Step { after: BEFORE_THE_CUT, event: None, output: OUTPUT_AT_START });
        return steps;
    }
    let end = json!({
        "delta": {"stop_reason": reply.stop_reason(), "stop_sequence": null},
        "usage": usage(reply.tokens, reply.tokens.output),
    });
    steps.push(step(last_pause, reply.tokens.output, "message_delta", end));
    steps.push(step(Duration::ZERO, reply.tokens.output, "message_stop", json!({})));
    steps
}

/// Returns a response that is not streamed.
fn whole(reply: &Reply, id: &str, model: &str) -> Value {
    let blocks = reply.blocks.iter().enumerate();
    let content: Vec<Value> = blocks.map(|(n, block)| block.whole(&format!("toolu_{id}_{n}"))).collect();
    json!({
        "id": id, "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": reply.stop_reason(), "stop_sequence": null,
        "usage": usage(reply.tokens, reply.tokens.output),
    })
}

impl Reply {
    fn stop_reason(&self) -> &'static str {
        let uses_tool = self.blocks.iter().any(|block| matches!(block, Block::Tool { .. }));
        if uses_tool { "tool_use" } else { "end_turn" }
    }
}

impl Block {
    fn whole(&self, tool_id: &str) -> Value {
        match self {
            Self::Thinking(thought) => {
                json!({"type": "thinking", "thinking": thought, "signature": "c2lnbmVk"})
            }
            Self::Text(text) => json!({"type": "text", "text": text}),
            Self::Tool { name, input } => {
                json!({"type": "tool_use", "id": tool_id, "name": name, "input": input})
            }
        }
    }

    /// Returns the block as it starts, and its deltas.
    fn wire(&self, tool_id: &str) -> (Value, Vec<Value>) {
        match self {
            Self::Thinking(thought) => (
                json!({"type": "thinking", "thinking": "", "signature": ""}),
                vec![
                    json!({"type": "thinking_delta", "thinking": thought}),
                    json!({"type": "signature_delta", "signature": "c2lnbmVk"}),
                ],
            ),
            Self::Text(text) => {
                (json!({"type": "text", "text": ""}), vec![json!({"type": "text_delta", "text": text})])
            }
            Self::Tool { name, input } => (
                json!({"type": "tool_use", "id": tool_id, "name": name, "input": {}}),
                vec![json!({"type": "input_json_delta", "partial_json": input.to_string()})],
            ),
        }
    }
}

fn usage(tokens: Tokens, output: u64) -> Value {
    json!({
        "input_tokens": tokens.input,
        "cache_creation_input_tokens": tokens.write_5m + tokens.write_1h,
        "cache_read_input_tokens": tokens.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.write_5m,
            "ephemeral_1h_input_tokens": tokens.write_1h,
        },
        "output_tokens": output,
        "server_tool_use": {"web_search_requests": tokens.searches, "web_fetch_requests": 0},
        "service_tier": "standard",
        "inference_geo": "not_available",
    })
}
