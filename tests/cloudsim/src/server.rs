//! The HTTP side: a cloud's API, and under `/_cloudsim/` what happens to a datacentre in real life.

use crate::datacentre::{Datacentre, Fault};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Json, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::DerefMut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A cloud's API over a datacentre.
pub trait Api: DerefMut<Target = Datacentre> + Send + 'static {
    /// Answers one call.
    fn answer(&mut self, headers: &HeaderMap, body: &str) -> Answer;

    /// Called whenever something may have changed.
    fn changed(&mut self);
}

/// What goes back over HTTP.
#[derive(Debug)]
pub enum Answer {
    /// A document, also of an error.
    Document {
        /// The HTTP status.
        status: u16,
        /// What the document is written in.
        content_type: &'static str,
        /// The document.
        body: String,
    },
    /// The connection breaks.
    Cut,
}

type Shared<A> = Arc<Mutex<A>>;

/// A cloud that is being served; it ends with this.
#[derive(Debug)]
pub struct Server<A> {
    address: SocketAddr,
    cloud: Shared<A>,
    task: JoinHandle<()>,
}

impl<A: Api> Server<A> {
    /// Serves a cloud on a loopback port; 0 takes any free one.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start(cloud: A, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let cloud: Shared<A> = Arc::new(Mutex::new(cloud));
        let router = Router::new()
            .route("/", post(call::<A>))
            .route("/_cloudsim/faults", post(add_fault::<A>))
            .route("/_cloudsim/calls", get(calls::<A>))
            .route("/_cloudsim/instances", get(instances::<A>))
            .route("/_cloudsim/instances/{id}/{event}", post(event::<A>))
            .with_state(Arc::clone(&cloud));
        let task = tokio::spawn(async move {
            let served = axum::serve(listener, router).await;
            tracing::debug!(?served, "the server has ended");
        });
        Ok(Self { address, cloud, task })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The cloud, to look into and to break.
    pub fn datacentre(&self) -> MutexGuard<'_, A> {
        lock(&self.cloud)
    }
}

impl<A> Drop for Server<A> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn call<A: Api>(
    State(cloud): State<Shared<A>>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let (answer, date) = {
        let mut cloud = lock(&cloud);
        let answer = cloud.answer(&headers, &body);
        cloud.changed();
        (answer, cloud.time_of_day())
    };
    match answer {
        Answer::Document { status, content_type, body } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let headers =
                [(header::CONTENT_TYPE, content_type.to_owned()), (header::DATE, http_date(date))];
            (status, headers, body).into_response()
        }
        // An answer that breaks off: the client sees a connection that was cut.
        Answer::Cut => Response::new(broken_body()),
    }
}

fn http_date(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time).unwrap_or_default();
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn broken_body() -> Body {
    let error = io::Error::new(io::ErrorKind::ConnectionReset, "cut");
    let parts: [Result<Bytes, io::Error>; 2] = [Ok(Bytes::from_static(b"<?xml")), Err(error)];
    Body::from_stream(tokio_stream::iter(parts))
}

async fn add_fault<A: Api>(State(cloud): State<Shared<A>>, Json(fault): Json<Fault>) -> StatusCode {
    lock(&cloud).add_fault(fault);
    StatusCode::NO_CONTENT
}

async fn calls<A: Api>(State(cloud): State<Shared<A>>) -> Json<BTreeMap<String, u64>> {
    Json(lock(&cloud).calls().clone())
}

async fn instances<A: Api>(State(cloud): State<Shared<A>>) -> Json<Vec<BTreeMap<String, String>>> {
    Json(lock(&cloud).living())
}

/// `stop`, `lose`: a machine behind the provider's back.
async fn event<A: Api>(
    State(cloud): State<Shared<A>>,
    Path((id, event)): Path<(String, String)>,
) -> StatusCode {
    let mut cloud = lock(&cloud);
    let known = match event.as_str() {
        "stop" => cloud.power_off(&id),
        "lose" => cloud.lose(&id),
        _ => false,
    };
    cloud.changed();
    if known { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

fn lock<A>(cloud: &Mutex<A>) -> MutexGuard<'_, A> {
    cloud.lock().unwrap_or_else(PoisonError::into_inner)
}
