//! What can go wrong in a cloud. Decided once, where the cloud's code is known; shown once, in the
//! provider's `diagnose/`.

use std::{error::Error as StdError, fmt, sync::Arc};

/// The result of a call to a cloud.
pub type Result<T, E = CloudError> = std::result::Result<T, E>;

/// One failed call. `Display` is one sentence without the source, lower case, without a full stop.
/// It can be cloned, because who waits for the same look gets the same failure.
#[derive(Clone, Debug)]
pub struct CloudError {
    /// What kind of failure it is: what to do next depends on this alone.
    pub kind: ErrorKind,
    /// The call, in the cloud's own words: `RunInstances`.
    pub operation: &'static str,
    /// The object it was about: an id, a name, an instance type.
    pub object: Option<String>,
    /// The cloud's code: `InsufficientInstanceCapacity`.
    pub code: Option<String>,
    /// The cloud's request id, for its support.
    pub request_id: Option<String>,
    /// The part of the request that is at fault, where the cloud's code tells.
    pub part: Option<RequestPart>,
    /// What the cloud said.
    pub message: String,
    /// The cause below.
    pub source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl CloudError {
    /// An error with no more than what is always known.
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            operation,
            object: None,
            code: None,
            request_id: None,
            part: None,
            message: message.into(),
            source: None,
        }
    }

    /// The object it was about.
    #[must_use]
    pub fn object(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    /// The cloud's code.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The part of the request that is at fault.
    #[must_use]
    pub fn part(mut self, part: RequestPart) -> Self {
        self.part = Some(part);
        self
    }

    /// The cause below.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }
}

impl fmt::Display for CloudError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation)?;
        if let Some(object) = &self.object {
            write!(f, " of {object}")?;
        }
        write!(f, " failed: {}", self.message)?;
        if let Some(code) = &self.code {
            write!(f, " (code {code})")?;
        }
        Ok(())
    }
}

impl StdError for CloudError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

/// What of a request a cloud can find fault with by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestPart {
    /// The zone.
    Zone,
    /// The subnet.
    Subnet,
    /// The offer: its instance type.
    InstanceType,
    /// The image.
    Image,
    /// The machine's identity.
    Identity,
    /// How it is bought.
    Purchase,
    /// The reservation.
    Reservation,
    /// The way to the internet.
    Egress,
    /// The key of people who come in.
    SshKey,
    /// What it boots from.
    BootDocument,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The zone has no such machine now. Another offer may do.
    InsufficientCapacity,
    /// The account may not have so many. Nobody but the user can change that.
    QuotaExceeded,
    /// Too many calls.
    Throttled,
    /// No credentials, or expired ones.
    Unauthenticated,
    /// The credentials do not allow this call.
    PermissionDenied,
    /// The request itself is wrong: a name, a type, a size.
    InvalidRequest,
    /// What it names is gone.
    NotFound,
    /// What it names is gone, or too new to be known everywhere. Only a cloud whose profile says that it
    /// lags behind answers that.
    NotVisibleYet,
    /// Something else has the name or the token already.
    Conflict,
    /// What the token made is gone, and the cloud remembers it: it takes another one.
    TokenSpent,
    /// It cannot go while something else needs it.
    InUse,
    /// What it holds is nothing that we have written.
    Unreadable,
    /// This cloud cannot do that.
    Unsupported,
    /// The cloud did not answer, or answered with a failure of its own.
    Unavailable,
    /// The operation's time was over before there was an answer.
    Timeout,
    /// The user stopped the run before there was an answer.
    Cancelled,
    /// None of these.
    Other,
}

impl ErrorKind {
    /// Whether the operation that made the call has ended, and not the call.
    pub fn is_cut_off(self) -> bool {
        matches!(self, Self::Timeout | Self::Cancelled)
    }

    /// Whether the call may have had its effect all the same.
    pub fn may_be_done(self) -> bool {
        self.is_cut_off() || self.retryable()
    }

    /// Whether the same call, made again after a while, may succeed by itself.
    pub fn retryable(self) -> bool {
        match self {
            Self::Throttled | Self::Unavailable | Self::NotVisibleYet => true,
            Self::InsufficientCapacity
            | Self::QuotaExceeded
            | Self::Unauthenticated
            | Self::PermissionDenied
            | Self::InvalidRequest
            | Self::NotFound
            | Self::Conflict
            | Self::TokenSpent
            | Self::InUse
            | Self::Unreadable
            | Self::Unsupported
            | Self::Timeout
            | Self::Cancelled
            | Self::Other => false,
        }
    }
}

/// An error with what caused it, down to the first cause, in one line.
pub fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(below) = cause {
        text = format!("{text}: {below}");
        cause = below.source();
    }
    text
}
