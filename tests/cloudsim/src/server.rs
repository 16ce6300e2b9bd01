//! The HTTP side: EC2's API at `/`, and under `/_cloudsim/` what happens to a datacentre in real life.

use crate::datacentre::{Datacentre, Fault};
use crate::ec2::{self, Answer};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Json, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

type Shared = Arc<Mutex<Datacentre>>;

/// A datacentre that is being served; it ends with this.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    datacentre: Shared,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves a datacentre on a loopback port; 0 takes any free one.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start(datacentre: Datacentre, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let datacentre: Shared = Arc::new(Mutex::new(datacentre));
        let router = Router::new()
            .route("/", post(call))
            .route("/_cloudsim/faults", post(add_fault))
            .route("/_cloudsim/calls", get(calls))
            .route("/_cloudsim/instances", get(instances))
            .route("/_cloudsim/instances/{id}/{event}", post(event))
            .with_state(Arc::clone(&datacentre));
        let task = tokio::spawn(async move {
            let served = axum::serve(listener, router).await;
            tracing::debug!(?served, "the server has ended");
        });
        Ok(Self { address, datacentre, task })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The datacentre, to look into and to break.
    pub fn datacentre(&self) -> MutexGuard<'_, Datacentre> {
        lock(&self.datacentre)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn call(State(datacentre): State<Shared>, headers: HeaderMap, body: String) -> Response {
    let region = ec2::region_of(headers.get(header::AUTHORIZATION));
    let answer = {
        let mut datacentre = lock(&datacentre);
        let answer = ec2::answer(&mut datacentre, region.as_deref(), &body);
        datacentre.tell_guest();
        answer
    };
    match answer {
        Answer::Document { status, xml } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, [(header::CONTENT_TYPE, "text/xml;charset=UTF-8")], xml).into_response()
        }
        // An answer that breaks off: the client sees a connection that was cut.
        Answer::Cut => Response::new(broken_body()),
    }
}

fn broken_body() -> Body {
    let error = io::Error::new(io::ErrorKind::ConnectionReset, "cut");
    let parts: [Result<Bytes, io::Error>; 2] = [Ok(Bytes::from_static(b"<?xml")), Err(error)];
    Body::from_stream(tokio_stream::iter(parts))
}

async fn add_fault(State(datacentre): State<Shared>, Json(fault): Json<Fault>) -> StatusCode {
    lock(&datacentre).add_fault(fault);
    StatusCode::NO_CONTENT
}

async fn calls(State(datacentre): State<Shared>) -> Json<BTreeMap<String, u64>> {
    Json(lock(&datacentre).calls().clone())
}

async fn instances(State(datacentre): State<Shared>) -> Json<Vec<BTreeMap<String, String>>> {
    Json(lock(&datacentre).living())
}

/// `stop`, `lose`: a machine behind the provider's back.
async fn event(
    State(datacentre): State<Shared>,
    Path((id, event)): Path<(String, String)>,
) -> StatusCode {
    let mut datacentre = lock(&datacentre);
    let known = match event.as_str() {
        "stop" => datacentre.power_off(&id),
        "lose" => datacentre.lose(&id),
        _ => false,
    };
    datacentre.tell_guest();
    if known { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

fn lock(datacentre: &Mutex<Datacentre>) -> MutexGuard<'_, Datacentre> {
    datacentre.lock().unwrap_or_else(PoisonError::into_inner)
}
