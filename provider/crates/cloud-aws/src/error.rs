//! EC2's failures as ours. What kind one is, is decided by EC2's code alone; a code that stands in no
//! list is shown to the user as it came.

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use cloud::{CloudError, ErrorKind, RequestPart};
use std::error::Error as StdError;

/// What an SDK call of this operation came to.
pub(crate) trait During<T> {
    fn during(self, operation: &'static str) -> cloud::Result<T>;
}

impl<T, E> During<T> for Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    fn during(self, operation: &'static str) -> cloud::Result<T> {
        self.map_err(|error| failure(operation, error))
    }
}

/// A failure that EC2 itself would have told by this code.
pub(crate) fn refused(
    operation: &'static str,
    code: &'static str,
    message: impl Into<String>,
) -> CloudError {
    let error = CloudError::new(kind_of(code), operation, message).code(code);
    CloudError { part: part_of(code, &error.message), ..error }
}

/// Whether a failure has this code.
pub(crate) fn is(error: &CloudError, code: &str) -> bool {
    error.code.as_deref() == Some(code)
}

/// Whether an instance is gone, or its id never was one.
pub(crate) fn is_gone(error: &CloudError) -> bool {
    is(error, "InvalidInstanceID.NotFound") || is(error, "InvalidInstanceID.Malformed")
}

fn failure<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let (code, message) = (error.code().map(str::to_owned), error.message().map(str::to_owned));
    let request_id = error.request_id().map(str::to_owned);
    let status = error.raw_response().map(|response| response.status().as_u16());
    if let SdkError::ServiceError(_) = &error {
        let kind = match (&code, status) {
            (Some(code), _) if kind_of(code) != ErrorKind::Other => kind_of(code),
            (_, Some(500..)) => ErrorKind::Unavailable,
            _ => ErrorKind::Other,
        };
        let message = message.unwrap_or_else(|| "EC2 gives no reason".to_owned());
        let failure = CloudError::new(kind, operation, message.trim_end_matches('.'));
        let part = code.as_deref().and_then(|code| part_of(code, &failure.message));
        return CloudError { code, request_id, part, ..failure };
    }
    if let Some(cause) = credentials_cause(&error) {
        return CloudError::new(
            ErrorKind::Unauthenticated,
            operation,
            format!("there are no credentials that can be used: {cause}"),
        )
        .code("CredentialsError");
    }
    let message = match &error {
        SdkError::TimeoutError(_) => "EC2 did not answer in time",
        SdkError::DispatchFailure(_) => "EC2 could not be reached",
        SdkError::ResponseError(_) => "the answer of EC2 cannot be read",
        _ => "the call could not be made",
    };
    let kind = match &error {
        SdkError::ConstructionFailure(_) => ErrorKind::Other,
        _ => ErrorKind::Unavailable,
    };
    CloudError { request_id, ..CloudError::new(kind, operation, message).source(error) }
}

/// What the credentials' own chain says, if it is what failed: nothing was sent then.
fn credentials_cause<E: StdError + 'static>(error: &SdkError<E, HttpResponse>) -> Option<String> {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(below) = cause {
        cause = below.source();
        if below.is::<aws_credential_types::provider::error::CredentialsError>() {
            let mut texts = Vec::new();
            while let Some(below) = cause {
                texts.push(below.to_string());
                cause = below.source();
            }
            // What is repeated by what it is caused by says nothing more.
            texts.dedup();
            return Some(texts.join(": "));
        }
    }
    None
}

/// The kinds of EC2's codes (EC2 API reference, "Error codes").
fn kind_of(code: &str) -> ErrorKind {
    KINDS
        .iter()
        .find(|(_, codes)| codes.contains(&code))
        .map(|(kind, _)| *kind)
        .or_else(|| {
            let of_prefix =
                |(prefix, kind): &(&str, ErrorKind)| code.starts_with(prefix).then_some(*kind);
            PREFIXES.iter().find_map(of_prefix)
        })
        .unwrap_or(ErrorKind::Other)
}

