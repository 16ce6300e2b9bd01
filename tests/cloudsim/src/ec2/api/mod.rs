//! EC2's query API: a form in, XML out, one function for each operation.

mod address;
mod catalogue;
mod filter;
mod group;
mod instance;
mod interface;
mod query;
mod xml;

use super::refusal::Refusal;
use super::region::Region;
use crate::datacentre::Effect;
use crate::server::{Answer, Api};
use axum::http::{HeaderMap, HeaderValue, header};
use query::Query;
use xml::Element;

impl Api for Region {
    fn answer(&mut self, headers: &HeaderMap, body: &str) -> Answer {
        let region = region_of(headers.get(header::AUTHORIZATION));
        answer(self, region.as_deref(), body)
    }

    fn changed(&mut self) {
        self.tidy();
        self.tell_guest();
    }
}

/// The members of an answer.
type Members = Result<Vec<Element>, Refusal>;
type Operation = fn(&mut Region, &Query) -> Members;

/// Every operation that there is.
const OPERATIONS: &[(&str, Operation)] = &[
    ("AllocateAddress", address::allocate),
    ("AssociateAddress", address::associate),
    ("AuthorizeSecurityGroupEgress", group::authorize_egress),
    ("AuthorizeSecurityGroupIngress", group::authorize_ingress),
    ("CreateNetworkInterface", interface::create),
    ("CreatePlacementGroup", group::create_placement),
    ("CreateSecurityGroup", group::create),
    ("CreateTags", instance::create_tags),
    ("DeleteNetworkInterface", interface::delete),
    ("DeletePlacementGroup", group::delete_placement),
    ("DeleteSecurityGroup", group::delete),
    ("DescribeAddresses", address::describe),
    ("DescribeAvailabilityZones", catalogue::zones),
    ("DescribeImages", catalogue::images),
    ("DescribeInstanceAttribute", instance::attribute),
    ("DescribeInstanceTypeOfferings", catalogue::offerings),
    ("DescribeInstanceTypes", catalogue::types),
    ("DescribeInstances", instance::describe),
    ("DescribeKeyPairs", catalogue::key_pairs),
    ("DescribeNetworkInterfaces", interface::describe),
    ("DescribePlacementGroups", group::describe_placement),
    ("DescribeRouteTables", catalogue::route_tables),
    ("DescribeSecurityGroups", group::describe),
    ("DescribeSubnets", catalogue::subnets),
    ("DisassociateAddress", address::disassociate),
    ("GetConsoleOutput", instance::console),
    ("ModifyInstanceMetadataOptions", instance::modify_metadata_options),
    ("ModifyNetworkInterfaceAttribute", interface::modify),
    ("RebootInstances", instance::reboot),
    ("ReleaseAddress", address::release),
    ("RevokeSecurityGroupIngress", group::revoke),
    ("RunInstances", instance::run),
    ("StartInstances", instance::start),
    ("StopInstances", instance::stop),
    ("TerminateInstances", instance::terminate),
    ("UpdateSecurityGroupRuleDescriptionsIngress", group::update_descriptions),
];

/// Answers one call.
pub(super) fn answer(region: &mut Region, signed_for: Option<&str>, body: &str) -> Answer {
    let query = Query::parse(body);
    let operation = query.text("Action").unwrap_or_default().to_owned();
    region.count_call(&operation);
    let request_id = uuid::Uuid::new_v4().to_string();
    let instances = query
        .number("MinCount")
        .unwrap_or_else(|| u32::try_from(query.texts("InstanceId").len()).unwrap_or(u32::MAX));
    if let Err(refusal) = region.admit(&operation, instances) {
        region.count_call(THROTTLED);
        return recorded(region, body, document(&request_id, &operation, Err(refusal)));
    }
    let effect = region.fault(&operation);
    match effect {
        Some(Effect::CutBefore) => return Answer::Cut,
        Some(Effect::Refuse { status, code }) => {
            let refusal = Refusal { status, ..Refusal::new(&code, "As it was wished for.") };
            return recorded(region, body, document(&request_id, &operation, Err(refusal)));
        }
        Some(Effect::CutAfter) | None => {}
    }
    let found = OPERATIONS.iter().find(|(name, _)| *name == operation);
    let members = match found {
        None => Err(Refusal::new(
            "InvalidAction",
            format!("The action {operation} is not valid for this web service."),
        )),
        Some(_) if signed_for.is_some_and(|name| name != region.settings.region) => {
            Err(Refusal::server(401, "AuthFailure", "The credentials are for another region."))
        }
        Some((_, run)) => region.check_known(query.named()).and_then(|()| run(region, &query)),
    };
    match effect {
        Some(Effect::CutAfter) => Answer::Cut,
        _ => recorded(region, body, document(&request_id, &operation, members)),
    }
}

fn recorded(region: &mut Region, request: &str, answer: Answer) -> Answer {
    if let (Some(journal), Answer::Document { status, body, .. }) = (&mut region.journal, &answer) {
        journal.write(request, *status, body).expect("the journal can be written");
    }
    answer
}

/// The region that a request was signed for.
fn region_of(authorization: Option<&HeaderValue>) -> Option<String> {
    let scope = authorization?.to_str().ok()?.split("Credential=").nth(1)?;
    scope.split(['/', ',']).nth(2).map(str::to_owned)
}

fn document(request_id: &str, operation: &str, members: Members) -> Answer {
    match members {
        Ok(members) => {
            let id = Element::text("requestId", request_id);
            let root =
                Element::parent(&format!("{operation}Response"), [vec![id], members].concat());
            xml_answer(200, root.document(Some(NAMESPACE)))
        }
        Err(Refusal { status, code, message }) => {
            let error = Element::parent(
                "Error",
                vec![Element::text("Code", code), Element::text("Message", message)],
            );
            let errors = Element::parent("Errors", vec![error]);
            let id = Element::text("RequestID", request_id);
            let root = Element::parent("Response", vec![errors, id]);
            xml_answer(status, root.document(None))
        }
    }
}

fn xml_answer(status: u16, body: String) -> Answer {
    Answer::Document { status, content_type: "text/xml;charset=UTF-8", body }
}

/// What refused calls are counted as besides their own names.
const THROTTLED: &str = "throttled";

const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
