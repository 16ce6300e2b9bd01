//! The client token of a launch. EC2 keeps it with the instance, where nobody can change it: it says what
//! type was launched.

use cloud::LaunchRequest;

/// The token that EC2 is given, with the type at its end.
pub(crate) fn client_token(request: &LaunchRequest) -> String {
    let (token, name) = (&request.token, &request.offer.instance_type);
    match is_for(token, name) {
        true => token.clone(),
        false => format!("{token}-{name}"),
    }
}

/// Whether an instance with this token was launched as this type.
pub(crate) fn is_for(token: &str, instance_type: &str) -> bool {
    token.strip_suffix(instance_type).is_some_and(|before| before.ends_with('-'))
}