const KINDS: &[(ErrorKind, &[&str])] = &[
    (
        ErrorKind::InsufficientCapacity,
        &[
            "InsufficientInstanceCapacity",
            "InsufficientAddressCapacity",
            "InsufficientCapacity",
            "InsufficientHostCapacity",
            "InsufficientReservedInstanceCapacity",
            "InsufficientVolumeCapacity",
            "InsufficientFreeAddressesInSubnet",
            "ReservationCapacityExceeded",
            "SpotMaxPriceTooLow",
            "UnfulfillableCapacity",
        ],
    ),
    // A type that the region does not have is one more that another offer may do for.
    (
        ErrorKind::Unsupported,
        &["Unsupported", "UnsupportedOperation", "OptInRequired", "InvalidInstanceType"],
    ),
    (
        ErrorKind::QuotaExceeded,
        &[
            "VcpuLimitExceeded",
            "InstanceLimitExceeded",
            "MaxSpotInstanceCountExceeded",
            "AddressLimitExceeded",
            "NetworkInterfaceLimitExceeded",
            "SecurityGroupLimitExceeded",
            "RulesPerSecurityGroupLimitExceeded",
            "PlacementGroupLimitExceeded",
            "VolumeLimitExceeded",
            "TagLimitExceeded",
            "PendingVerification",
        ],
    ),
    // Of what is the provider's own: no user names one of these. It may always be too new to be known.
    (
        ErrorKind::NotVisibleYet,
        &[
            "InvalidInstanceID.NotFound",
            "InvalidNetworkInterfaceID.NotFound",
            "InvalidGroup.NotFound",
            "InvalidAllocationID.NotFound",
            "InvalidPlacementGroup.Unknown",
        ],
    ),
    (
        ErrorKind::Throttled,
        &["RequestLimitExceeded", "Throttling", "ThrottlingException", "EC2ThrottledException"],
    ),
    (
        ErrorKind::Unavailable,
        &[
            "ConcurrentTagAccess",
            "InternalError",
            "InternalFailure",
            "ServerInternal",
            "ServiceUnavailable",
            "Unavailable",
            "RequestTimeout",
        ],
    ),
    (
        ErrorKind::Unauthenticated,
        &[
            "AuthFailure",
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidClientTokenId",
            "RequestExpired",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        ],
    ),
    (
        ErrorKind::PermissionDenied,
        &[
            "UnauthorizedOperation",
            "AccessDenied",
            "AccessDeniedException",
            "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
            "OperationNotPermitted",
        ],
    ),
    (ErrorKind::TokenSpent, &["IdempotentInstanceTerminated"]),
    (
        ErrorKind::Conflict,
        &[
            "IdempotentParameterMismatch",
            "InvalidGroup.Duplicate",
            "InvalidPlacementGroup.Duplicate",
        ],
    ),
    (
        ErrorKind::InUse,
        &[
            "DependencyViolation",
            "InvalidPlacementGroup.InUse",
            "InvalidGroup.InUse",
            "InvalidNetworkInterface.InUse",
            "InvalidParameterValue.InUse",
            "IncorrectState",
            "IncorrectInstanceState",
        ],
    ),
];

/// What of a request a code finds fault with. Some codes are for everything, and only their message
/// tells.
fn part_of(code: &str, message: &str) -> Option<RequestPart> {
    let of_code = PARTS.iter().find(|(beginning, _)| code.starts_with(beginning));
    let message = message.to_lowercase();
    let of_message = || {
        let said = MESSAGES.iter().find(|(text, _)| message.contains(text));
        said.filter(|_| code.starts_with("InvalidParameter")).map(|(_, part)| *part)
    };
    of_code.map(|(_, part)| *part).or_else(of_message)
}

const PARTS: &[(&str, RequestPart)] = &[
    ("InvalidAMIID", RequestPart::Image),
    ("InvalidSubnet", RequestPart::Subnet),
    ("InvalidAvailabilityZone", RequestPart::Zone),
    ("InvalidInstanceType", RequestPart::InstanceType),
    ("Unsupported", RequestPart::InstanceType),
    ("InvalidCapacityReservation", RequestPart::Reservation),
    ("InvalidUserData", RequestPart::BootDocument),
    ("InvalidKeyPair", RequestPart::SshKey),
    ("AddressLimitExceeded", RequestPart::Egress),
    ("SpotMaxPriceTooLow", RequestPart::Purchase),
    ("MaxSpotInstanceCountExceeded", RequestPart::Purchase),
];

const MESSAGES: &[(&str, RequestPart)] = &[
    ("iam instance profile", RequestPart::Identity),
    ("capacity reservation", RequestPart::Reservation),
    ("placement group", RequestPart::InstanceType),
    ("instance type", RequestPart::InstanceType),
    ("availability zone", RequestPart::Zone),
];

/// Codes that come in families.
const PREFIXES: &[(&str, ErrorKind)] = &[
    ("Invalid", ErrorKind::InvalidRequest),
    ("Missing", ErrorKind::InvalidRequest),
    ("Malformed", ErrorKind::InvalidRequest),
    ("UnknownParameter", ErrorKind::InvalidRequest),
    ("AuthFailure", ErrorKind::Unauthenticated),
    ("ValidationError", ErrorKind::InvalidRequest),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_kinds() {
        for (code, kind) in [
            ("InsufficientInstanceCapacity", ErrorKind::InsufficientCapacity),
            ("VcpuLimitExceeded", ErrorKind::QuotaExceeded),
            ("RequestLimitExceeded", ErrorKind::Throttled),
            ("InvalidAMIID.NotFound", ErrorKind::InvalidRequest),
            ("InvalidPlacementGroup.InUse", ErrorKind::InUse),
            ("InvalidPlacementGroup.Unknown", ErrorKind::NotVisibleYet),
            ("InvalidInstanceID.Malformed", ErrorKind::InvalidRequest),
            ("UnauthorizedOperation", ErrorKind::PermissionDenied),
            ("IdempotentParameterMismatch", ErrorKind::Conflict),
            ("AuthFailure.ServiceLinkedRoleCreationNotPermitted", ErrorKind::PermissionDenied),
            ("AuthFailure.Other", ErrorKind::Unauthenticated),
            ("Blocked", ErrorKind::Other),
        ] {
            assert_eq!(kind_of(code), kind, "{code}");
        }
    }

    #[test]
    fn no_code_stands_in_two_lists() {
        let mut all: Vec<&str> = KINDS.iter().flat_map(|(_, codes)| *codes).copied().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
